// SPDX-License-Identifier: Apache-2.0
#include "app/demo/watch.h"

#include <gtest/gtest.h>

#include <vector>

namespace culvert {
namespace {

PartitionReport report_of(std::int32_t partition, std::optional<std::int64_t> checkpoint_next) {
  PartitionReport report{};
  report.view.claim.partition = PartitionId{partition};
  if (checkpoint_next) report.view.checkpoint_next = Offset{*checkpoint_next};
  return report;
}

// A flush under way when the partitions are lost is stored, but its answer is nobody's: the next assignment finds it.
TEST(StoredRecords, CountWhatALaterAssignmentFindsInTheTable) {
  StoredRecords stored;
  EXPECT_EQ(stored.total(), 0);
  stored.note(std::vector{report_of(0, 100), report_of(1, 50), report_of(2, std::nullopt)});
  EXPECT_EQ(stored.total(), 150);
  stored.note({});
  EXPECT_EQ(stored.total(), 150) << "what is stored stays stored while nothing is assigned";
  stored.note(std::vector{report_of(0, 168), report_of(1, std::nullopt)});
  EXPECT_EQ(stored.total(), 218);
  stored.note(std::vector{report_of(0, 120), report_of(2, 7)});
  EXPECT_EQ(stored.total(), 225) << "a checkpoint never goes back";
}

}  // namespace
}  // namespace culvert
