// SPDX-License-Identifier: Apache-2.0
// The durable position of one partition, and what the log below it amounts to.
//
// Flow    written after the items of a flush; read at every assignment (daemon) or invocation (function).
// Owner   value.
// Time    maxima are of event time and of record time *over the records below `next`*, never over what was seen since:
//         reading again from `next` must judge lateness exactly as the first reading did.
// Bounds  at most kRangesMost ranges above `next`.
// See     docs/ARCHITECTURE.md, "Checkpoints"; docs/formats.md.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert {

inline constexpr std::size_t kRangesMost = 64;

// How windows become visible; see docs/semantics.md: emission.
enum class Emission : std::uint8_t {
  kEarly,  // every changed window at each flush
  kFinal,  // a window once it is closed, and again when a late reading within the allowed lateness corrects it
};

// What the records of an offset range amount to: each of them is in exactly one of folded, late and dead_letters.
struct Counts {
  std::int64_t records = 0;
  std::int64_t folded = 0;        // in at least one window
  std::int64_t late = 0;          // late for all of its windows
  std::int64_t dead_letters = 0;  // not decodable
  void add(const Counts& other);
  friend bool operator==(const Counts&, const Counts&) = default;
};

struct Progress {
  std::optional<EventTime> max_event_time;  // of readings, whether folded or late; absent: none yet
  std::optional<RecordTime> max_timestamp;  // of all records that carry one
  Counts counts;

  void raise_event_time(EventTime time);
  void raise_timestamp(RecordTime time);
  // Both progresses one after the other (maxima joined, counts added).
  void add(const Progress& other);
  friend bool operator==(const Progress&, const Progress&) = default;
};

// Records above `next` that are folded too (a function's later batch came first).  Carries its own progress, so that
// `next` can absorb it without reading it again.
struct CoveredRange {
  OffsetRange offsets;
  Progress progress;
  friend bool operator==(const CoveredRange&, const CoveredRange&) = default;
};

struct Checkpoint {
  Offset start;       // where folding of this partition began; everything below it was never meant to be folded
  Offset next;        // every record of [start, next) is in every item it belongs to, or is a dead letter
  Progress progress;  // over [start, next)
  std::vector<CoveredRange> ranges;  // ascending, disjoint, above next and not adjoining it
  std::string definition;            // definition_text()
  Emission emission = Emission::kEarly;
  std::string topic_id;  // the broker's id of the topic; empty where it is not known
  friend bool operator==(const Checkpoint&, const Checkpoint&) = default;

  // True if the record at `offset` has been dealt with.
  [[nodiscard]] bool covers(Offset offset) const;
  [[nodiscard]] const CoveredRange* range_of(Offset offset) const;
};

struct PartitionCheckpoint {
  StreamPartition where;
  Checkpoint checkpoint;
};

// `checkpoint` with [range) covered as well; `range` must overlap neither [start, next) nor any of the ranges (the
// caller filters records that are covered already).  Adjoining ranges are absorbed.
// Error (kData, fatal): more than kRangesMost ranges.
[[nodiscard]] Result<Checkpoint> cover(Checkpoint checkpoint, const CoveredRange& range);

// Ranges as one text value: `first-next:max_event_time:max_timestamp:records:folded:late:dead_letters`, separated by
// spaces; an absent maximum is `-`.
[[nodiscard]] std::string ranges_text(const std::vector<CoveredRange>& ranges);
[[nodiscard]] Result<std::vector<CoveredRange>> parse_ranges(std::string_view text);

}  // namespace culvert
