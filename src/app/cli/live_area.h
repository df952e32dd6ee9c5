// SPDX-License-Identifier: Apache-2.0
// The bottom lines of a terminal that are drawn again and again: progress, live tables.
//
// Flow    commands show() lines; the log writes above them through write_above().
// Owner   program.cc makes one for the process.
// Time    none; whoever shows decides how often.
// Bounds  as many lines as the terminal has rows, less one; longer lines are cut to its width.
// See     live_table.h, progress_line.h, log.h.
//
// Without a terminal nothing is drawn, and write_above() is a plain write.
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/terminal.h"

namespace culvert {

class LiveArea {
 public:
  // Draws on `descriptor` if that is a terminal.
  explicit LiveArea(int descriptor);
  LiveArea(const LiveArea&) = delete;
  LiveArea& operator=(const LiveArea&) = delete;
  ~LiveArea() { clear(); }

  [[nodiscard]] bool active() const { return active_; }
  [[nodiscard]] TerminalSize size() const { return terminal_size(descriptor_); }

  // Any thread.  Replaces what was shown.
  void show(std::vector<std::string> lines);
  void clear() { show({}); }
  // Text that ends with a line break, written where the area begins; the area moves down.
  void write_above(int descriptor, std::string_view text);

 private:
  [[nodiscard]] std::string erased() const;
  [[nodiscard]] std::string drawn() const;

  const int descriptor_;
  const bool active_;
  std::mutex mutex_;
  std::vector<std::string> lines_;  // as they stand on the terminal
};

// Columns that a text takes: one for each code point, none for colour sequences.
[[nodiscard]] std::size_t visible_width(std::string_view text);
// The text cut to at most `columns`, colours closed.
[[nodiscard]] std::string cut_to_width(std::string_view text, std::size_t columns);
// Rows that the cursor has to go up to reach the first of `lines` in a terminal of that width.
[[nodiscard]] std::size_t rows_above_cursor(const std::vector<std::string>& lines, std::size_t columns);
// Control characters, which may come out of records, as `\xNN`.
[[nodiscard]] std::string printable(std::string_view text);

}  // namespace culvert
