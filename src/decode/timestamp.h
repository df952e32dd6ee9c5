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

#include "decode/swar.h"
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
  bool remember_minute(const char* at);
  const char* scan_seconds(const char* at, const char* end, EventTime& time) const;

  // The first sixteen bytes of the time read last, yyyy-mm-ddThh:mm, and what they come to: successive records mostly
  // share their minute, and nearly always their day.  At first a time that is one: no value of the words would stand
  // for "none", because any sixteen bytes can come in.
  std::uint64_t front_ = swar::word("1970-01-");
  std::uint64_t back_ = swar::word("01T00:00");
  std::int64_t day_ms_ = 0;
  std::int64_t minute_ms_ = 0;
};

// In the header, because decoding a record is not much longer than calling this would be.
inline const char* TimestampReader::scan(const char* at, const char* end, EventTime& time) {
  constexpr std::ptrdiff_t kSecondsBytes = 19;  // 2023-05-01T12:00:00
  constexpr std::ptrdiff_t kMillisBytes = 23;   // 2023-05-01T12:00:00.123
  if (end - at < kSecondsBytes) return nullptr;
  if (swar::load8(at) != front_ || swar::load8(at + 8) != back_) {
    if (!remember_minute(at)) return nullptr;
  }
  // The usual rest, a fraction of three to nine digits and no zone or Z, with a word to be loaded behind its third.
  if (end - at >= kMillisBytes + 8) [[likely]] {
    constexpr std::uint64_t kZeros = swar::word("0:00.000");
    constexpr std::uint64_t kByteLimits = 0x7676767f76767f76ULL;  // added, lifts digits above 9 and separators above 0
    const std::uint64_t values = swar::load8(at + 15) ^ kZeros;
    const std::uint64_t pairs = values * 10 + (values >> 8);  // each digit joined with the digit behind it
    const std::uint64_t second = pairs >> 16 & 0xff;
    const std::uint64_t more = swar::load8(at + kMillisBytes) ^ swar::repeat('0');
    const std::size_t more_count = swar::bytes_before(swar::non_digits(more));
    if (((values | (values + kByteLimits)) & swar::kTops) == 0 && second < 60 && more_count <= 6) [[likely]] {
      const std::uint64_t in_minute = second * 1'000 + (pairs >> 40 & 0xff) * 10 + (values >> 56);
      const std::int64_t ms = minute_ms_ + static_cast<std::int64_t>(in_minute);
      const char* next = at + kMillisBytes + more_count;
      next += *next == 'Z';
      time = EventTime{ms};
      // Below `+` no zone begins, and a quote lies there.  A time before 1970 may come in by its zone.
      if (*next < '+' && ms >= 0) return next;
    }
  }
  return scan_seconds(at + kSecondsBytes - 3, end, time);
}

// The text of a JSON number, exactly: `1682942400.5` s, `1.6829424e12` ms.  False if it is not a number or lies outside
// of the bounds.  `unit` must not be kText.
bool read_epoch(std::string_view text, TimestampUnit unit, EventTime& time);

}  // namespace culvert
