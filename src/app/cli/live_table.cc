// SPDX-License-Identifier: Apache-2.0
#include "app/cli/live_table.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/cli/live_area.h"
#include "model/check.h"

namespace culvert {

namespace {

constexpr std::size_t kGap = 2;

std::string_view tone_colour(RowTone tone) {
  switch (tone) {
    case RowTone::kPlain:
      return "";
    case RowTone::kDim:
      return "\x1b[2m";
    case RowTone::kWarning:
      return "\x1b[33m";
  }
  return "";
}

std::string coloured(std::string text, std::string_view colour) {
  return colour.empty() ? text : fmt::format("{}{}\x1b[0m", colour, text);
}

// Padded by what is visible: a device id may hold any characters.
void append_cell(std::string& line, const std::string& text, std::size_t width, CellAlign align) {
  const std::string padding(width - std::min(width, visible_width(text)), ' ');
  line += align == CellAlign::kRight ? padding + text : text + padding;
}

class Layout {
 public:
  Layout(const std::vector<LiveColumn>& columns, std::size_t columns_most) : columns_(columns), most_(columns_most) {
    for (const LiveColumn& column : columns) widths_.push_back(visible_width(column.title));
  }

  void widen(const std::vector<std::string>& cells) {
    CULVERT_CHECK(cells.size() == columns_.size(), "a live table's row has as many cells as columns");
    for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], visible_width(cells[i]));
  }

  // The cells that fit, from the left.
  [[nodiscard]] std::string line(const std::vector<std::string>& cells) const {
    std::string out;
    std::size_t used = 0;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::size_t needed = widths_[i] + (i == 0 ? 0 : kGap);
      if (i > 0 && used + needed > most_) break;
      if (i > 0) out.append(kGap, ' ');
      append_cell(out, cells[i], widths_[i], columns_[i].align);
      used += needed;
    }
    return out;
  }

 private:
  const std::vector<LiveColumn>& columns_;
  const std::size_t most_;
  std::vector<std::size_t> widths_;
};

}  // namespace

std::vector<std::string> render_table(const LiveFrame& frame, const TerminalSize& size, bool colour) {
  const auto columns = static_cast<std::size_t>(size.columns - 1);
  const auto rows = static_cast<std::size_t>(size.rows - 1);
  std::vector<std::string> out;
  for (const std::string& line : frame.head) out.push_back(cut_to_width(line, columns));
  // Titles, and the line that counts what does not fit.
  const std::size_t taken = out.size() + 1;
  const std::size_t room = rows > taken ? rows - taken : 0;
  const bool all_fit = frame.rows.size() <= room;
  const std::size_t shown = all_fit ? frame.rows.size() : (room == 0 ? 0 : room - 1);

  std::vector<std::vector<std::string>> cells;
  Layout layout(frame.columns, columns);
  for (std::size_t i = 0; i < shown; ++i) {
    std::vector<std::string>& row = cells.emplace_back();
    for (const std::string& cell : frame.rows[i].cells) row.push_back(printable(cell));
    layout.widen(row);
  }
  std::vector<std::string> titles;
  for (const LiveColumn& column : frame.columns) titles.push_back(column.title);
  out.push_back(coloured(cut_to_width(layout.line(titles), columns), colour ? "\x1b[1m" : ""));
  for (std::size_t i = 0; i < shown; ++i) {
    out.push_back(
        coloured(cut_to_width(layout.line(cells[i]), columns), colour ? tone_colour(frame.rows[i].tone) : ""));
  }
  if (!all_fit) out.push_back(fmt::format("and {} more {}", frame.rows.size() - shown, frame.more_of));
  out.resize(std::min(out.size(), rows));
  return out;
}

}  // namespace culvert
