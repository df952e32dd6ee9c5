// SPDX-License-Identifier: Apache-2.0
// What holds for every log, however it is cut into batches, flushed, crashed and read again.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "decode/json_decoder.h"
#include "fakes/memory_table.h"
#include "pipeline/function_batch.h"
#include "pipeline/pipeline_driver.h"

namespace culvert {
namespace {

using fakes::MemoryTable;

const StreamPartition kWhere{"sensors", 1, PartitionId{0}};

struct LogRecord {
  std::int64_t gap;
  std::int64_t device;
  EventTime time;
  std::int64_t value;
  bool poison;
};

struct World {
  Definition definition;
  std::vector<LogRecord> log;
};

// Times within a few windows, so that readings meet; some are late.
rc::Gen<World> worlds() {
  return rc::gen::exec([] {
    World world;
    Definition& d = world.definition;
    const std::int64_t panes = *rc::gen::inRange<std::int64_t>(1, 5);
    d.kind = panes == 1 ? WindowKind::kTumbling : WindowKind::kHopping;
    d.advance = Millis{*rc::gen::inRange<std::int64_t>(1, 20)};
    d.size = d.advance * panes;
    d.out_of_orderness = Millis{*rc::gen::inRange<std::int64_t>(0, 20)};
    d.allowed_lateness = Millis{*rc::gen::inRange<std::int64_t>(0, 40)};
    d.timestamp_unit = TimestampUnit::kMilliseconds;
    world.log = *rc::gen::container<std::vector<LogRecord>>(rc::gen::construct<LogRecord>(
        rc::gen::weightedElement<std::int64_t>({{9, 0}, {1, 3}}), rc::gen::inRange<std::int64_t>(1, 4),
        rc::gen::map(rc::gen::inRange<std::int64_t>(0, 200), [](std::int64_t t) { return EventTime{t}; }),
        rc::gen::inRange<std::int64_t>(-5, 5), rc::gen::weightedElement<bool>({{9, false}, {1, true}})));
    return world;
  });
}

// The records of a world, with bytes that live as long as it does.
class Bench {
 public:
  explicit Bench(const World& world) : decoder_(world.definition) {
    options_.definition = world.definition;
    std::int64_t offset = 0;
    for (const LogRecord& r : world.log) {
      offset += r.gap;
      bytes_.push_back(r.poison ? "{"
                                : fmt::format(R"({{"device_id": {}, "timestamp": {}, "temperature": {}}})", r.device,
                                              r.time.value(), r.value));
      records_.push_back(Record{Offset{offset}, RecordTime{offset}, {}, bytes_.back()});
      ++offset;
    }
  }

  [[nodiscard]] std::span<const Record> all() const { return records_; }
  [[nodiscard]] PipelineOptions& options() { return options_; }
  PipelineDriver driver(AggregateTable& table) { return {table, options_, decoder_, kWhere}; }
  bool function(AggregateTable& table, std::span<const Record> records) {
    return fold_function_batch(table, options_, decoder_, kWhere, records,
                               [](int attempt, const Error&) { return attempt < 50; })
        .ok();
  }

 private:
  JsonDecoder decoder_;
  PipelineOptions options_;
  std::deque<std::string> bytes_;
  std::vector<Record> records_;
};

std::string aggregates(MemoryTable& table) {
  std::string text;
  (void)table.scan_items({}, [&](const StoredItem& item) {
    text +=
        fmt::format("{} {}..{} {} {}\n", item.key.device.to_text(), item.key.window_start.value(),
                    item.window_end.value(), item.image.aggregate.count, format_scaled(item.image.aggregate.sum, 6));
    return true;
  });
  return text;
}

// Everything that is stored: aggregates, fences, dead letters, the checkpoint.
std::string content(MemoryTable& table) {
  std::string text = aggregates(table);
  (void)table.scan_items({}, [&](const StoredItem& item) { return text += fences_text(item.image.fences), true; });
  (void)table.scan_dead_letters([&](const DeadLetter& letter) {
    text += fmt::format("\n{} {} {}", letter.offset.value(), reason_name(letter.reason), letter.detail);
    return true;
  });
  const auto stored = table.load_checkpoint(kWhere).value();
  if (!stored) return text;
  const Progress& p = stored->progress;
  return text + fmt::format("\n{} {} {} {} {} {} {}", stored->next.value(), p.counts.records, p.counts.folded,
                            p.counts.late, p.counts.dead_letters, p.max_event_time.value_or(EventTime{-1}).value(),
                            ranges_text(stored->ranges));
}

// The log in one go, never interrupted.
std::string undisturbed(Bench& bench) {
  MemoryTable table;
  RC_ASSERT(bench.driver(table).run(bench.all(), 1000).ok());
  return content(table);
}

enum class Step { kRead, kFlush, kCrash, kCrashInFlush };

RC_GTEST_PROP(PipelineProperty, AnyCutsFlushesAndCrashesGiveTheSameTable, ()) {
  const World world = *worlds();
  Bench bench(world);
  bench.options().emission = *rc::gen::element(Emission::kEarly, Emission::kFinal);
  const auto steps = *rc::gen::container<std::vector<std::pair<Step, std::size_t>>>(
      rc::gen::pair(rc::gen::element(Step::kRead, Step::kRead, Step::kFlush, Step::kCrash, Step::kCrashInFlush),
                    rc::gen::inRange<std::size_t>(0, 12)));
  MemoryTable table{*rc::gen::element(MemoryTable::Shape::kOneByOne, MemoryTable::Shape::kTransactions)};
  auto driver = bench.driver(table);
  RC_ASSERT(driver.start().ok());
  const auto at = [&] {
    const auto all = bench.all();
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const Record& r) { return r.offset >= driver.pipeline().read_next(); });
    return static_cast<std::size_t>(found - all.begin());
  };
  for (const auto& [step, count] : steps) {
    const Offset read_next = driver.pipeline().read_next();
    bool again = step == Step::kCrash || step == Step::kCrashInFlush;
    Offset load_before{0};
    if (step == Step::kRead) {
      RC_ASSERT(driver.pipe(bench.all().subspan(at(), std::min(count, bench.all().size() - at()))).ok());
    } else if (step == Step::kFlush) {
      const auto flushed = driver.flush();
      RC_ASSERT(flushed.ok());
      again = !*flushed;
      load_before = read_next;
    } else if (step == Step::kCrashInFlush) {
      auto begun = driver.pipeline().begin_flush();
      RC_ASSERT(begun.ok());
      if (begun->state == PartitionPipeline::FlushState::kWrite) {
        MemoryTable::Slices slices{table, *begun->request};
        for (std::size_t i = 0; i < count && slices.step(); ++i) {
        }
      }
    }
    if (again) RC_ASSERT(driver.start({}, load_before).ok());
  }
  RC_ASSERT(driver.run(bench.all(), 5).ok());
  RC_ASSERT(content(table) == undisturbed(bench));
}

RC_GTEST_PROP(PipelineProperty, WindowsAreThoseOfReadingEachRecordForEachWindow, ()) {
  const World world = *worlds();
  const Definition& d = world.definition;
  Bench bench(world);
  std::map<std::pair<std::int64_t, std::int64_t>, std::pair<std::int64_t, std::int64_t>> naive;
  std::int64_t newest = -1'000'000;
  for (const LogRecord& r : world.log) {
    if (r.poison) continue;
    for (std::int64_t start = -d.size.count(); start <= r.time.value(); ++start) {
      const std::int64_t end = start + d.size.count();
      const bool aligned = start % d.advance.count() == 0;
      if (!aligned || r.time.value() >= end) continue;
      if (end + d.allowed_lateness.count() <= newest - d.out_of_orderness.count()) continue;
      auto& [count, sum] = naive[{r.device, start}];
      ++count;
      sum += r.value;
    }
    newest = std::max(newest, r.time.value());
  }
  std::string expected;
  for (const auto& [key, total] : naive) {
    expected +=
        fmt::format("{} {}..{} {} {}\n", key.first, key.second, key.second + d.size.count(), total.first, total.second);
  }
  MemoryTable table;
  RC_ASSERT(bench.driver(table).run(bench.all(), *rc::gen::inRange<std::size_t>(1, 9)).ok());
  RC_ASSERT(aggregates(table) == expected);
}

RC_GTEST_PROP(PipelineProperty, FinalEmissionHoldsTheClosedWindowsOfEarlyEmission, ()) {
  const World world = *worlds();
  Bench bench(world);
  MemoryTable early;
  RC_ASSERT(bench.driver(early).run(bench.all(), 7).ok());
  std::int64_t newest = -1'000'000;
  for (const LogRecord& r : world.log) {
    if (!r.poison) newest = std::max(newest, r.time.value());
  }
  std::vector<ItemKey> open;
  (void)early.scan_items({}, [&](const StoredItem& item) {
    if (item.window_end.value() > newest - world.definition.out_of_orderness.count()) open.push_back(item.key);
    return true;
  });
  for (const ItemKey& key : open) early.expire(key);
  MemoryTable table;
  bench.options().emission = Emission::kFinal;
  RC_ASSERT(bench.driver(table).run(bench.all(), *rc::gen::inRange<std::size_t>(1, 9)).ok());
  RC_ASSERT(aggregates(table) == aggregates(early));
}

RC_GTEST_PROP(PipelineProperty, FunctionBatchesInAnyOrderGiveTheSameAggregates, ()) {
  World world = *worlds();
  world.definition.allowed_lateness = Millis{1'000};  // nothing is late, in whatever order
  Bench bench(world);
  const std::size_t size = bench.all().size();
  RC_PRE(size > 0U);
  std::vector<std::pair<std::size_t, std::size_t>> batches;
  for (std::size_t first = 0; first < size;) {
    const std::size_t count = std::min(size - first, *rc::gen::inRange<std::size_t>(1, 9));
    batches.emplace_back(first, count);
    first += count;
  }
  // Some overlap the others.
  for (auto extra = *rc::gen::inRange(0, 5); extra > 0; --extra) {
    const std::size_t first = *rc::gen::inRange<std::size_t>(0, size);
    batches.emplace_back(first, *rc::gen::inRange<std::size_t>(1, size - first + 1));
  }
  std::vector<std::pair<int, std::size_t>> order;
  for (std::size_t i = 0; i < batches.size(); ++i) order.emplace_back(*rc::gen::inRange(0, 1000), i);
  std::sort(order.begin(), order.end());
  MemoryTable table;
  for (const auto& [rank, i] : order) {
    RC_ASSERT(bench.function(table, bench.all().subspan(batches[i].first, batches[i].second)));
  }
  MemoryTable whole;
  RC_ASSERT(bench.driver(whole).run(bench.all(), 1000).ok());
  RC_ASSERT(aggregates(table) == aggregates(whole));
  // A function does not know that a gap between two batches is empty, so it may stay between ranges.
  const auto stored = table.load_checkpoint(kWhere).value();
  for (const Record& record : bench.all()) RC_ASSERT(stored->covers(record.offset));
}

}  // namespace
}  // namespace culvert
