// SPDX-License-Identifier: Apache-2.0
#include "pipeline/function_batch.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "decode/json_decoder.h"
#include "fakes/memory_table.h"

namespace culvert {
namespace {

using fakes::MemoryTable;

const StreamPartition kWhere{"sensors", 1, PartitionId{0}};
const WaitForRetry kNoRetry = [](int, const Error&) { return false; };
const WaitForRetry kPatient = [](int attempt, const Error&) { return attempt < 100; };

// One reading a second of three devices, `gap` offsets behind every tenth record.
class Readings {
 public:
  explicit Readings(int count, std::int64_t gap = 0) {
    std::int64_t offset = 0;
    for (int i = 0; i < count; ++i) {
      texts_.push_back(fmt::format(R"({{"device_id": {}, "timestamp": "{}", "temperature": {}}})", i % 3,
                                   format_utc(EventTime{kStart + std::int64_t{i} * 1000}), i));
      records_.push_back(Record{Offset{offset}, RecordTime{kStart + i}, {}, std::string_view{texts_.back()}});
      offset += 1 + (i % 10 == 9 ? gap : 0);
    }
  }
  [[nodiscard]] std::span<const Record> part(std::size_t first, std::size_t next) const {
    return std::span(records_).subspan(first, next - first);
  }

 private:
  static constexpr std::int64_t kStart = 1'795'449'420'000;
  std::deque<std::string> texts_;
  std::vector<Record> records_;
};

std::unique_ptr<FunctionPartition> instance(const PipelineOptions& options = {}) {
  return std::make_unique<FunctionPartition>(options, std::make_unique<JsonDecoder>(options.definition), kWhere);
}

std::vector<std::string> content(MemoryTable& table) {
  std::vector<std::string> lines;
  const auto scanned = table.scan_items({}, [&](const StoredItem& item) {
    lines.push_back(fmt::format("{} {}: {} {} {}", item.key.device.to_text(), format_utc(item.key.window_start),
                                item.image.aggregate.count, format_scaled(item.image.aggregate.sum, 6),
                                item.image.fences.at(kWhere.name()).next().value()));
    return true;
  });
  EXPECT_TRUE(scanned.ok());
  return lines;
}

TEST(FunctionPartition, NextBatchOfAWarmOneReadsNothingAndMeetsNoConflict) {
  const Readings readings(60);
  MemoryTable table;
  const auto warm = instance();
  const auto first = warm->fold(table, readings.part(0, 30), kNoRetry);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->puts, 3);
  EXPECT_GT(warm->memory_bytes(), 0U);
  table.fail_reads(1);
  const auto second = warm->fold(table, readings.part(30, 60), kNoRetry);
  ASSERT_TRUE(second.ok()) << second.error().message;
  EXPECT_EQ(second->read, 30);
  EXPECT_EQ(second->durable.folded, 30);
  EXPECT_EQ(second->puts, 3);
  EXPECT_EQ(second->conflicts, 0);
  EXPECT_EQ(second->held, 0);

  MemoryTable other;
  ASSERT_TRUE(instance()->fold(other, readings.part(0, 60), kNoRetry).ok());
  EXPECT_EQ(content(table), content(other));
}

TEST(FunctionPartition, BatchElsewhereAsksTheTable) {
  const Readings readings(60);
  for (const auto& [first, next] : {std::pair{20, 40}, {40, 60}, {0, 30}}) {
    MemoryTable table;
    const auto warm = instance();
    ASSERT_TRUE(warm->fold(table, readings.part(0, 30), kNoRetry).ok());
    table.fail_reads(1);
    const auto part = readings.part(static_cast<std::size_t>(first), static_cast<std::size_t>(next));
    EXPECT_FALSE(warm->fold(table, part, kNoRetry).ok()) << first;
    EXPECT_EQ(warm->memory_bytes(), 0U) << "remembered after a failure";
    EXPECT_TRUE(warm->fold(table, part, kPatient).ok());
  }
}

// Whoever has dealt with what lies between has raised the maxima that lateness is judged by.
TEST(FunctionPartition, BatchBehindAGapAsksTheTableThoughGapsAreEmpty) {
  const Readings readings(60, 5);
  PipelineOptions options;
  options.gaps_are_empty = true;
  MemoryTable table;
  const auto warm = instance(options);
  ASSERT_TRUE(warm->fold(table, readings.part(0, 30), kNoRetry).ok());
  table.fail_reads(1);
  EXPECT_FALSE(warm->fold(table, readings.part(30, 60), kNoRetry).ok());
  EXPECT_TRUE(warm->fold(table, readings.part(30, 60), kNoRetry).ok());
  EXPECT_EQ((*table.load_checkpoint(kWhere))->next, readings.part(59, 60).front().offset.next());
}

// What a warm instance knows may be out of date in every way: the table decides.
RC_GTEST_PROP(FunctionPartitionProperty, WarmInstancesInAnyTurnGiveTheSameTable, ()) {
  constexpr std::size_t kRecords = 90;
  const Readings readings(kRecords);
  MemoryTable expected;
  RC_ASSERT(instance()->fold(expected, readings.part(0, kRecords), kNoRetry).ok());

  std::mt19937_64 random{*rc::gen::resize(rc::kNominalSize, rc::gen::arbitrary<std::uint64_t>())};
  const auto below = [&](std::size_t next) { return std::uniform_int_distribution<std::size_t>(0, next - 1)(random); };
  std::array<std::unique_ptr<FunctionPartition>, 3> instances{instance(), instance(), instance()};
  MemoryTable table;
  std::size_t next = 0;
  while (next < kRecords) {
    auto& one = instances.at(below(instances.size()));
    // In order, as the event source delivers; some come again, from anywhere before.
    const std::size_t first = below(4) == 0 ? below(next + 1) : next;
    const std::size_t until = std::min(kRecords, first + 1 + below(20));
    const auto stats = one->fold(table, readings.part(first, until), kPatient);
    RC_ASSERT(stats.ok());
    RC_ASSERT(stats->read ==
              stats->filtered + stats->generation + stats->held + stats->adopted + stats->durable.records);
    next = std::max(next, until);
  }
  RC_ASSERT(content(table) == content(expected));
  RC_ASSERT(**table.load_checkpoint(kWhere) == **expected.load_checkpoint(kWhere));
}

}  // namespace
}  // namespace culvert
