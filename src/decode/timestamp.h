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
#include <cstring>
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
  bool remember_day(const char* date);

  // What may stand behind the seconds, wherever it is not the common case.
  static const char* scan_fraction(const char* at, const char* end, std::int64_t& ms);
  static const char* scan_zone(const char* at, const char* end, std::int64_t& ms);

  // The ten bytes of the date read last, and its midnight.  No date consists of zero bytes.
  std::uint64_t day_front_ = 0;
  std::uint16_t day_back_ = 0;
  std::int64_t day_ms_ = 0;
};

namespace timestamp_detail {

inline constexpr std::ptrdiff_t kDateBytes = 10;     // 2023-05-01
inline constexpr std::ptrdiff_t kSecondsBytes = 19;  // 2023-05-01T12:00:00

// The eight bytes hh:mm:ss as milliseconds, or -1.
inline std::int64_t clock_ms(const char* at) {
  constexpr std::uint64_t kZeros = 0x30303a30303a3030ULL;       // 00:00:00, first byte lowest
  constexpr std::uint64_t kByteLimits = 0x76767f76767f7676ULL;  // added, lifts digits above 9 and separators above 0
  const std::uint64_t values = swar::load8(at) ^ kZeros;
  const std::uint64_t pairs = values * 10 + (values >> 8);  // each tens digit joined with the digit behind it
  constexpr std::uint64_t kPairs = 0x00ff0000ff0000ffULL;
  constexpr std::uint64_t kPairLimits = 0x0043000044000068ULL;  // 127 - 60, 127 - 59, 127 - 23
  const std::uint64_t beyond = values | (values + kByteLimits) | ((pairs & kPairs) + kPairLimits);
  if ((beyond & swar::kTops) != 0) return -1;
  return static_cast<std::int64_t>((pairs & 0xff) * 3'600'000 + (pairs >> 24 & 0xff) * 60'000 +
                                   (pairs >> 48 & 0xff) * 1'000);
}

}  // namespace timestamp_detail

// In the header, because decoding a record is not much longer than calling this would be.
inline const char* TimestampReader::scan(const char* at, const char* end, EventTime& time) {
  using namespace timestamp_detail;
  if (end - at < kSecondsBytes) return nullptr;
  std::uint16_t back = 0;
  std::memcpy(&back, at + 8, 2);
  if (swar::load8(at) != day_front_ || back != day_back_) [[unlikely]] {
    if (!remember_day(at)) return nullptr;
  }
  const char separator = at[kDateBytes];
  if (separator != 'T' && separator != 't' && separator != ' ') return nullptr;
  const std::int64_t in_day = clock_ms(at + kDateBytes + 1);
  if (in_day < 0) return nullptr;
  std::int64_t ms = day_ms_ + in_day;
  at += kSecondsBytes;
  if (at != end && *at == '.') {
    std::size_t count = 0;
    if (end - at > 8) [[likely]] {
      const std::uint64_t values = swar::load8(at + 1) ^ swar::repeat('0');
      count = swar::bytes_before(swar::non_digits(values));
      ms += static_cast<std::int64_t>((values & 0xff) * 100 + (values >> 8 & 0xff) * 10 + (values >> 16 & 0xff));
    }
    if (count >= 3 && count < 8) [[likely]] {
      at += count + 1;
    } else {
      ms = day_ms_ + in_day;
      at = scan_fraction(at + 1, end, ms);
      if (at == nullptr) return nullptr;
    }
  }
  if (at != end && *at >= '+') [[unlikely]] {  // below that no zone begins, and a quote lies there
    at = scan_zone(at, end, ms);
  }
  time = EventTime{ms};
  // As unsigned, times before 1970 are beyond the other bound too.
  return static_cast<std::uint64_t>(ms) < static_cast<std::uint64_t>(kEventTimeNext.value()) ? at : nullptr;
}

// The text of a JSON number, exactly: `1682942400.5` s, `1.6829424e12` ms.  False if it is not a number or lies outside
// of the bounds.  `unit` must not be kText.
bool read_epoch(std::string_view text, TimestampUnit unit, EventTime& time);

}  // namespace culvert
