// SPDX-License-Identifier: Apache-2.0
// Rows in columns, for people who read a finished table.
//
// Flow    a command's rows -> [AlignedRows] -> Output.
// Owner   the command, for one table.
// Time    none.
// Bounds  the first sample_rows_max rows are held back to find the columns' widths; later rows that are wider stand out
// of
//         line rather than being cut.
// See     live_table.h for a table that is drawn again and again.
#pragma once

#include <string>
#include <vector>

#include "app/cli/output.h"

namespace culvert {

class AlignedRows {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };

  static constexpr std::size_t kSampleRowsMost = 5'000;

  AlignedRows(std::vector<Column> columns, Output& out) : columns_(std::move(columns)), out_(out) {}
  // As many cells as columns; text from outside must have gone through visible_text().
  void add(std::vector<std::string> cells);
  // Writes what is held back.  With no rows, nothing at all is written.
  void finish();

 private:
  void write(const std::vector<std::string>& cells);

  const std::vector<Column> columns_;
  Output& out_;
  std::vector<std::size_t> widths_;  // empty: still sampling
  std::vector<std::vector<std::string>> held_;
};

}  // namespace culvert
