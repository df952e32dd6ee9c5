// SPDX-License-Identifier: Apache-2.0
#include "app/table/window_rows.h"

#include <gtest/gtest.h>

#include "app/cli/visible_text.h"
#include "app/table/dead_letter_rows.h"

namespace culvert {
namespace {

StoredItem item_of(DeviceId device, std::initializer_list<std::int64_t> values) {
  StoredItem item{{std::move(device), EventTime{1'795'449'420'000}}, EventTime{1'795'449'480'000}, {}};
  for (const std::int64_t value : values) item.image.aggregate.fold(Micro{value});
  item.image.fences.set("telemetry@1/0", Fence{Offset{5}, {}});
  return item;
}

PartitionCheckpoint checkpoint_of(std::int32_t partition, std::optional<EventTime> newest) {
  PartitionCheckpoint at{{"telemetry", 1, PartitionId{partition}}, {}};
  at.checkpoint.progress.max_event_time = newest;
  return at;
}

TEST(WindowJson, HasTheContractsNamesAndExactNumbers) {
  EXPECT_EQ(window_json(item_of(DeviceId{7}, {21'500'000, 22'000'001}), "temp", true),
            R"({"device_id":7,"window_start":"2026-11-23T15:57:00.000Z","window_stop":"2026-11-23T15:58:00.000Z",)"
            R"("avg_temp":21.75,"min_temp":21.5,"max_temp":22.000001,"sum_temp":43.500001,"stddev_temp":0.25,)"
            R"("count":2,"sumsq":946.250044000001,"state":"closed"})");
}

TEST(WindowJson, HostileDeviceIsAJsonString) {
  const std::string json = window_json(item_of(DeviceId{std::string_view("a\"\n\x1b")}, {1}), "temp", false);
  EXPECT_TRUE(json.starts_with(R"({"device_id":"a\"\u000a\u001b",)")) << json;
  EXPECT_TRUE(json.ends_with(R"("state":"open"})")) << json;
}

TEST(WindowCsv, QuotesWhatNeedsIt) {
  EXPECT_EQ(window_csv(item_of(DeviceId{std::string_view("a,\"b\"")}, {-1'000'000}), false),
            "\"a,\"\"b\"\"\",2026-11-23T15:57:00.000Z,2026-11-23T15:58:00.000Z,-1,-1,-1,-1,0,1,1,open");
  EXPECT_EQ(window_csv_header("load").substr(0, 52), "device_id,window_start,window_stop,avg_load,min_load");
}

TEST(WindowStates, ClosedAtExactlyTheWatermarkOfEveryContributingPartition) {
  Definition definition;  // out-of-orderness 10 s
  StoredItem item = item_of(DeviceId{7}, {1});
  const EventTime end = item.window_end;
  const auto closed = [&](const std::vector<PartitionCheckpoint>& checkpoints) {
    return WindowStates(checkpoints, definition).closed(item);
  };
  EXPECT_TRUE(closed({checkpoint_of(0, end + Millis{10'000})}));
  EXPECT_FALSE(closed({checkpoint_of(0, end + Millis{9'999})}));
  EXPECT_FALSE(closed({checkpoint_of(0, std::nullopt)}));
  EXPECT_FALSE(closed({checkpoint_of(1, end + Millis{10'000})})) << "another partition's watermark";
  item.image.fences.set("telemetry@1/1", Fence{Offset{9}, {}});
  EXPECT_FALSE(closed({checkpoint_of(0, end + Millis{10'000}), checkpoint_of(1, end)}));
  EXPECT_TRUE(closed({checkpoint_of(0, end + Millis{10'000}), checkpoint_of(1, end + Millis{10'000})}));
  item.image.fences.set("telemetry@1/1!", Fence{Offset{9}, {}});
  EXPECT_TRUE(closed({checkpoint_of(0, end + Millis{10'000}), checkpoint_of(1, end + Millis{10'000})}));
}

TEST(VisibleText, NothingThatATerminalObeysOrThatMisleadsTheEyePasses) {
  EXPECT_EQ(visible_text("caf\xc3\xa9 \xe6\xb8\xa9"), "caf\xc3\xa9 \xe6\xb8\xa9");
  EXPECT_EQ(visible_text("\x1b[2J\r\n\t\x7f"), R"(\x1b[2J\x0d\x0a\x09\x7f)");
  EXPECT_EQ(visible_text(std::string_view("\0", 1)), R"(\x00)");
  EXPECT_EQ(visible_text("\xc2\x9b"), R"(\xc2\x9b)") << "one-character CSI";
  EXPECT_EQ(visible_text("\xe2\x80\xae"), R"(\xe2\x80\xae)") << "right-to-left override";
  EXPECT_EQ(visible_text("\xff\xc3"), R"(\xff\xc3)");
  EXPECT_EQ(visible_text("\xed\xa0\x80"), R"(\xed\xa0\x80)") << "surrogate";
  EXPECT_EQ(visible_text("\xc0\xaf\xf5\x80\x80\x80"), R"(\xc0\xaf\xf5\x80\x80\x80)") << "overlong, too large";
  EXPECT_EQ(visible_text("\\x1b"), R"(\\x1b)");
}

TEST(VisibleText, StartIsCutAtACharacter) {
  EXPECT_EQ(visible_start("abc", 3), "abc");
  EXPECT_EQ(visible_start("abcd", 3), "ab…");
  EXPECT_EQ(visible_start("\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", 3), "\xc3\xa9\xc3\xa9…");
  EXPECT_EQ(visible_start("", 3), "");
  EXPECT_EQ(visible_start(std::string(1 << 20, 'x'), 4), "xxx…");
}

TEST(DeadLetterJson, TombstoneAndMissingTimestampAreNull) {
  const DeadLetter letter{{"t", 2, PartitionId{3}}, Offset{4}, {}, DeadLetterReason::kTombstone, "", "", {}};
  EXPECT_EQ(dead_letter_json(letter),
            R"({"topic":"t","generation":2,"partition":3,"offset":4,"timestamp":null,"reason":"tombstone",)"
            R"("detail":"","key_base64":"","value_base64":null})");
}

TEST(DeadLetterCells, HostileBytesAreEscaped) {
  const DeadLetter letter{{"t", 1, PartitionId{3}},      Offset{4},        RecordTime{0},
                          DeadLetterReason::kLate,       "late by \x1b[m", {},
                          std::string("\x1b]0;x\x07", 6)};
  EXPECT_EQ(dead_letter_cells(letter), (std::vector<std::string>{"t@1/3:4", "1970-01-01T00:00:00.000Z", "late",
                                                                 R"(late by \x1b[m)", "(no key)", R"(\x1b]0;x\x07)"}));
}

}  // namespace
}  // namespace culvert
