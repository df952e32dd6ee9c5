// SPDX-License-Identifier: Apache-2.0
// Decode and fold together, as a consumer does it: records of the reference's shape through a PartitionPipeline that is
// flushed into memory now and then.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <deque>
#include <string>
#include <vector>

#include "decode/json_decoder.h"
#include "fakes/memory_table.h"
#include "pipeline/partition_pipeline.h"

namespace culvert {
namespace {

constexpr std::int64_t kStartMs = 1'795'449'420'000;
constexpr std::size_t kBatch = 2'000;

std::vector<std::string> make_texts(std::int64_t devices, std::size_t count) {
  std::vector<std::string> texts;
  texts.reserve(count);
  std::uint64_t random = 1;
  for (std::size_t i = 0; i < count; ++i) {
    random = random * 6364136223846793005ULL + 1442695040888963407ULL;
    const auto device = static_cast<std::int64_t>((random >> 33) % static_cast<std::uint64_t>(devices));
    const std::string time = format_utc(EventTime{kStartMs + static_cast<std::int64_t>(i / 100)});
    texts.push_back(fmt::format(R"({{"device_id": {}, "timestamp": "{}", "temperature": {}.{}}})", device,
                                time.substr(0, 23), 15 + device % 20, (random >> 20) % 100));
  }
  return texts;
}

void run(benchmark::State& state, std::int64_t devices, std::int64_t panes) {
  const auto texts = make_texts(devices, 200'000);
  PipelineOptions options;
  options.definition.advance = options.definition.size / panes;
  options.definition.kind = panes == 1 ? WindowKind::kTumbling : WindowKind::kHopping;
  JsonDecoder decoder(options.definition);
  PipelineStart start;
  start.where = StreamPartition{"sensors", 1, PartitionId{0}};
  auto pipeline = PartitionPipeline::create(options, decoder, std::move(start));
  std::vector<Record> records(kBatch);
  std::int64_t offset = 0;
  std::size_t at = 0;
  for ([[maybe_unused]] auto _ : state) {
    for (Record& record : records) {
      record = Record{Offset{offset++}, RecordTime{kStartMs}, {}, std::string_view{texts[at]}};
      at = at + 1 == texts.size() ? 0 : at + 1;
    }
    const auto folded = (*pipeline)->fold(records);
    if (!folded) state.SkipWithError("fold failed");
  }
  const auto done = static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(kBatch);
  state.SetItemsProcessed(done);
  state.counters["bytes_per_device"] = static_cast<double>((*pipeline)->memory_bytes()) / static_cast<double>(devices);
}

// Arguments: devices, panes a window has.
void decode_and_fold(benchmark::State& state) { run(state, state.range(0), state.range(1)); }
BENCHMARK(decode_and_fold)->Args({1'000, 1})->Args({100'000, 1})->Args({1'000, 60});

// A given number of batches: what callgrind counts, once with N and once with 2N.
void fixed_batches(benchmark::State& state) { run(state, 1'000, 1); }
BENCHMARK(fixed_batches)->Arg(50)->Iterations(50);
BENCHMARK(fixed_batches)->Arg(100)->Iterations(100);

}  // namespace
}  // namespace culvert
