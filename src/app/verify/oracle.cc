// SPDX-License-Identifier: Apache-2.0
#include "app/verify/oracle.h"

#include <algorithm>
#include <boost/multiprecision/cpp_dec_float.hpp>
#include <chrono>
#include <limits>

#include "app/verify/oracle_json.h"

namespace culvert::oracle {

namespace {

constexpr std::int64_t kTimeNext = 253'402'300'800'000;  // 10000-01-01
constexpr std::int64_t kMicroMagnitudeMost = 1'000'000'000'000'000;

// A number of the JSON grammar: `digits` without leading zeros, times ten to the `exponent`.
struct Decimal {
  bool negative = false;
  std::string digits;
  std::int64_t exponent = 0;
};

Decimal decimal_of(const std::string& text) {
  Decimal decimal;
  std::size_t at = 0;
  decimal.negative = text[at] == '-';
  if (decimal.negative) ++at;
  bool fraction = false;
  for (; at < text.size() && text[at] != 'e' && text[at] != 'E'; ++at) {
    if (text[at] == '.') {
      fraction = true;
      continue;
    }
    decimal.digits += text[at];
    if (fraction) --decimal.exponent;
  }
  decimal.digits.erase(0, decimal.digits.find_first_not_of('0'));
  if (at == text.size()) return decimal;
  ++at;
  const bool down = text[at] == '-';
  if (text[at] == '-' || text[at] == '+') ++at;
  // No text is long enough to make up for an exponent beyond this.
  constexpr std::int64_t kExponentMost = 100'000'000'000;
  std::int64_t exponent = 0;
  for (; at < text.size(); ++at) exponent = std::min(kExponentMost, exponent * 10 + (text[at] - '0'));
  decimal.exponent += down ? -exponent : exponent;
  return decimal;
}

// The magnitude cut to an integer, and how what was cut off compares with a half (-2: nothing was).
struct Cut {
  std::int64_t whole = 0;
  int rest = -2;
};

// nullopt: above 18 digits, more than any limit here.
std::optional<Cut> cut(const Decimal& decimal, std::int64_t shift) {
  if (decimal.digits.empty()) return Cut{};
  const auto size = static_cast<std::int64_t>(decimal.digits.size());
  const std::int64_t whole_digits = size + decimal.exponent + shift;
  if (whole_digits > 18) return std::nullopt;
  if (whole_digits < 0) return Cut{0, -1};
  std::string whole = decimal.digits.substr(0, static_cast<std::size_t>(std::min(whole_digits, size)));
  whole.append(static_cast<std::size_t>(whole_digits) - whole.size(), '0');
  std::string rest = whole_digits < size ? decimal.digits.substr(static_cast<std::size_t>(whole_digits)) : "";
  rest.erase(rest.find_last_not_of('0') + 1);
  Cut result;
  result.whole = whole.empty() ? 0 : std::stoll(whole);
  if (!rest.empty()) result.rest = rest == "5" ? 0 : rest.front() >= '5' ? 1 : -1;
  return result;
}

bool all_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Two digits that are at most `most`, or -1.
int two_digits(std::string_view text, int most) {
  if (text.size() != 2 || !all_digits(text)) return -1;
  const int value = (text[0] - '0') * 10 + (text[1] - '0');
  return value <= most ? value : -1;
}

// `Z`, `z`, nothing, or +hh:mm, in minutes.
std::optional<int> zone_minutes(std::string_view text) {
  if (text.empty() || text == "Z" || text == "z") return 0;
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') return std::nullopt;
  const int hours = two_digits(text.substr(1, 2), 23);
  const int minutes = two_digits(text.substr(4, 2), 59);
  if (hours < 0 || minutes < 0) return std::nullopt;
  return (text[0] == '-' ? -1 : 1) * (hours * 60 + minutes);
}

const JsonMember* find(const JsonDocument& document, const std::string& name, int& count) {
  const JsonMember* found = nullptr;
  count = 0;
  for (const JsonMember& member : document.members) {
    if (member.name != name) continue;
    ++count;
    found = &member;
  }
  return found;
}

DeadLetterReason device_of(const JsonMember& member, KeyType key_type, DeviceId& device) {
  if (member.type != JsonType::kNumber && member.type != JsonType::kString) return DeadLetterReason::kWrongType;
  const bool number = member.type == JsonType::kNumber;
  if (number != (key_type == KeyType::kNumber)) return DeadLetterReason::kDeviceType;
  if (!number) {
    if (member.text.empty() || member.text.size() > 256) return DeadLetterReason::kDeviceType;
    device = DeviceId{std::string_view(member.text)};
    return DeadLetterReason::kNone;
  }
  const std::string_view digits = std::string_view(member.text).substr(member.text.front() == '-' ? 1 : 0);
  if (!all_digits(digits) || member.text == "-0") return DeadLetterReason::kDeviceType;
  if (digits.size() > 19) return DeadLetterReason::kDeviceType;
  const cpp_int value{member.text};
  if (value < std::numeric_limits<std::int64_t>::min() || value > std::numeric_limits<std::int64_t>::max()) {
    return DeadLetterReason::kDeviceType;
  }
  device = DeviceId{static_cast<std::int64_t>(value)};
  return DeadLetterReason::kNone;
}

}  // namespace

std::optional<std::int64_t> micro_of_number(const std::string& text) {
  const Decimal decimal = decimal_of(text);
  auto result = cut(decimal, 6);
  if (!result) return std::nullopt;
  if (result->rest == 1 || (result->rest == 0 && result->whole % 2 == 1)) ++result->whole;
  if (result->whole > kMicroMagnitudeMost) return std::nullopt;
  return decimal.negative ? -result->whole : result->whole;
}

std::optional<std::int64_t> time_of_number(const std::string& text, bool per_second) {
  const Decimal decimal = decimal_of(text);
  const auto result = cut(decimal, per_second ? 3 : 0);
  if (!result || result->whole >= kTimeNext) return std::nullopt;
  // Toward minus infinity: anything below zero is before 1970.
  if (decimal.negative && (result->whole != 0 || result->rest != -2)) return std::nullopt;
  return result->whole;
}

std::optional<std::int64_t> time_of_text(std::string_view text) {
  using namespace std::chrono;
  if (text.size() < 19 || text[4] != '-' || text[7] != '-' || text[13] != ':' || text[16] != ':') return std::nullopt;
  if (text[10] != 'T' && text[10] != 't' && text[10] != ' ') return std::nullopt;
  if (!all_digits(text.substr(0, 4))) return std::nullopt;
  const int month_number = two_digits(text.substr(5, 2), 12);
  const int day_number = two_digits(text.substr(8, 2), 31);
  const int hour = two_digits(text.substr(11, 2), 23);
  const int minute = two_digits(text.substr(14, 2), 59);
  const int second = two_digits(text.substr(17, 2), 60);
  if (month_number < 1 || day_number < 1 || hour < 0 || minute < 0 || second < 0) return std::nullopt;
  const year_month_day date{year{std::stoi(std::string(text.substr(0, 4)))}, month{static_cast<unsigned>(month_number)},
                            day{static_cast<unsigned>(day_number)}};
  if (!date.ok()) return std::nullopt;
  text.remove_prefix(19);
  std::int64_t ms = 0;
  if (text.starts_with('.')) {
    const auto end = std::min(text.size(), text.find_first_not_of("0123456789", 1));
    const std::string digits(text.substr(1, end - 1));
    if (digits.empty() || digits.size() > 9) return std::nullopt;
    ms = std::stoll((digits + "00").substr(0, 3));
    text.remove_prefix(end);
  }
  const auto zone = zone_minutes(text);
  if (!zone) return std::nullopt;
  const std::int64_t days_ms = duration_cast<milliseconds>(sys_days{date}.time_since_epoch()).count();
  const std::int64_t time = days_ms + ((hour * 60 + minute - *zone) * 60LL + second) * 1000 + ms;
  if (time < 0 || time >= kTimeNext) return std::nullopt;
  return time;
}

DeadLetterReason PartitionOracle::decode(const Record& record, Judgement& out) const {
  if (!record.value) return DeadLetterReason::kTombstone;
  if (record.value->size() > static_cast<std::size_t>(definition_.record_bytes_max)) return DeadLetterReason::kTooLarge;
  const auto document = parse_json(*record.value);
  if (!document) return DeadLetterReason::kNotJson;
  if (document->type != JsonType::kObject) return DeadLetterReason::kNotObject;
  std::array<int, 3> counts{};
  const JsonMember* device = find(*document, definition_.fields.device, counts[0]);
  const JsonMember* timestamp = find(*document, definition_.fields.timestamp, counts[1]);
  const JsonMember* value = find(*document, definition_.fields.value, counts[2]);
  if (*std::max_element(counts.begin(), counts.end()) > 1) return DeadLetterReason::kDuplicateField;
  if (*std::min_element(counts.begin(), counts.end()) == 0) return DeadLetterReason::kMissingField;

  const DeadLetterReason device_fault = device_of(*device, definition_.key_type, out.device);
  if (device_fault != DeadLetterReason::kNone) return device_fault;

  const bool text = definition_.timestamp_unit == TimestampUnit::kText;
  if (timestamp->type != (text ? JsonType::kString : JsonType::kNumber)) return DeadLetterReason::kWrongType;
  const auto time = text ? time_of_text(timestamp->text)
                         : time_of_number(timestamp->text, definition_.timestamp_unit == TimestampUnit::kSeconds);
  if (!time) return DeadLetterReason::kBadTimestamp;
  out.time = EventTime{*time};

  if (value->type != JsonType::kNumber) return DeadLetterReason::kWrongType;
  const auto micro = micro_of_number(value->text);
  if (!micro) return DeadLetterReason::kOutOfRange;
  out.micro = *micro;

  const bool future =
      record.timestamp && cpp_int{*time} > cpp_int{record.timestamp->value()} + definition_.max_future.count();
  return future ? DeadLetterReason::kFutureEventTime : DeadLetterReason::kNone;
}

// Every multiple of the advance that is a start of a window with the time in it.
void PartitionOracle::sort_windows(Judgement& out, bool any_is_in_time) const {
  const std::int64_t advance = definition_.advance.count();
  const std::int64_t size = definition_.size.count();
  const std::int64_t time = out.time.value();
  for (std::int64_t start = time / advance * advance; start + size > time; start -= advance) {
    const Window window{EventTime{start}, EventTime{start + size}};
    const bool late = !any_is_in_time && max_event_time_ &&
                      window.end.value() + definition_.allowed_lateness.count() <=
                          max_event_time_->value() - definition_.out_of_orderness.count();
    (late ? out.missed : out.folded).push_back(window);
  }
}

Judgement PartitionOracle::judge(const Record& record) {
  Judgement out;
  out.refused = decode(record, out);
  if (out.refused != DeadLetterReason::kNone) return out;
  sort_windows(out, false);
  if (!max_event_time_ || *max_event_time_ < out.time) max_event_time_ = out.time;
  return out;
}

Judgement PartitionOracle::judge_set_aside(const Record& record) const {
  Judgement out;
  out.refused = decode(record, out);
  if (out.refused == DeadLetterReason::kNone) sort_windows(out, true);
  return out;
}

void Sums::add(std::int64_t micro) {
  min = count == 0 ? micro : std::min(min, micro);
  max = count == 0 ? micro : std::max(max, micro);
  ++count;
  sum += micro;
  sum_squares += cpp_int{micro} * micro;
}

namespace {

// 100 digits: a count of 1e8 times squares of 1e38 leaves more than 50 behind the point.
using Decimal100 =
    boost::multiprecision::number<boost::multiprecision::cpp_dec_float<100>, boost::multiprecision::et_off>;

// What is nearer to a half than this is a half: two different roots of such fractions lie further apart.
std::int64_t round_half_even(const Decimal100& value) {
  const Decimal100 whole = floor(value);
  const Decimal100 above_half = value - whole - Decimal100{"0.5"};
  auto result = static_cast<std::int64_t>(whole);
  const bool tie = abs(above_half) < Decimal100{"1e-40"};
  if (tie ? result % 2 != 0 : above_half > 0) ++result;
  return result;
}

}  // namespace

std::int64_t mean_micro(const Sums& sums) { return round_half_even(Decimal100{sums.sum} / Decimal100{sums.count}); }

std::int64_t stddev_micro(const Sums& sums) {
  const cpp_int scaled = sums.count * sums.sum_squares - sums.sum * sums.sum;  // variance times count squared
  return round_half_even(sqrt(Decimal100{scaled}) / Decimal100{sums.count});
}

}  // namespace culvert::oracle
