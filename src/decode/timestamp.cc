// SPDX-License-Identifier: Apache-2.0
#include "decode/timestamp.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>

#include "decode/json_scanner.h"
#include "decode/swar.h"
#include "model/check.h"

namespace culvert {

namespace {

constexpr std::int64_t kSecondMs = 1'000;
constexpr std::int64_t kMinuteMs = 60 * kSecondMs;
constexpr std::int64_t kHourMs = 60 * kMinuteMs;
constexpr std::int64_t kDayMs = 24 * kHourMs;

constexpr std::ptrdiff_t kDateBytes = 10;     // 2023-05-01
constexpr std::ptrdiff_t kSecondsBytes = 19;  // 2023-05-01T12:00:00
constexpr std::ptrdiff_t kZoneBytes = 6;      // +05:30
constexpr std::size_t kFractionDigitsMost = 9;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Two digits, or something above 99 if they are not.
constexpr unsigned two_digits(const char* at) {
  return is_digit(at[0]) && is_digit(at[1]) ? static_cast<unsigned>((at[0] - '0') * 10 + (at[1] - '0')) : 1000;
}

// Top bit of each byte of a word that does not fit `hh:mm:ss`; `values` is the word XORed with "00:00:00".
constexpr std::uint64_t kClockZeros = 0x30303a30303a3030ULL;
constexpr std::uint64_t kClockLimits = 0x76767f76767f7676ULL;

// The eight bytes hh:mm:ss as milliseconds, or -1.
std::int64_t clock_ms(const char* at) {
  const std::uint64_t values = swar::load8(at) ^ kClockZeros;
  if (((values | (values + kClockLimits)) & swar::kTops) != 0) return -1;
  const std::uint64_t pairs = values * 10 + (values >> 8);  // each tens digit joined with the digit behind it
  const auto hour = static_cast<std::int64_t>(pairs & 0xff);
  const auto minute = static_cast<std::int64_t>(pairs >> 24 & 0xff);
  const auto second = static_cast<std::int64_t>(pairs >> 48 & 0xff);
  if (hour > 23 || minute > 59 || second > 60) return -1;
  return hour * kHourMs + minute * kMinuteMs + second * kSecondMs;
}

// Reads the digits behind a point; returns their end, or null if there are none or too many.
const char* scan_fraction(const char* at, const char* end, std::int64_t& ms) {
  std::size_t count = 0;
  if (end - at >= 8) {
    const std::uint64_t values = swar::load8(at) ^ swar::repeat('0');
    count = swar::bytes_before(swar::non_digits(values));
    const auto digit = [&](int i) { return static_cast<std::int64_t>(values >> (8 * i) & 0xff); };
    if (count >= 3) ms = digit(0) * 100 + digit(1) * 10 + digit(2);
    if (count == 1) ms = digit(0) * 100;
    if (count == 2) ms = digit(0) * 100 + digit(1) * 10;
    if (count < 8) return count == 0 ? nullptr : at + count;
  }
  ms = 0;
  for (count = 0; at + count != end && is_digit(at[count]); ++count) {
    constexpr std::array<std::int64_t, 3> kWeights{100, 10, 1};
    if (count < kWeights.size()) ms += (at[count] - '0') * kWeights[count];
  }
  return count == 0 || count > kFractionDigitsMost ? nullptr : at + count;
}

// Reads `Z`, `+05:30` or nothing; returns the end, or null if a sign is followed by something else.
const char* scan_zone(const char* at, const char* end, std::int64_t& offset_ms) {
  if (at == end) return at;
  if (*at == 'Z' || *at == 'z') return at + 1;
  if (*at != '+' && *at != '-') return at;
  if (end - at < kZoneBytes || at[3] != ':') return nullptr;
  const unsigned hour = two_digits(at + 1);
  const unsigned minute = two_digits(at + 4);
  if (hour > 23 || minute > 59) return nullptr;
  offset_ms = hour * kHourMs + minute * kMinuteMs;
  if (*at == '-') offset_ms = -offset_ms;
  return at + kZoneBytes;
}

}  // namespace

const char* TimestampReader::scan(const char* at, const char* end, EventTime& time) {
  if (end - at < kSecondsBytes) return nullptr;
  std::uint16_t back = 0;
  std::memcpy(&back, at + 8, 2);
  if (swar::load8(at) != day_front_ || back != day_back_) {
    if (!remember_day(at)) return nullptr;
  }
  const char separator = at[kDateBytes];
  if (separator != 'T' && separator != 't' && separator != ' ') return nullptr;
  const std::int64_t in_day = clock_ms(at + kDateBytes + 1);
  if (in_day < 0) return nullptr;
  const char* next = at + kSecondsBytes;
  std::int64_t fraction_ms = 0;
  if (next != end && *next == '.') {
    next = scan_fraction(next + 1, end, fraction_ms);
    if (next == nullptr) return nullptr;
  }
  std::int64_t offset_ms = 0;
  next = scan_zone(next, end, offset_ms);
  time = EventTime{day_ms_ + in_day + fraction_ms - offset_ms};
  if (time < kEventTimeFirst || time >= kEventTimeNext) return nullptr;
  return next;
}

bool TimestampReader::read(std::string_view text, EventTime& time) {
  const char* const end = text.data() + text.size();
  return scan(text.data(), end, time) == end && !text.empty();
}

bool TimestampReader::remember_day(const char* date) {
  using std::chrono::sys_days;
  const unsigned century = two_digits(date);
  const unsigned year_in_century = two_digits(date + 2);
  const unsigned month = two_digits(date + 5);
  const unsigned day = two_digits(date + 8);
  if (century > 99 || year_in_century > 99 || month > 12 || day > 31 || date[4] != '-' || date[7] != '-') return false;
  const std::chrono::year_month_day ymd{std::chrono::year{static_cast<int>(century * 100 + year_in_century)},
                                        std::chrono::month{month}, std::chrono::day{day}};
  if (!ymd.ok()) return false;
  day_ms_ = sys_days{ymd}.time_since_epoch().count() * kDayMs;
  day_front_ = swar::load8(date);
  std::memcpy(&day_back_, date + 8, 2);
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
