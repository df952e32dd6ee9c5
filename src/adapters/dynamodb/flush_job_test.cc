// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/flush_job.h"

#include <gtest/gtest.h>

#include <future>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "adapters/dynamodb/dynamodb_table_test.h"

namespace culvert::dynamodb {
namespace {

// Partitions are flushed side by side: what one of them has to wait for is not the others' affair.
TEST_F(DynamoDbTableTest, ThrottledFlushDoesNotHoldUpAnother) {
  fake_.set_faults([](const FakeCall& call) {
    return call.table == "telemetry-dead-letters" ? CallFault::kThrottled : CallFault::kNone;
  });
  FlushRequest throttled{kWhere, {}, {put_of(1, 1)}, CheckpointPut{checkpoint_at(100), std::nullopt}};
  for (std::int64_t offset = 0; offset < 100; ++offset) throttled.dead_letters.push_back(dead_letter(offset));
  std::promise<FlushResult> ended;
  auto result = ended.get_future();
  options_.own_thread = true;  // nobody waits for the first one
  table().begin_flush(throttled, [&](FlushResult r) { ended.set_value(std::move(r)); });
  while (fake_.calls("PutItem") < 2 * options_.connections_most) std::this_thread::sleep_for(milliseconds{1});

  FlushRequest other{{"sensors", 1, PartitionId{1}}, {}, {}, CheckpointPut{checkpoint_at(100), std::nullopt}};
  for (std::int64_t device = 100; device < 200; ++device) other.items.push_back(put_of(device, 1));
  EXPECT_EQ(statuses(table().flush(other)), "S " + std::string(100, 'S') + " S");
  EXPECT_EQ(result.wait_for(milliseconds{0}), std::future_status::timeout);

  fake_.set_faults(fakes::FaultShares{}, 1);
  EXPECT_EQ(statuses(result.get()), "S S S");
}

// Several writers add readings to the same items, by the protocol, through every fault at once.  Each reading must be
// in exactly once: the count of an item is the number of merges that were ever decided, whoever's reply was lost.
TEST_F(DynamoDbTableTest, WritersThroughFaultsLoseAndDoubleNothing) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  fake_.set_faults({.throttled = 0.1,
                    .internal_error = 0.05,
                    .unavailable = 0.05,
                    .error_after_apply = 0.05,
                    .request_lost = 0.05,
                    .reply_lost = 0.1,
                    .reply_cut = 0.05,
                    .applied_late = 0.05},
                   seed);
  constexpr int kWriters = 4;
  constexpr int kDevices = 8;
  constexpr std::int64_t kReadings = 25;
  const auto write = [&](int writer) {
    const auto mine = another();
    const StreamPartition where{"sensors", 1, PartitionId{writer}};
    for (int device = 0; device < kDevices; ++device) {
      Boxed<Image> known;
      for (std::int64_t offset = 0; offset < kReadings;) {
        Image desired = known ? *known : Image{};
        const Fence& fence = desired.fences.at(where.name());
        if (fence.covers(Offset{offset})) {
          ++offset;
          continue;
        }
        desired.aggregate.fold(Micro{offset});
        desired.fences.set(where.name(), Fence{Offset{offset + 1}, {}});
        ItemPut put = put_of(device, 0);
        put.desired = desired;
        if (known) put.expected = known->fences;
        const auto result = mine->flush({where, {}, {put}, {}});
        if (result.items[0].status == PutStatus::kStored) known = desired;
        if (result.items[0].status == PutStatus::kConflict) known = result.items[0].current;
      }
    }
  };
  std::vector<std::jthread> writers;
  for (int writer = 0; writer < kWriters; ++writer) writers.emplace_back([&, writer] { write(writer); });
  writers.clear();
  fake_.apply_late_now();
  fake_.set_faults(fakes::FaultShares{}, 1);
  int items = 0;
  ASSERT_TRUE(table()
                  .scan_items({},
                              [&](const StoredItem& item) {
                                ++items;
                                EXPECT_EQ(item.image.aggregate.count, kWriters * kReadings);
                                EXPECT_EQ(static_cast<std::int64_t>(item.image.aggregate.sum),
                                          kWriters * kReadings * (kReadings - 1) / 2);
                                return true;
                              })
                  .ok());
  EXPECT_EQ(items, kDevices);
}

}  // namespace
}  // namespace culvert::dynamodb
