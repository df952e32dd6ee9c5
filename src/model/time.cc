// SPDX-License-Identifier: Apache-2.0
#include "model/time.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "model/check.h"

namespace culvert {

namespace {

using std::chrono::days;
using std::chrono::sys_days;
using std::chrono::year_month_day;

constexpr std::int64_t kDayMs = 86'400'000;
constexpr std::size_t kPlainBytes = 24;  // of a year with four digits
constexpr int kYearMost = 10'001;        // where a window of 366 days ends that holds the last reading of 9999

struct Unit {
  std::string_view name;
  std::int64_t ms;
};
constexpr std::array<Unit, 5> kUnits{{{"d", kDayMs}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};

std::optional<int> digits(std::string_view text, std::size_t at, std::size_t count) {
  if (at + count > text.size()) return std::nullopt;
  int value = 0;
  for (std::size_t i = at; i < at + count; ++i) {
    if (text[i] < '0' || text[i] > '9') return std::nullopt;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

// Reads `.123` (one to three digits) into milliseconds and moves `rest` behind it.
std::optional<int> fraction_ms(std::string_view& rest) {
  if (rest.empty() || rest.front() != '.') return 0;
  std::size_t count = 0;
  while (count + 1 < rest.size() && rest[count + 1] >= '0' && rest[count + 1] <= '9') ++count;
  if (count == 0 || count > 3) return std::nullopt;
  int value = *digits(rest, 1, count);
  for (std::size_t i = count; i < 3; ++i) value *= 10;
  rest.remove_prefix(count + 1);
  return value;
}

}  // namespace

// A window that holds the last readings of the year 9999 ends in the year 10000, whose text is wider:
// `+010000-01-01T00:00:00.000Z` (ISO 8601's expanded form, as ECMAScript has it).  Only ends have it, because a window
// starts at or below one of its readings.
// By hand: every put of an item formats two times, and a formatting library takes 5 000 instructions for each.
std::string format_utc(EventTime time) {
  const std::int64_t day = time.value() >= 0 ? time.value() / kDayMs : -((-time.value() + kDayMs - 1) / kDayMs);
  const auto in_day = static_cast<unsigned>(time.value() - day * kDayMs);
  const year_month_day date{sys_days{days{day}}};
  const auto year = static_cast<int>(date.year());
  CULVERT_CHECK(year >= 0 && year <= kYearMost, "a time that no window has");
  std::string text = "0000-00-00T00:00:00.000Z";
  if (year > 9999) text.insert(0, "+00");
  const std::size_t wider = text.size() - kPlainBytes;
  const auto put = [&](std::size_t at, std::size_t count, unsigned value) {
    for (std::size_t i = at + count; i-- > at; value /= 10) text[i] = static_cast<char>('0' + value % 10);
  };
  put(wider == 0 ? 0 : 1, wider == 0 ? 4 : 6, static_cast<unsigned>(year));
  put(wider + 5, 2, static_cast<unsigned>(date.month()));
  put(wider + 8, 2, static_cast<unsigned>(date.day()));
  put(wider + 11, 2, in_day / 3'600'000);
  put(wider + 14, 2, in_day / 60'000 % 60);
  put(wider + 17, 2, in_day / 1'000 % 60);
  put(wider + 20, 3, in_day % 1'000);
  return text;
}

std::optional<EventTime> parse_utc(std::string_view text) {
  // Above the year 9999, and only there, the year has a sign and two digits more.
  const bool expanded = !text.empty() && text.front() == '+';
  const auto century = expanded ? digits(text, 1, 2) : 0;
  if (expanded) text.remove_prefix(std::min<std::size_t>(3, text.size()));
  auto year = digits(text, 0, 4);
  const auto month = digits(text, 5, 2);
  const auto day = digits(text, 8, 2);
  const auto hour = digits(text, 11, 2);
  const auto minute = digits(text, 14, 2);
  const auto second = digits(text, 17, 2);
  if (!century || !year || !month || !day || !hour || !minute || !second) return std::nullopt;
  if (text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != ' ') || text[13] != ':' || text[16] != ':') {
    return std::nullopt;
  }
  *year += *century * 10'000;
  if (*year > kYearMost || expanded != (*year > 9999)) return std::nullopt;
  auto rest = text.substr(19);
  const auto ms = fraction_ms(rest);
  if (!ms || !(rest.empty() || rest == "Z")) return std::nullopt;
  const year_month_day date{std::chrono::year{*year}, std::chrono::month{static_cast<unsigned>(*month)},
                            std::chrono::day{static_cast<unsigned>(*day)}};
  if (!date.ok() || *hour > 23 || *minute > 59 || *second > 59) return std::nullopt;
  const std::int64_t day_number = sys_days{date}.time_since_epoch().count();
  return EventTime{day_number * kDayMs + *hour * 3'600'000LL + *minute * 60'000LL + *second * 1'000LL + *ms};
}

std::optional<Millis> parse_duration(std::string_view text) {
  constexpr std::int64_t kMost = 3653 * kDayMs;
  std::int64_t total = 0;
  if (text.empty()) return std::nullopt;
  while (!text.empty()) {
    std::int64_t count = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc{} || count < 0 || text.front() == '-') return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    std::size_t letters = 0;
    while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
    const Unit* found = nullptr;
    for (const Unit& unit : kUnits) {
      if (text.substr(0, letters) == unit.name) found = &unit;
    }
    if (found == nullptr || count > kMost / found->ms) return std::nullopt;
    total += count * found->ms;
    if (total > kMost) return std::nullopt;
    text.remove_prefix(letters);
  }
  return Millis{total};
}

std::string format_duration(Millis duration) {
  std::int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string text = rest < 0 ? "-" : "";
  rest = rest < 0 ? -rest : rest;
  for (const Unit& unit : kUnits) {
    if (rest / unit.ms == 0) continue;
    text += fmt::format("{}{}", rest / unit.ms, unit.name);
    rest %= unit.ms;
  }
  return text;
}

}  // namespace culvert
