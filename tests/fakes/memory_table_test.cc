// SPDX-License-Identifier: Apache-2.0
#include "fakes/memory_table.h"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace culvert::fakes {
namespace {

const StreamPartition kWhere{"telemetry", 1, PartitionId{0}};

Fences fences(std::int64_t next) {
  Fences result;
  result.set(kWhere.name(), Fence{Offset{next}, {}});
  return result;
}

Image image(std::int64_t value, std::int64_t next) {
  Accumulator aggregate;
  aggregate.fold(Micro{value});
  return {aggregate, fences(next)};
}

ItemPut put(std::int64_t device, Image desired, std::optional<Fences> expected) {
  return {{DeviceId{device}, EventTime{0}}, EventTime{60'000}, std::move(desired), std::move(expected)};
}

CheckpointPut first_checkpoint(std::int64_t next) {
  Checkpoint checkpoint;
  checkpoint.next = Offset{next};
  return {checkpoint, std::nullopt};
}

FlushRequest request_of(std::vector<ItemPut> items) { return {kWhere, {}, std::move(items), first_checkpoint(10)}; }

std::optional<Image> stored(MemoryTable& table, std::int64_t device) {
  const ItemKey key{DeviceId{device}, EventTime{0}};
  return table.load({&key, 1}).value().front();
}

class BothShapes : public testing::TestWithParam<MemoryTable::Shape> {};
INSTANTIATE_TEST_SUITE_P(Shapes, BothShapes,
                         testing::Values(MemoryTable::Shape::kOneByOne, MemoryTable::Shape::kTransactions));

TEST_P(BothShapes, StoresItemsThenTheCheckpoint) {
  MemoryTable table{GetParam()};
  const auto result = table.flush(request_of({put(1, image(5, 7), std::nullopt), put(2, image(6, 8), std::nullopt)}));
  EXPECT_FALSE(result.error);
  EXPECT_EQ(result.checkpoint.status, PutStatus::kStored);
  EXPECT_EQ(stored(table, 2), image(6, 8));
  EXPECT_EQ(table.load_checkpoint(kWhere).value()->next, Offset{10});
}

TEST_P(BothShapes, ConflictReturnsTheStoredItemAndHoldsTheCheckpointBack) {
  MemoryTable table{GetParam()};
  table.flush({kWhere, {}, {put(1, image(5, 7), std::nullopt)}, std::nullopt});
  const auto result = table.flush(request_of({put(1, image(9, 9), fences(3)), put(2, image(6, 8), std::nullopt)}));
  EXPECT_EQ(result.items[0].status, PutStatus::kConflict);
  EXPECT_EQ(result.items[0].current, image(5, 7));
  EXPECT_EQ(result.items[1].status, PutStatus::kStored);
  EXPECT_EQ(result.checkpoint.status, PutStatus::kNotTried);
  EXPECT_FALSE(table.load_checkpoint(kWhere).value());
}

TEST_P(BothShapes, ReplyLostMeansUnknownThoughApplied) {
  MemoryTable table{GetParam()};
  table.set_faults(fail_nth(1, WriteFault::kReplyLost));
  const auto result = table.flush(request_of({put(1, image(5, 7), std::nullopt)}));
  EXPECT_EQ(result.items[0].status, PutStatus::kUnknown);
  EXPECT_TRUE(result.error && result.error->retriable);
  EXPECT_EQ(stored(table, 1), image(5, 7));
}

TEST_P(BothShapes, LostThrottledAndRefusedWritesChangeNothing) {
  for (const auto fault : {WriteFault::kLost, WriteFault::kThrottled, WriteFault::kRefused}) {
    MemoryTable table{GetParam()};
    table.set_faults(fail_nth(1, fault));
    const auto result = table.flush(request_of({put(1, image(5, 7), std::nullopt)}));
    ASSERT_TRUE(result.error);
    EXPECT_EQ(result.error->retriable, fault != WriteFault::kRefused);
    EXPECT_EQ(result.items[0].status, fault == WriteFault::kLost ? PutStatus::kUnknown : PutStatus::kNotTried);
    EXPECT_FALSE(stored(table, 1));
    EXPECT_FALSE(table.load_checkpoint(kWhere).value());
  }
}

TEST_P(BothShapes, DelayedWriteLandsLaterAndOnlyIfItsConditionStillHolds) {
  MemoryTable table{GetParam()};
  table.set_faults(fail_nth(1, WriteFault::kDelayed));
  const FlushRequest request{kWhere, {}, {put(1, image(5, 7), std::nullopt)}, std::nullopt};
  EXPECT_EQ(table.flush(request).items[0].status, PutStatus::kUnknown);
  EXPECT_FALSE(stored(table, 1));
  table.flush({kWhere, {}, {put(1, image(6, 8), std::nullopt)}, std::nullopt});
  EXPECT_EQ(table.release_delayed(), 1U);
  EXPECT_EQ(stored(table, 1), image(6, 8));
}

TEST_P(BothShapes, RepeatedWriteConflictsWithItself) {
  MemoryTable table{GetParam()};
  table.set_faults(fail_nth(1, WriteFault::kRepeated));
  const auto result = table.flush(request_of({put(1, image(5, 7), std::nullopt)}));
  EXPECT_FALSE(result.error);
  EXPECT_EQ(result.items[0].status, PutStatus::kConflict);
  EXPECT_EQ(result.items[0].current, image(5, 7));
}

TEST_P(BothShapes, EchoOfAStoredWriteFindsItsConditionGone) {
  MemoryTable table{GetParam()};
  table.set_faults(fail_nth(1, WriteFault::kEchoed));
  EXPECT_EQ(table.flush(request_of({put(1, image(5, 7), std::nullopt)})).items[0].status, PutStatus::kStored);
  table.flush({kWhere, {}, {put(1, image(6, 8), fences(7))}, std::nullopt});
  EXPECT_EQ(table.release_delayed(), 1U);
  EXPECT_EQ(stored(table, 1), image(6, 8));
}

TEST_P(BothShapes, SlicesLetOthersWriteInBetween) {
  MemoryTable table{GetParam()};
  const auto request = request_of({put(1, image(5, 7), std::nullopt), put(2, image(6, 8), std::nullopt)});
  MemoryTable::Slices slices{table, request};
  ASSERT_TRUE(slices.step());
  EXPECT_EQ(stored(table, 1), image(5, 7));
  const bool transaction = GetParam() == MemoryTable::Shape::kTransactions;
  table.flush({kWhere, {}, {put(2, image(9, 9), std::nullopt)}, std::nullopt});
  while (slices.step()) {
  }
  EXPECT_TRUE(slices.done());
  EXPECT_EQ(slices.result().items[1].status, transaction ? PutStatus::kStored : PutStatus::kConflict);
  EXPECT_EQ(table.load_checkpoint(kWhere).value().has_value(), transaction);
}

TEST(MemoryTable, ThrottledItemDoesNotKeepOthersFromBeingStored) {
  MemoryTable table;
  table.set_faults(fail_nth(1, WriteFault::kThrottled));
  const auto result = table.flush(request_of({put(1, image(5, 7), std::nullopt), put(2, image(6, 8), std::nullopt)}));
  EXPECT_EQ(result.items[0].status, PutStatus::kNotTried);
  EXPECT_EQ(result.items[1].status, PutStatus::kStored);
  EXPECT_EQ(result.checkpoint.status, PutStatus::kNotTried);
}

TEST(MemoryTable, CorkHoldsAFlushBack) {
  MemoryTable table;
  table.cork();
  std::thread writer{[&] { table.flush({kWhere, {}, {put(1, image(5, 7), std::nullopt)}, std::nullopt}); }};
  while (!table.flush_waiting()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(stored(table, 1));
  table.uncork();
  writer.join();
  EXPECT_TRUE(stored(table, 1));
}

TEST(MemoryTable, ScanIsOrderedByDeviceThenWindowAndFiltered) {
  MemoryTable table;
  for (const std::int64_t start : {120'000, 0, 60'000}) {
    for (const std::int64_t device : {10, 9}) {
      table.flush({kWhere,
                   {},
                   {ItemPut{{DeviceId{device}, EventTime{start}}, EventTime{start + 60'000}, image(1, 1), {}}},
                   std::nullopt});
    }
  }
  std::vector<ItemKey> seen;
  const ItemFilter filter{.device = std::nullopt, .from = EventTime{60'000}, .to = EventTime{180'000}};
  ASSERT_TRUE(table.scan_items(filter, [&](const StoredItem& item) { return seen.push_back(item.key), true; }));
  EXPECT_EQ(seen, (std::vector<ItemKey>{{DeviceId{9}, EventTime{60'000}},
                                        {DeviceId{9}, EventTime{120'000}},
                                        {DeviceId{10}, EventTime{60'000}},
                                        {DeviceId{10}, EventTime{120'000}}}));
}

TEST(MemoryTable, DeadLetterOfAPositionIsKeptAsFirstWritten) {
  MemoryTable table;
  DeadLetter letter{kWhere, Offset{4}, std::nullopt, DeadLetterReason::kNotJson, "first", std::nullopt, "x"};
  table.flush({kWhere, {letter}, {}, std::nullopt});
  letter.detail = "second";
  table.flush({kWhere, {letter}, {}, std::nullopt});
  std::vector<std::string> details;
  ASSERT_TRUE(table.scan_dead_letters([&](const DeadLetter& l) { return details.push_back(l.detail), true; }));
  EXPECT_EQ(details, std::vector<std::string>{"first"});
}

}  // namespace
}  // namespace culvert::fakes
