// SPDX-License-Identifier: Apache-2.0
// Event time from its text (RFC 3339, ISO 8601) or from an epoch number.
//
// Flow    the record's timestamp field -> [TimestampReader | read_epoch] -> EventTime.  Pure.
// Owner   JsonDecoder holds one reader: it remembers the last day it worked out.
// Time    UTC; milliseconds, rounded toward minus infinity: what lies below the third digit is dropped.
// Bounds  1970-01-01 to 9999-12-31 after the zone has been applied; fractions of 1 to 9 digits.
// See     docs/semantics.md: readings.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/definition.h"
#include "model/time.h"

namespace culvert {

class TimestampReader {
 public:
  // `2023-05-01T12:00:00.123456Z`: date; `T`, `t` or a space; time; fraction or none; `Z`, `z`, +hh:mm, -hh:mm or, for
  // UTC, nothing.  Second 60 is read as the first of the next minute, at any hour: a clock that shows local time
  // without saying so has its leap second at another hour than 23.
  // Reads the longest such text at the front of [at, end) and returns where it ends, or null if there is none.  Reads
  // no byte at or behind `end`.
  const char* scan(const char* at, const char* end, EventTime& time);

  // All of `text`.
  bool read(std::string_view text, EventTime& time);

 private:
  bool remember_day(const char* date);

  // The ten bytes of the date read last, and its midnight.  No date consists of zero bytes.
  std::uint64_t day_front_ = 0;
  std::uint16_t day_back_ = 0;
  std::int64_t day_ms_ = 0;
};

// The text of a JSON number, exactly: `1682942400.5` s, `1.6829424e12` ms.  False if it is not a number or lies outside
// of the bounds.  `unit` must not be kText.
bool read_epoch(std::string_view text, TimestampUnit unit, EventTime& time);

}  // namespace culvert
