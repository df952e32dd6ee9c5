// SPDX-License-Identifier: Apache-2.0
// Event time, record time and windows.
//
// Flow    decode produces EventTime, window assigns Windows, the tables print them.
// Owner   values.
// Time    both clocks are milliseconds since the Unix epoch, UTC.  They are different types, because a record's own
//         timestamp (set by producer or broker) must never be used where the time inside the record is meant.
// Bounds  readings lie in [1970-01-01, 10000-01-01); hopping windows may start up to one size earlier.
// See     docs/semantics.md: windows.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/ids.h"

namespace culvert {

using Millis = std::chrono::milliseconds;

template <class Tag>
class TimePoint : public Strong<Tag, std::int64_t> {
 public:
  using Strong<Tag, std::int64_t>::Strong;
  friend constexpr TimePoint operator+(TimePoint t, Millis d) { return TimePoint{t.value() + d.count()}; }
  friend constexpr TimePoint operator-(TimePoint t, Millis d) { return TimePoint{t.value() - d.count()}; }
  friend constexpr Millis operator-(TimePoint a, TimePoint b) { return Millis{a.value() - b.value()}; }
};

// When it happened, from inside the record.
using EventTime = TimePoint<struct EventTimeTag>;
// The Kafka record's own timestamp.  Absent on very old logs: std::optional where it is used.
using RecordTime = TimePoint<struct RecordTimeTag>;

inline constexpr EventTime kEventTimeFirst{0};               // 1970-01-01T00:00:00.000Z
inline constexpr EventTime kEventTimeNext{253402300800000};  // 10000-01-01T00:00:00.000Z, exclusive

// Half-open [start, end).
struct Window {
  EventTime start;
  EventTime end;
  friend constexpr auto operator<=>(const Window&, const Window&) = default;
};

// `2026-11-23T15:57:00.000Z`: fixed width, so that text order is time order.
[[nodiscard]] std::string format_utc(EventTime time);
// The inverse of format_utc, also without fraction or zone (UTC).  nullopt if it is anything else.
[[nodiscard]] std::optional<EventTime> parse_utc(std::string_view text);

// `250ms`, `10s`, `5m`, `1h`, `2d`, or a sum such as `1h30m`; nullopt otherwise, and above 10 years.
[[nodiscard]] std::optional<Millis> parse_duration(std::string_view text);
// The shortest text that parse_duration reads back: 90000 ms -> `1m30s`, 0 -> `0s`.
[[nodiscard]] std::string format_duration(Millis duration);

}  // namespace culvert
