// SPDX-License-Identifier: Apache-2.0
#include "decode/timestamp.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "decode/json_scanner.h"
#include "decode/swar.h"
#include "model/check.h"

namespace culvert {

namespace {

constexpr std::int64_t kSecondMs = 1'000;
constexpr std::int64_t kMinuteMs = 60 * kSecondMs;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::int64_t kDayMs = 24 * kHourMs;

constexpr std::ptrdiff_t kZoneBytes = 6;  // +05:30
constexpr std::size_t kFractionDigitsMost = 9;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Two digits, or something above 99 if they are not.
constexpr unsigned two_digits(const char* at) {
  return is_digit(at[0]) && is_digit(at[1]) ? static_cast<unsigned>((at[0] - '0') * 10 + (at[1] - '0')) : 1000;
}

// Adds the digits behind a point to `ms`; returns their end, or null if there are none or too many.
const char* scan_fraction(const char* at, const char* end, std::int64_t& ms) {
  constexpr std::array<std::int64_t, 3> kWeights{100, 10, 1};
  std::size_t count = 0;
  for (; at + count != end && is_digit(at[count]); ++count) {
    if (count < kWeights.size()) ms += (at[count] - '0') * kWeights[count];
  }
  return count == 0 || count > kFractionDigitsMost ? nullptr : at + count;
}

// Takes `Z`, `+05:30` or nothing off `ms`; returns the end, or null if a sign is followed by something else.
const char* scan_zone(const char* at, const char* end, std::int64_t& ms) {
  if (at == end) return at;
  if (*at == 'Z' || *at == 'z') return at + 1;
  if (*at != '+' && *at != '-') return at;
  if (end - at < kZoneBytes || at[3] != ':') return nullptr;
  const unsigned hour = two_digits(at + 1);
  const unsigned minute = two_digits(at + 4);
  if (hour > 23 || minute > 59) return nullptr;
  const std::int64_t offset_ms = hour * kHourMs + minute * kMinuteMs;
  ms -= *at == '-' ? -offset_ms : offset_ms;
  return at + kZoneBytes;
}

// The ten bytes yyyy-mm-dd as milliseconds.
bool read_date(const char* date, std::int64_t& ms) {
  const unsigned century = two_digits(date);
  const unsigned year_in_century = two_digits(date + 2);
  const unsigned month = two_digits(date + 5);
  const unsigned day = two_digits(date + 8);
  if (century > 99 || year_in_century > 99 || month > 12 || day > 31 || date[4] != '-' || date[7] != '-') return false;
  const std::chrono::year_month_day ymd{std::chrono::year{static_cast<int>(century * 100 + year_in_century)},
                                        std::chrono::month{month}, std::chrono::day{day}};
  if (!ymd.ok()) return false;
  ms = std::chrono::sys_days{ymd}.time_since_epoch().count() * kDayMs;
  return true;
}

}  // namespace

// at is on the colon in front of the seconds; at least three bytes follow.
const char* TimestampReader::scan_seconds(const char* at, const char* end, EventTime& time) const {
  const unsigned second = two_digits(at + 1);
  if (*at != ':' || second > 60) return nullptr;
  std::int64_t ms = minute_ms_ + second * kSecondMs;
  at += 3;
  if (at != end && *at == '.') {
    at = scan_fraction(at + 1, end, ms);
    if (at == nullptr) return nullptr;
  }
  at = scan_zone(at, end, ms);
  time = EventTime{ms};
  return time < kEventTimeFirst || time >= kEventTimeNext ? nullptr : at;
}

bool TimestampReader::read(std::string_view text, EventTime& time) {
  const char* const end = text.data() + text.size();
  return scan(text.data(), end, time) == end && !text.empty();
}

// Reads yyyy-mm-ddThh:mm.
bool TimestampReader::remember_minute(const char* at) {
  constexpr std::uint64_t kDate = 0xffff;                       // of the second word, DDThh:mm: the day of the month
  constexpr std::uint64_t kZeros = 0x30303a3030000000ULL;       // ...00:00, first byte lowest
  constexpr std::uint64_t kByteLimits = 0x76767f7676000000ULL;  // added, lifts digits above 9 and the colon above 0
  constexpr std::uint64_t kClock = 0xffffffffff000000ULL;
  const std::uint64_t front = swar::load8(at);
  const std::uint64_t back = swar::load8(at + 8);
  std::int64_t day_ms = day_ms_;
  if ((front != front_ || ((back ^ back_) & kDate) != 0) && !read_date(at, day_ms)) return false;
  const char separator = at[10];
  if (separator != 'T' && separator != 't' && separator != ' ') return false;
  const std::uint64_t values = (back ^ kZeros) & kClock;
  if (((values | (values + kByteLimits)) & swar::kTops) != 0) return false;
  const std::uint64_t pairs = values * 10 + (values >> 8);  // each digit joined with the digit behind it
  const auto hour = static_cast<std::int64_t>(pairs >> 24 & 0xff);
  const auto minute = static_cast<std::int64_t>(pairs >> 48 & 0xff);
  if (hour > 23 || minute > 59) return false;
  front_ = front;
  back_ = back;
  day_ms_ = day_ms;
  minute_ms_ = day_ms + hour * kHourMs + minute * kMinuteMs;
  return true;
}

bool read_epoch(std::string_view text, TimestampUnit unit, EventTime& time) {
  CULVERT_CHECK(unit != TimestampUnit::kText, "an epoch number was to be read as text");
  JsonNumberParts parts;
  std::size_t length = 0;
  if (split_json_number(text, parts, length) != JsonFault::kNone || length != text.size()) return false;
  // Beyond the digits of any text that fits in memory, so a clamped exponent decides as the true one would.
  constexpr std::int64_t kExponentClamp = 1'000'000'000'000;
  std::int64_t exponent = 0;
  for (const char c : parts.exponent) exponent = std::min(kExponentClamp, exponent * 10 + (c - '0'));
  if (parts.exponent_negative) exponent = -exponent;

  const std::size_t count = parts.whole.size() + parts.fraction.size();
  const auto digit = [&](std::size_t i) {
    return (i < parts.whole.size() ? parts.whole[i] : parts.fraction[i - parts.whole.size()]) - '0';
  };
  std::size_t first = 0;
  while (first < count && digit(first) == 0) ++first;
  time = EventTime{0};
  if (first == count) return true;   // zero, whatever its sign and exponent
  if (parts.negative) return false;  // rounds to -1 ms or below
  // Digits before this index count milliseconds or more; the rest is dropped, which rounds toward minus infinity.
  const std::int64_t kept =
      static_cast<std::int64_t>(parts.whole.size()) + exponent + (unit == TimestampUnit::kSeconds ? 3 : 0);
  const std::int64_t significant = kept - static_cast<std::int64_t>(first);
  if (significant > 15) return false;  // at least 1e15 ms: beyond the year 9999
  std::int64_t ms = 0;
  for (std::int64_t i = 0; i < significant; ++i) {
    const std::size_t index = first + static_cast<std::size_t>(i);
    ms = ms * 10 + (index < count ? digit(index) : 0);
  }
  time = EventTime{ms};
  return time < kEventTimeNext;
}

}  // namespace culvert
