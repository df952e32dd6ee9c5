// SPDX-License-Identifier: Apache-2.0
#include "app/demo/view.h"

#include <gtest/gtest.h>

namespace culvert {
namespace {

constexpr EventTime kNoon{1'682'942'400'000};  // 2023-05-01T12:00:00Z

// Two readings, 20 and 21, of a device whose records lie in partition 3.
StoredItem item_of(std::int64_t device, EventTime start) {
  StoredItem item;
  item.key = {DeviceId{device}, start};
  item.window_end = start + Millis{10'000};
  item.image.aggregate.fold(Micro{20'000'000});
  item.image.aggregate.fold(Micro{21'000'000});
  item.image.fences.set("readings@1/3", Fence(Offset{7}, {}));
  return item;
}

TEST(WindowClosed, AsksTheWatermarksOfItsOwnPartitionsOnly) {
  const StoredItem item = item_of(1, kNoon);
  EXPECT_FALSE(window_closed(item, {}));
  EXPECT_FALSE(window_closed(item, {{PartitionId{0}, kNoon + Millis{60'000}}}));
  EXPECT_FALSE(window_closed(item, {{PartitionId{3}, kNoon + Millis{9'999}}}));
  EXPECT_TRUE(window_closed(item, {{PartitionId{3}, kNoon + Millis{10'000}}})) << "closed exactly at its end";
}

TEST(WindowClosed, NeedsEveryContributingPartition) {
  StoredItem item = item_of(1, kNoon);
  item.image.fences.set("readings@1/0", Fence(Offset{2}, {}));
  const EventTime over = kNoon + Millis{10'000};
  EXPECT_FALSE(window_closed(item, {{PartitionId{3}, over}}));
  EXPECT_TRUE(window_closed(item, {{PartitionId{3}, over}, {PartitionId{0}, over}}));
}

TEST(DemoView, ShowsTheNewestWindowsFirstAndRoundedMeans) {
  DemoView view("sqlite:x");
  StoredItem odd = item_of(2, kNoon);
  odd.image.aggregate.fold(Micro{20'000'000});
  const LiveFrame frame = view.frame({}, {item_of(1, kNoon), odd, item_of(9, kNoon + Millis{10'000})});
  ASSERT_EQ(frame.rows.size(), 3U);
  EXPECT_EQ(frame.rows[0].cells[1], "9");
  EXPECT_EQ(frame.rows[1].cells,
            (std::vector<std::string>{"12:00:00 - 12:00:10", "1", "2", "20.5", "20", "21", "0.5", "open"}));
  EXPECT_EQ(frame.rows[2].cells[3], "20.333");
}

TEST(DemoView, AClosedWindowIsDimAndItsCorrectionStandsOut) {
  DemoView view("sqlite:x");
  DemoFigures figures;
  StoredItem item = item_of(1, kNoon);
  EXPECT_EQ(view.frame(figures, {item}).rows[0].tone, RowTone::kPlain);
  figures.watermarks[PartitionId{3}] = kNoon + Millis{10'000};
  item.image.aggregate.fold(Micro{0});
  EXPECT_EQ(view.frame(figures, {item}).rows[0].tone, RowTone::kDim) << "grew while it was open";
  EXPECT_EQ(view.frame(figures, {item}).rows[0].tone, RowTone::kDim);
  item.image.aggregate.fold(Micro{0});
  EXPECT_EQ(view.frame(figures, {item}).rows[0].tone, RowTone::kWarning);
}

TEST(DemoLine, IsOneLineOfNamesAndValues) {
  DemoFigures figures;
  figures.seconds = 3;
  figures.feed.sent = 600;
  figures.feed.acknowledged = 598;
  figures.read = 580;
  figures.stored = 400;
  figures.dead_letters = 4;
  figures.late = 1;
  EXPECT_EQ(demo_line(figures), "demo: seconds=3 sent=600 acknowledged=598 read=580 stored=400 dead_letters=4 late=1");
}

}  // namespace
}  // namespace culvert
