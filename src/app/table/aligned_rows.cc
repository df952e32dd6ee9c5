// SPDX-License-Identifier: Apache-2.0
#include "app/table/aligned_rows.h"

#include <algorithm>

#include "app/cli/live_area.h"
#include "model/check.h"

namespace culvert {

void AlignedRows::add(std::vector<std::string> cells) {
  CULVERT_CHECK(cells.size() == columns_.size(), "a row of another table");
  if (!widths_.empty()) return write(cells);
  held_.push_back(std::move(cells));
  if (held_.size() == kSampleRowsMost) finish();
}

void AlignedRows::finish() {
  if (!widths_.empty() || held_.empty()) return;
  std::vector<std::string> titles;
  for (const Column& column : columns_) {
    titles.push_back(column.title);
    widths_.push_back(visible_width(column.title));
  }
  for (const auto& cells : held_) {
    for (std::size_t i = 0; i < cells.size(); ++i) widths_[i] = std::max(widths_[i], visible_width(cells[i]));
  }
  write(titles);
  for (const auto& cells : held_) write(cells);
  held_.clear();
}

void AlignedRows::write(const std::vector<std::string>& cells) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t width = visible_width(cells[i]);
    const std::string padding(widths_[i] > width ? widths_[i] - width : 0, ' ');
    if (i > 0) line += "  ";
    line += columns_[i].align == Align::kRight ? padding + cells[i] : cells[i] + padding;
  }
  line.erase(line.find_last_not_of(' ') + 1);
  out_.line(line);
}

}  // namespace culvert
