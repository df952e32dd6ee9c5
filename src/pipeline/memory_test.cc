// SPDX-License-Identifier: Apache-2.0
// Counts what an open window takes from the heap while it is folded, written and kept.
//
// The limits are what docs/operating.md and bench/README.md state; they hold whatever else the machine does, which the
// size of a process does not.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "decode/json_decoder.h"
#include "pipeline/partition_pipeline.h"

namespace {
std::atomic<std::int64_t> held{0};
std::atomic<std::int64_t> held_most{0};
}  // namespace

// Replaces the program's: the only way to see what a library call takes.  Not inlined, because g++ 12 would then see a
// free() of what `new` returned.
[[gnu::noinline]] void* operator new(std::size_t size) {
  void* const memory = std::malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  held += static_cast<std::int64_t>(malloc_usable_size(memory));
  held_most = std::max(held_most.load(), held.load());
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  held -= static_cast<std::int64_t>(malloc_usable_size(memory));
  std::free(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace culvert {
namespace {

using FlushState = PartitionPipeline::FlushState;

constexpr int kDevices = 25'000;  // of one partition: fills a hash table to about four fifths

class OneReadingOfEachDevice {
 public:
  OneReadingOfEachDevice() {
    for (int device = 0; device < kDevices; ++device) {
      values_.push_back(
          fmt::format(R"({{"device_id": {}, "timestamp": "2026-11-23T12:00:30", "temperature": 21.5}})", device));
    }
  }
  // The n-th time, with offsets that follow those of the time before.
  [[nodiscard]] std::vector<Record> records(int n) const {
    std::vector<Record> records;
    records.reserve(values_.size());
    for (std::size_t i = 0; i < values_.size(); ++i) {
      records.push_back(Record{Offset{std::int64_t{n} * kDevices + static_cast<std::int64_t>(i)},
                               RecordTime{1'795'435'200'000}, std::nullopt, values_[i]});
    }
    return records;
  }

 private:
  std::vector<std::string> values_;
};

FlushResult all_stored(const FlushRequest& request) {
  FlushResult result;
  result.dead_letters = PutStatus::kStored;
  result.items.resize(request.items.size());
  for (auto& outcome : result.items) outcome.status = PutStatus::kStored;
  result.checkpoint.status = PutStatus::kStored;
  return result;
}

// Two flushes, the second of which knows the images of the first, with reading going on during each.
TEST(PipelineMemory, OfAWindowIsWhatIsStated) {
  const OneReadingOfEachDevice log;
  Definition definition;
  JsonDecoder decoder(definition);
  PipelineOptions options;
  options.definition = definition;
  PipelineStart start;
  start.where = {"a-topic-with-a-rather-long-name", 1, PartitionId{0}};
  auto pipeline = PartitionPipeline::create(options, decoder, start);
  ASSERT_TRUE(pipeline.ok());
  PartitionPipeline& p = **pipeline;
  const std::vector<std::vector<Record>> rounds{log.records(0), log.records(1), log.records(2)};

  const std::int64_t before = held;
  const auto each = [&](std::int64_t bytes) { return (bytes - before) / kDevices; };
  ASSERT_TRUE(p.fold(rounds[0]).ok());
  EXPECT_LE(each(held), 125) << "folded";
  for (const auto* round : {&rounds[1], &rounds[2]}) {
    auto step = p.begin_flush();
    ASSERT_TRUE(step.ok());
    ASSERT_EQ(step->state, FlushState::kWrite);
    ASSERT_EQ(step->request->items.size(), static_cast<std::size_t>(kDevices));
    ASSERT_TRUE(p.fold(*round).ok());
    step = p.on_flush(all_stored(*step->request));
    ASSERT_TRUE(step.ok());
    ASSERT_EQ(step->state, FlushState::kDone);
  }
  EXPECT_LE(each(held), 275) << "folded again, and kept as last stored";
  EXPECT_LE(each(held_most), 650) << "at most, in a flush";
  // What --memory-limit is held to is not less than what is taken, and not much more.
  const auto said = static_cast<std::int64_t>(p.memory_bytes());
  EXPECT_GE(said, (held - before) * 9 / 10);
  EXPECT_LE(said, (held - before) * 3 / 2);
  fmt::print("bytes a window: {} folded and kept, {} at most; the pipeline says {}\n", each(held), each(held_most),
             said / kDevices);
}

}  // namespace
}  // namespace culvert
