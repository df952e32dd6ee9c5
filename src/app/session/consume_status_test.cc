// SPDX-License-Identifier: Apache-2.0
#include "app/session/consume_status.h"

#include <gtest/gtest.h>

namespace culvert {
namespace {

PartitionReport partition(std::int32_t number, std::int64_t checkpoint, std::int64_t end) {
  PartitionReport report;
  report.view.claim.partition = PartitionId{number};
  report.view.reading = true;
  report.view.checkpoint_next = Offset{checkpoint};
  report.view.watermark = EventTime{1'795'692'780'123};
  report.view.open_deltas = 2;
  report.position = Offset{end};
  report.log_end = Offset{end};
  return report;
}

ConsumeReport running() {
  ConsumeReport report;
  report.assigned = true;
  report.records_per_second = 1'234;
  report.lag_records = 5;
  report.stats.dead_letters[static_cast<std::size_t>(DeadLetterReason::kLate)] = 3;
  report.stats.dead_letters[static_cast<std::size_t>(DeadLetterReason::kNotJson)] = 4;
  return report;
}

TEST(ConsumeFrameTest, SaysWhatItWaitsFor) {
  EXPECT_EQ(consume_frame({}, 10).head.at(0), "waiting for the group to assign partitions");
  EXPECT_NE(consume_frame(running(), 10).head.at(1).find("standing by"), std::string::npos);
  ConsumeReport paused = running();
  paused.paused_for_memory = true;
  EXPECT_NE(consume_frame(paused, 10).head.at(0).find("paused until memory is free"), std::string::npos);
}

TEST(ConsumeFrameTest, HasARowForEachPartitionInTheirOrder) {
  ConsumeReport report = running();
  report.partitions = {partition(2, 90, 100), partition(0, 100, 100), partition(1, 0, 7)};
  report.partitions[2].view.reading = false;
  report.partitions[2].view.checkpoint_next.reset();
  const LiveFrame frame = consume_frame(report, 3);
  EXPECT_NE(frame.head.at(0).find("dead letters 7, of which late 3"), std::string::npos) << frame.head.at(0);
  ASSERT_EQ(frame.rows.size(), 3U);
  EXPECT_EQ(frame.rows[0].cells, (std::vector<std::string>{"0", "100", "100", "100", "0", "2026-11-26T11:33:00", "2"}));
  EXPECT_EQ(frame.rows[0].tone, RowTone::kDim);
  EXPECT_EQ(frame.rows[1].cells.at(1), "loading");
  EXPECT_EQ(frame.rows[1].cells.at(4), "-");
  EXPECT_EQ(frame.rows[1].tone, RowTone::kWarning);
  EXPECT_EQ(frame.rows[2].cells.at(4), "10");
}

TEST(ConsumeFrameTest, ShowsThoseThatAreFurthestBehindWhereNotAllFit) {
  ConsumeReport report = running();
  for (std::int32_t i = 0; i < 50; ++i) report.partitions.push_back(partition(i, 100 - i % 7, 100));
  const LiveFrame frame = consume_frame(report, 10);
  ASSERT_EQ(frame.rows.size(), 50U);
  EXPECT_EQ(frame.rows[0].cells.at(0), "6");
  EXPECT_EQ(frame.rows[0].cells.at(4), "6");
  EXPECT_EQ(frame.rows[49].cells.at(4), "0");
  // Drawn, it fits the terminal.
  const auto lines = render_table(frame, {.columns = 60, .rows = 15}, false);
  EXPECT_LE(lines.size(), 15U);
  EXPECT_NE(lines.back().find("more partitions"), std::string::npos) << lines.back();
}

}  // namespace
}  // namespace culvert
