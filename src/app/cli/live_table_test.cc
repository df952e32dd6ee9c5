// SPDX-License-Identifier: Apache-2.0
#include "app/cli/live_table.h"

#include <gtest/gtest.h>

#include "app/cli/live_area.h"

namespace culvert {
namespace {

using Lines = std::vector<std::string>;

LiveFrame frame_of(int rows) {
  LiveFrame frame;
  frame.head = {"12 readings"};
  frame.columns = {{"device", CellAlign::kLeft}, {"count", CellAlign::kRight}};
  for (int i = 1; i <= rows; ++i) frame.rows.push_back({{std::to_string(i), std::to_string(i * 100)}, RowTone::kPlain});
  frame.more_of = "devices";
  return frame;
}

TEST(RenderTable, AlignsColumns) {
  EXPECT_EQ(render_table(frame_of(2), TerminalSize{40, 24}, false),
            (Lines{"12 readings", "device  count", "1         100", "2         200"}));
}

TEST(RenderTable, CountsTheRowsThatDoNotFit) {
  EXPECT_EQ(render_table(frame_of(10), TerminalSize{40, 6}, false),
            (Lines{"12 readings", "device  count", "1         100", "2         200", "and 8 more devices"}));
  EXPECT_EQ(render_table(frame_of(3), TerminalSize{40, 6}, false).back(), "3         300") << "exactly full";
}

TEST(RenderTable, LeavesOutColumnsThatDoNotFit) {
  EXPECT_EQ(render_table(frame_of(1), TerminalSize{12, 24}, false), (Lines{"12 readings", "device", "1     "}));
}

TEST(RenderTable, ColoursOnlyWhenAsked) {
  LiveFrame frame = frame_of(1);
  frame.rows[0].tone = RowTone::kWarning;
  EXPECT_EQ(render_table(frame, TerminalSize{40, 24}, true).back(), "\x1b[33m1         100\x1b[0m");
  for (const auto& line : render_table(frame, TerminalSize{40, 24}, false)) {
    EXPECT_EQ(line.find('\x1b'), std::string::npos);
  }
}

TEST(RenderTable, HostileTextCannotMoveTheCursor) {
  LiveFrame frame = frame_of(1);
  frame.rows[0].cells[0] = "\x1b[2J\n";
  for (const auto& line : render_table(frame, TerminalSize{40, 24}, true)) {
    EXPECT_EQ(line.find("\x1b[2J"), std::string::npos);
    EXPECT_EQ(line.find('\n'), std::string::npos);
  }
}

TEST(LiveArea, WidthCountsCodePointsAndNoColours) {
  EXPECT_EQ(visible_width("abc"), 3U);
  EXPECT_EQ(visible_width("\x1b[1;32mabc\x1b[0m"), 3U);
  EXPECT_EQ(visible_width("gr\xc3\xbc\xc3\x9f"), 4U);
  EXPECT_EQ(cut_to_width("abcdef", 3), "abc");
  EXPECT_EQ(cut_to_width("gr\xc3\xbc\xc3\x9f", 3), "gr\xc3\xbc") << "never inside a code point";
  EXPECT_EQ(cut_to_width("\x1b[32mabcdef", 2), "\x1b[32mab\x1b[0m");
}

TEST(LiveArea, LinesThatANarrowerTerminalHasWrappedAreErasedToo) {
  const Lines lines{std::string(30, 'a'), "b", std::string(50, 'c')};
  EXPECT_EQ(rows_above_cursor(lines, 80), 2U);
  EXPECT_EQ(rows_above_cursor(lines, 20), 5U);
  EXPECT_EQ(rows_above_cursor({}, 80), 0U);
}

}  // namespace
}  // namespace culvert
