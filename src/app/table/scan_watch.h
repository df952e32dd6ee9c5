// SPDX-License-Identifier: Apache-2.0
// Says so when a command reads a whole table for which reading is paid or takes long, and how far it has come.
//
// Flow    TableReader's size and ticks -> [ScanWatch] -> log, last line of a terminal; StopFlag -> the end of the scan.
// Owner   the command, around its scan_items(); the reader must outlive it.
// Time    the steady clock, for the rate.
// Bounds  silent below kItemsWorthTelling.
// See     docs/operating.md: a table in DynamoDB.
#pragma once

#include <string>

#include "app/cli/command.h"
#include "app/cli/progress_line.h"
#include "pipeline/ports.h"

namespace culvert {

class ScanWatch {
 public:
  static constexpr std::int64_t kItemsWorthTelling = 50'000;

  // `advice`: what would read less; may be empty.
  ScanWatch(TableReader& reader, std::string_view what, std::string_view advice, const StopFlag& stop,
            CommandContext& context);
  ScanWatch(const ScanWatch&) = delete;
  ScanWatch& operator=(const ScanWatch&) = delete;
  ~ScanWatch();

  // Says in the log what reading a whole table of that size costs, if it is worth telling.
  static void warn(Log& log, const TableSize& size, std::string_view advice);

  // Asks the table for its size; without this only what is read in fact is told.
  [[nodiscard]] Result<void> begin();

 private:
  bool tick(std::int64_t items);

  TableReader& reader_;
  std::string advice_;
  const StopFlag& stop_;
  Log& log_;
  ProgressLine progress_;
  bool told_ = false;
};

}  // namespace culvert
