// SPDX-License-Identifier: Apache-2.0
// What the demo shows while it runs: a table of windows that fills up, or a line each second.
//
// Flow    DemoFigures, stored items -> [demo_frame] -> render_table() -> LiveArea; or [demo_line] -> stdout.  Pure.
// Owner   demo_command.cc.
// Time    event time in rows; seconds since the start in figures.
// Bounds  as many rows as the terminal has; the newest windows come first.
// See     live_table.h.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "app/cli/live_table.h"
#include "app/demo/feed.h"
#include "model/ids.h"
#include "model/time.h"
#include "pipeline/ports.h"

namespace culvert {

struct DemoFigures {
  DemoFeed::Figures feed;
  std::int64_t seconds = 0;
  double rate = 0;  // records read a second
  std::int64_t read = 0;
  std::int64_t stored = 0;  // records whose windows are in the table
  std::int64_t dead_letters = 0;
  std::int64_t late = 0;                          // of those
  std::map<PartitionId, EventTime> watermarks{};  // of partitions that have one
};

// A window is closed once its end has been passed by the watermarks of all partitions that contributed to it.
[[nodiscard]] bool window_closed(const StoredItem& item, const std::map<PartitionId, EventTime>& watermarks);

class DemoView {
 public:
  explicit DemoView(std::string table_name) : table_name_(std::move(table_name)) {}

  // Closed windows are dim; one that a late reading corrects stands out.
  [[nodiscard]] LiveFrame frame(const DemoFigures& figures, std::vector<StoredItem> items);

 private:
  const std::string table_name_;
  std::map<ItemKey, std::int64_t> closed_counts_;
};

// `demo: seconds=3 sent=600 acknowledged=598 read=580 stored=400 dead_letters=4 late=1`
[[nodiscard]] std::string demo_line(const DemoFigures& figures);

}  // namespace culvert
