// SPDX-License-Identifier: Apache-2.0
// A table that is drawn in place while a command runs.
//
// Flow    figures of a command -> [render_table] -> lines -> LiveArea.  Pure.
// Owner   the command builds a LiveFrame for each drawing.
// Time    none.
// Bounds  the terminal's rows and columns: what does not fit is counted (`and 12 more`), wide tables lose columns on
//         the right.
// See     live_area.h.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/cli/terminal.h"

namespace culvert {

enum class CellAlign : std::uint8_t { kLeft, kRight };
enum class RowTone : std::uint8_t { kPlain, kDim, kWarning };  // colours; nothing without them

struct LiveColumn {
  std::string title;
  CellAlign align = CellAlign::kRight;
};

struct LiveRow {
  std::vector<std::string> cells;  // as many as there are columns; control characters are made visible
  RowTone tone = RowTone::kPlain;
};

struct LiveFrame {
  std::vector<std::string> head;  // lines above the table
  std::vector<LiveColumn> columns;
  std::vector<LiveRow> rows;
  std::string more_of = "rows";  // `and 12 more devices`
};

[[nodiscard]] std::vector<std::string> render_table(const LiveFrame& frame, const TerminalSize& size, bool colour);

}  // namespace culvert
