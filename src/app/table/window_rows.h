// SPDX-License-Identifier: Apache-2.0
// How an item of the table is shown: as JSON, as CSV, as a row for people.
//
// Flow    TableReader -> StoredItem -> [window_rows] -> query, dashboard.
// Owner   free functions; WindowStates is made once from the checkpoints.
// Time    windows as UTC text of fixed width; `closed` by the checkpoints' watermarks, never by a clock.
// Bounds  none of its own.
// See     docs/formats.md: query output.  Numbers are written from integers, so the same table gives the same bytes.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/definition.h"
#include "pipeline/ports.h"

namespace culvert {

// Which windows no reading can change any more, but for late ones within the allowed lateness.
class WindowStates {
 public:
  WindowStates(const std::vector<PartitionCheckpoint>& checkpoints, const Definition& definition);
  // True iff the window's end is at or below the watermark of every partition that its item has readings of.
  [[nodiscard]] bool closed(const StoredItem& item) const;

 private:
  std::map<std::string, EventTime, std::less<>> watermarks_;  // by fence name; absent: no reading yet
};

// `open` or `closed`.
[[nodiscard]] std::string_view state_name(bool closed);

// One JSON object, no line break.  `name` is the stem of the value's columns (avg_NAME, ..).
[[nodiscard]] std::string window_json(const StoredItem& item, std::string_view name, bool closed);

// Lines of RFC 4180 without their line break: names, and the values in the same order and form as window_json.
[[nodiscard]] std::string window_csv_header(std::string_view name);
[[nodiscard]] std::string window_csv(const StoredItem& item, bool closed);

// Cells for people: device, start, stop, count, mean, min, max, stddev, state.
[[nodiscard]] std::vector<std::string> window_cells(const StoredItem& item, bool closed);

}  // namespace culvert
