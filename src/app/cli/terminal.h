// SPDX-License-Identifier: Apache-2.0
// What the standard streams are connected to.
//
// Flow    program and live tables ask before they draw.
// Owner   free functions.
// Time    the size is asked for each time, so that a resized window is followed.
// Bounds  at least 20 columns and 5 rows are reported, whatever the terminal says.
// See     https://no-color.org
#pragma once

#include <cstdint>

namespace culvert {

enum class ColourChoice : std::uint8_t { kAuto, kAlways, kNever };

struct TerminalSize {
  int columns = 80;
  int rows = 24;
};

[[nodiscard]] bool is_terminal(int descriptor);
// A terminal whose cursor can be moved: TERM is set and not `dumb`.
[[nodiscard]] bool can_draw(int descriptor);
// 80 x 24 where it cannot be told.
[[nodiscard]] TerminalSize terminal_size(int descriptor);
// kAuto: where can_draw() says yes, unless NO_COLOR is set to anything.
[[nodiscard]] bool use_colour(ColourChoice choice, int descriptor);

}  // namespace culvert
