// SPDX-License-Identifier: Apache-2.0
#include "app/fleet/sensor_fleet.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>

#include "model/check.h"

namespace culvert {

namespace {

using std::chrono::microseconds;

constexpr std::int32_t kCentiFirst = -2'000;  // -20.00 degrees
constexpr std::int32_t kCentiLast = 6'000;
constexpr std::int32_t kCentiStepMost = 50;
// Their product stays below 2^63.
constexpr std::int64_t kRecordsPerCycleMost = 100'000'000;
constexpr microseconds kCycleMost = std::chrono::hours{24};
constexpr std::int64_t kMicrosPerDay = 86'400'000'000;

constexpr std::array<char, 200> two_digits_table() {
  std::array<char, 200> table{};
  for (std::size_t i = 0; i < 100; ++i) {
    table[2 * i] = static_cast<char>('0' + i / 10);
    table[2 * i + 1] = static_cast<char>('0' + i % 10);
  }
  return table;
}
constexpr auto kTwoDigits = two_digits_table();

char* append_two(char* out, std::int64_t value) {
  std::memcpy(out, kTwoDigits.data() + 2 * value, 2);
  return out + 2;
}

template <std::size_t N>
char* append_literal(char* out, const char (&text)[N]) {
  std::memcpy(out, text, N - 1);
  return out + (N - 1);
}

// As Python prints a float with two decimals: `21.0`, `21.5`, `-0.07`.
char* append_centi(char* out, std::int32_t centi) {
  if (centi < 0) *out++ = '-';
  const std::int32_t size = centi < 0 ? -centi : centi;
  out = std::to_chars(out, out + 8, size / 100).ptr;
  *out++ = '.';
  append_two(out, size % 100);
  return size % 10 == 0 ? out + 1 : out + 2;
}

// splitmix64: spreads one seed over the generator's state.
std::uint64_t spread(std::uint64_t& seed) {
  seed += 0x9e3779b97f4a7c15ULL;
  std::uint64_t z = seed;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}

}  // namespace

SensorFleet::SensorFleet(const FleetOptions& options) : options_(options), cycle_start_(options.start) {
  CULVERT_CHECK(options.devices > 0 && options.devices <= kDevicesMost, "a fleet of 1 to 10 million devices");
  CULVERT_CHECK(options.records_per_cycle > 0 && options.records_per_cycle <= kRecordsPerCycleMost,
                "a fleet's pace is a number of records");
  CULVERT_CHECK(options.cycle.count() >= 0 && options.cycle <= kCycleMost && options.disorder.count() >= 0 &&
                    options.late_by.count() >= 0,
                "times of a fleet are not negative");
  std::uint64_t seed = options.seed;
  state_ = {spread(seed), spread(seed)};
  centi_.resize(static_cast<std::size_t>(options.devices));
  for (std::int32_t& centi : centi_) centi = 1'500 + static_cast<std::int32_t>(random_below(1'000));
}

// xoroshiro128++ (Blackman and Vigna, 2019): fast, and the same on every machine, unlike the standard distributions.
std::uint64_t SensorFleet::random() {
  const std::uint64_t a = state_[0];
  std::uint64_t b = state_[1];
  const auto rotate = [](std::uint64_t x, int by) { return (x << by) | (x >> (64 - by)); };
  const std::uint64_t result = rotate(a + b, 17) + a;
  b ^= a;
  state_[0] = rotate(a, 49) ^ b ^ (b << 21);
  state_[1] = rotate(b, 28);
  return result;
}

// Multiply and shift; its bias is below limit / 2^64.
std::uint64_t SensorFleet::random_below(std::uint64_t limit) {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(random()) * limit) >> 64);
}

bool SensorFleet::happens(std::int64_t share_ppm) {
  // No number is drawn for a share of zero, so that turning a fault on changes nothing else.
  return share_ppm > 0 && static_cast<std::int64_t>(random_below(1'000'000)) < share_ppm;
}

SensorTime SensorFleet::event_time() {
  SensorTime time = record_.sent;
  if (options_.disorder.count() > 0) {
    time -= microseconds{random_below(static_cast<std::uint64_t>(options_.disorder.count()) + 1)};
  }
  if (record_.late) {
    time -= options_.late_by + microseconds{random_below(static_cast<std::uint64_t>(options_.late_by.count()) + 1)};
  }
  return std::max(time, SensorTime{});
}

std::int32_t SensorFleet::walk(std::size_t device) {
  std::int32_t centi = centi_[device];
  centi += static_cast<std::int32_t>(random_below(2 * kCentiStepMost + 1)) - kCentiStepMost;
  // Reflected at the bounds, so that no device ever leaves them or sticks there.
  if (centi > kCentiLast) centi = 2 * kCentiLast - centi;
  if (centi < kCentiFirst) centi = 2 * kCentiFirst - centi;
  centi_[device] = centi;
  return centi;
}

SensorTime SensorFleet::send_time() {
  const SensorTime time = cycle_start_ + microseconds{options_.cycle.count() * index_ / options_.records_per_cycle};
  if (++index_ == options_.records_per_cycle) {
    index_ = 0;
    cycle_start_ += options_.cycle;
  }
  return time;
}

const SensorRecord& SensorFleet::next() {
  record_.sent = send_time();
  ++produced_;
  const auto device = random_below(static_cast<std::uint64_t>(options_.devices));
  const std::int32_t centi = walk(device);
  record_.late = happens(options_.late_share_ppm);
  const bool bad = happens(options_.bad_share_ppm);
  const SensorTime time = event_time();
  const auto id = static_cast<std::int64_t>(device) + 1;
  write_good(id, time, centi);
  if (bad) write_bad(id, time, centi);
  return record_;
}

char* SensorFleet::append_time(char* out, SensorTime time) {
  const std::int64_t micros = time.time_since_epoch().count();
  const std::int64_t day = micros / kMicrosPerDay;
  if (day != cached_day_) {
    const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{day}}};
    fmt::format_to_n(day_text_.data(), day_text_.size(), "{:04d}-{:02d}-{:02d}T", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
    cached_day_ = day;
  }
  std::memcpy(out, day_text_.data(), day_text_.size());
  out += day_text_.size();
  const std::int64_t in_day = micros - day * kMicrosPerDay;
  const std::int64_t second = in_day / 1'000'000;
  const std::int64_t fraction = in_day % 1'000'000;
  out = append_two(out, second / 3600);
  *out++ = ':';
  out = append_two(out, second / 60 % 60);
  *out++ = ':';
  out = append_two(out, second % 60);
  if (fraction == 0) return out;
  *out++ = '.';
  out = append_two(out, fraction / 10'000);
  out = append_two(out, fraction / 100 % 100);
  return append_two(out, fraction % 100);
}

void SensorFleet::write_good(std::int64_t device, SensorTime time, std::int32_t centi) {
  char* out = append_literal(buffer_.data(), "{\"device_id\": ");
  char* const key = out;
  out = std::to_chars(out, out + 20, device).ptr;
  record_.key = std::string_view(key, static_cast<std::size_t>(out - key));
  out = append_literal(out, ", \"timestamp\": \"");
  out = append_time(out, time);
  out = append_literal(out, "\", \"temperature\": ");
  out = append_centi(out, centi);
  *out++ = '}';
  record_.value = std::string_view(buffer_.data(), static_cast<std::size_t>(out - buffer_.data()));
  record_.flaw = DeadLetterReason::kNone;
}

// Replaces the good record that write_good() made by one of many ways to be wrong.  The key stays.
void SensorFleet::write_bad(std::int64_t device, SensorTime time, std::int32_t centi) {
  const std::string good(*record_.value);
  std::array<char, 40> scratch{};
  const std::string stamp(scratch.data(), append_time(scratch.data(), time));
  const std::string degrees(scratch.data(), append_centi(scratch.data(), centi));
  const auto make = [&](std::string_view device_text, std::string_view time_text, std::string_view value_text) {
    return fmt::format(R"({{"device_id": {}, "timestamp": {}, "temperature": {}}})", device_text, time_text,
                       value_text);
  };
  const std::string id = std::to_string(device);
  const std::string quoted = fmt::format("\"{}\"", stamp);
  using Reason = DeadLetterReason;
  const auto set = [this](Reason reason, std::string text) {
    record_.flaw = reason;
    bad_ = std::move(text);
    record_.value = bad_;
  };
  switch (random_below(20)) {
    case 0:
      return set(Reason::kNotJson, "");
    case 1:
      return set(Reason::kNotJson, good.substr(0, good.size() / 2));
    case 2:
      return set(Reason::kNotJson, "temperature too high");
    case 3:
      return set(Reason::kNotJson, good + "}");
    case 4:
      return set(Reason::kNotJson, make(id, quoted, "NaN"));
    case 5:
      return set(Reason::kNotJson, make(id, "\"\xc3\x28\"", degrees));
    case 6:
      return set(Reason::kNotJson, make(id, quoted, "021.5"));
    case 7:
      return set(Reason::kNotObject, fmt::format("[{}, {}, {}]", id, quoted, degrees));
    case 8:
      return set(Reason::kMissingField, fmt::format(R"({{"device_id": {}, "timestamp": {}}})", id, quoted));
    case 9:
      return set(Reason::kMissingField, "{}");
    case 10:
      return set(Reason::kWrongType, make(id, quoted, fmt::format("\"{}\"", degrees)));
    case 11:
      return set(Reason::kWrongType, make(id, quoted, "null"));
    case 12:
      return set(Reason::kBadTimestamp, make(id, "\"yesterday\"", degrees));
    case 13:
      return set(Reason::kBadTimestamp, make(id, "\"2023-02-30T12:00:00\"", degrees));
    case 14:
      return set(Reason::kOutOfRange, make(id, quoted, "1e400"));
    case 15:
      return set(Reason::kDeviceType, make(fmt::format("\"sensor-{}\"", id), quoted, degrees));
    case 16:
      return set(Reason::kDeviceType, make(id + ".5", quoted, degrees));
    case 17:
      return set(Reason::kDuplicateField, good.substr(0, good.size() - 1) + R"(, "temperature": 0.0})");
    case 18:
      return set(Reason::kFutureEventTime, make(id, "\"9999-12-31T23:59:59\"", degrees));
    default:
      record_.flaw = Reason::kTombstone;
      record_.value = std::nullopt;
      return;
  }
}

}  // namespace culvert
