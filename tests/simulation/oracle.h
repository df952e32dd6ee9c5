// SPDX-License-Identifier: Apache-2.0
// What the table must hold in the end, worked out by plain maps over the log, record by record.
//
// Flow    World -> [Oracle] -> Checker.
// Owner   Simulation; immutable.
// Time    judged in log order, as docs/semantics.md says; no code of src/window or src/pipeline decides anything here.
// Bounds  the world's records times the windows of each.
// See     docs/semantics.md: windows, watermark and lateness, emission.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "pipeline/ports.h"
#include "simulation/world.h"

namespace culvert::simulation {

// One reading's part in one item.
struct Contribution {
  enum class Kind { kInTime, kLate, kUnreadable };  // the last two only after a redrive
  std::size_t partition;
  Offset offset;
  Micro value;
  Kind kind = Kind::kInTime;
};

struct ExpectedItem {
  EventTime window_end;
  std::vector<Contribution> contributions;
};

// What becomes of one record.
struct Fate {
  DeadLetterReason reason = DeadLetterReason::kNone;  // of its dead letter, if there is one
  std::vector<ItemKey> items;                         // that it is folded into
};

// What the log of one partition amounts to below some record.
struct Prefix {
  std::optional<EventTime> max_event_time;
  std::optional<RecordTime> max_timestamp;
  Counts counts;
};

class Oracle {
 public:
  explicit Oracle(const World& world);

  [[nodiscard]] const std::map<ItemKey, ExpectedItem>& items() const { return items_; }
  [[nodiscard]] const Fate& fate(std::size_t partition, std::size_t index) const { return fates_[partition][index]; }
  // Over the records [0, index) of the partition.
  [[nodiscard]] const Prefix& prefix(std::size_t partition, std::size_t index) const {
    return prefixes_[partition][index];
  }
  [[nodiscard]] std::size_t records(std::size_t partition) const { return fates_[partition].size(); }
  // True if the whole log of the partition closes a window with this end.
  [[nodiscard]] bool closed(std::size_t partition, EventTime window_end) const;
  // Of the first record that has a window which the whole log leaves open; the log's end if there is none.
  [[nodiscard]] Offset first_open(std::size_t partition) const;

 private:
  void judge(const World& world, std::size_t partition);
  void contribute(const Truth& truth, std::int64_t start, const Definition& d, const Contribution& contribution);

  std::int64_t out_of_orderness_ms_;
  std::map<ItemKey, ExpectedItem> items_;
  std::vector<std::vector<Fate>> fates_;
  std::vector<std::vector<Prefix>> prefixes_;
  std::vector<Offset> first_open_;
};

}  // namespace culvert::simulation
