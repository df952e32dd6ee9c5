// SPDX-License-Identifier: Apache-2.0
// Timestamps on arbitrary text, against a reader that shares nothing with the one under test.
//
// Flow    lines, read by one TimestampReader in order, by a fresh one, and by the naive one below; and as numbers.
// Owner   libFuzzer, or replay_main.cc.
// Time    none.
// Bounds  none of its own.
// See     fuzz/CMakeLists.txt.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "decode/timestamp.h"
#include "model/check.h"
#include "model/micro.h"

namespace culvert {
namespace {

// Takes characters off a text one by one; `bad` once one of them was not what it had to be.
struct Taker {
  std::string_view text;
  bool bad = false;

  bool take(std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == any_of.npos) return false;
    text.remove_prefix(1);
    return true;
  }
  void need(std::string_view any_of) { bad |= !take(any_of); }
  int digits(int count) {
    int number = 0;
    for (int i = 0; i < count; ++i) {
      if (text.empty() || text.front() < '0' || text.front() > '9') {
        bad = true;
        return 0;
      }
      number = number * 10 + (text.front() - '0');
      text.remove_prefix(1);
    }
    return number;
  }
};

std::optional<std::int64_t> naive(std::string_view text) {
  Taker taker{text};
  std::tm tm{};
  const int year = taker.digits(4);
  taker.need("-");
  const int month = taker.digits(2);
  taker.need("-");
  const int day = taker.digits(2);
  taker.need("Tt ");
  tm.tm_hour = taker.digits(2);
  taker.need(":");
  tm.tm_min = taker.digits(2);
  taker.need(":");
  const int second = taker.digits(2);
  int ms = 0;
  if (taker.take(".")) {
    int count = 0;
    for (int scale = 100; !taker.text.empty() && taker.text.front() >= '0' && taker.text.front() <= '9'; ++count) {
      ms += taker.digits(1) * scale;
      scale /= 10;
    }
    taker.bad |= count < 1 || count > 9;
  }
  int zone = 0;
  if (!taker.take("Zz") && !taker.text.empty()) {
    const int sign = taker.take("-") ? -1 : 1;
    if (sign > 0) taker.need("+");
    const int hour = taker.digits(2);
    taker.need(":");
    const int minute = taker.digits(2);
    taker.bad |= hour > 23 || minute > 59;
    zone = sign * (hour * 60 + minute);
  }
  if (taker.bad || !taker.text.empty()) return std::nullopt;
  if (tm.tm_hour > 23 || tm.tm_min > 59 || second > 60) return std::nullopt;
  tm.tm_year = year - 1900;
  tm.tm_mon = month - 1;
  tm.tm_mday = day;
  std::tm normal = tm;
  const std::int64_t seconds = timegm(&normal) + second;
  // The C library turns the 30th of February into a day of March: then it was none.
  if (normal.tm_mon != tm.tm_mon || normal.tm_mday != tm.tm_mday || normal.tm_year != tm.tm_year) return std::nullopt;
  const std::int64_t time = (seconds - std::int64_t{zone} * 60) * 1000 + ms;
  if (time < 0 || time >= kEventTimeNext.value()) return std::nullopt;
  return time;
}

// Of a plain decimal number of at most 30 digits.
std::optional<Int128> naive_thousandths(std::string_view text, std::size_t fraction_digits) {
  if (text.size() > 30 || text.find_first_of("eE-") != text.npos) return std::nullopt;
  const std::size_t point = std::min(text.find('.'), text.size());
  std::string digits{text.substr(0, point)};
  std::string fraction{text.substr(std::min(point + 1, text.size()))};
  fraction.resize(fraction_digits, '0');
  Int128 number = 0;
  for (const char c : digits + fraction) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number;
}

void check_epoch(std::string_view text, TimestampUnit unit) {
  EventTime time;
  if (!read_epoch(text, unit, time)) return;
  CULVERT_CHECK(kEventTimeFirst <= time && time < kEventTimeNext, "epoch number out of range");
  const auto expected = naive_thousandths(text, unit == TimestampUnit::kSeconds ? 3 : 0);
  if (expected) CULVERT_CHECK(*expected == time.value(), "an epoch number was read wrongly");
}

void check_line(TimestampReader& warm, std::string_view line) {
  const auto bytes = std::make_unique<char[]>(line.size());
  std::copy(line.begin(), line.end(), bytes.get());
  const std::string_view text{bytes.get(), line.size()};
  const auto expected = naive(text);
  TimestampReader cold;
  EventTime time;
  CULVERT_CHECK(cold.read(text, time) == expected.has_value(), "a fresh reader and the naive one disagree");
  if (expected) CULVERT_CHECK(time.value() == *expected, "a fresh reader reads another time than the naive one");
  CULVERT_CHECK(warm.read(text, time) == expected.has_value(), "the remembered minute decides what is a time");
  if (expected) CULVERT_CHECK(time.value() == *expected, "the remembered minute decides which time it is");
  const char* const end = warm.scan(text.data(), text.data() + text.size(), time);
  if (end != nullptr) {
    const auto front = naive(text.substr(0, static_cast<std::size_t>(end - text.data())));
    CULVERT_CHECK(front.has_value() && *front == time.value(), "scan() read a text that is no time");
  }
  check_epoch(text, TimestampUnit::kSeconds);
  check_epoch(text, TimestampUnit::kMilliseconds);
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  culvert::TimestampReader warm;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    culvert::check_line(warm, std::string_view(text).substr(at, end - at));
    at = end + 1;
  }
  return 0;
}
