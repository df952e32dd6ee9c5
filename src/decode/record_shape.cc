// SPDX-License-Identifier: Apache-2.0
#include "decode/record_shape.h"

#include <algorithm>
#include <cstring>

#include "decode/swar.h"
#include "model/check.h"

namespace culvert {

namespace {

constexpr std::array<std::uint32_t, 9> kPowersOfTen{1,       10,        100,        1'000,      10'000,
                                                    100'000, 1'000'000, 10'000'000, 100'000'000};
constexpr std::uint64_t kZeroDigits = swar::repeat('0');

// The next eight bytes; zeros stand for those behind the end.  The text has at least eight bytes before `end`.
inline std::uint64_t peek(const char* at, const char* end) {
  const auto left = end - at;
  if (left >= 8) [[likely]]
    return swar::load8(at);
  return left == 0 ? 0 : swar::load8(end - 8) >> (64 - 8 * left);
}

inline std::uint32_t load4(const char* at) {
  std::uint32_t word = 0;
  std::memcpy(&word, at, 4);
  return word;
}

// Loads that overlap instead of a loop and a remainder: pieces of the usual records have 1 to 24 bytes.
inline bool same(const char* a, const char* b, std::size_t size) {
  const auto differ = [&](std::size_t at) { return swar::load8(a + at) ^ swar::load8(b + at); };
  if (size < 4) {
    for (std::size_t i = 0; i < size; ++i) {
      if (a[i] != b[i]) return false;
    }
    return true;
  }
  if (size < 8) return load4(a) == load4(b) && load4(a + size - 4) == load4(b + size - 4);
  if (size <= 16) return (differ(0) | differ(size - 8)) == 0;
  if (size <= 24) return (differ(0) | differ(8) | differ(size - 8)) == 0;
  return std::memcmp(a, b, size) == 0;
}

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Every read_ function returns where its value ends, or null if it is not certain what it reads.

// Digits without a leading zero, at most 16.
inline const char* read_digits(const char* at, const char* end, std::uint64_t& number) {
  std::uint64_t values = peek(at, end) ^ kZeroDigits;
  std::size_t count = swar::bytes_before(swar::non_digits(values));
  if (count == 0 || ((values & 0xff) == 0 && count > 1)) return nullptr;
  number = swar::digits_value(values, count);
  at += count;
  if (count < 8) [[likely]]
    return at;
  values = peek(at, end) ^ kZeroDigits;
  count = swar::bytes_before(swar::non_digits(values));
  if (count == 0) return at;
  number = number * kPowersOfTen[count] + swar::digits_value(values, count);
  at += count;
  return at != end && is_digit(*at) ? nullptr : at;
}

// Whatever digits follow; `some` becomes true if one of them is not zero.
const char* skip_digits(const char* at, const char* end, bool& some) {
  for (; at != end && is_digit(*at); ++at) some |= *at != '0';
  return at;
}

inline const char* read_device_number(const char* at, const char* end, Reading& reading) {
  const bool negative = at != end && *at == '-';
  std::uint64_t number = 0;
  at = read_digits(at + negative, end, number);
  if (negative && number == 0) return nullptr;
  const auto magnitude = static_cast<std::int64_t>(number);
  reading.device = DeviceRef{negative ? -magnitude : magnitude};
  return at;
}

inline const char* read_device_text(const char* at, const char* end, Reading& reading) {
  const char* const begin = at;
  std::size_t plain = 0;
  do {
    plain = swar::bytes_before(swar::non_plain(peek(at, end)));
    at += plain;
  } while (plain == 8);
  // Behind the end peek() shows zeros, which are not plain: the loop ends within the text or at its end.
  const auto size = static_cast<std::size_t>(at - begin);
  if (at == end || *at != '"' || size == 0 || size > kDeviceBytesMost) return nullptr;
  reading.device = DeviceRef{std::string_view{begin, size}};
  return at;
}

const char* read_timestamp_number(const char* at, const char* end, TimestampUnit unit, Reading& reading) {
  std::uint64_t whole = 0;
  at = read_digits(at, end, whole);
  if (at == nullptr) return nullptr;
  std::uint64_t thousandths = 0;
  if (at != end && *at == '.') {
    ++at;
    const std::uint64_t values = peek(at, end) ^ kZeroDigits;
    const std::size_t count = std::min<std::size_t>(3, swar::bytes_before(swar::non_digits(values)));
    if (count == 0) return nullptr;
    thousandths = swar::digits_value(values, count) * kPowersOfTen[3 - count];
    bool dropped = false;
    at = skip_digits(at, end, dropped);
  }
  // At most 16 digits, so the product fits.
  const std::uint64_t ms = unit == TimestampUnit::kSeconds ? whole * 1000 + thousandths : whole;
  if (ms >= static_cast<std::uint64_t>(kEventTimeNext.value())) return nullptr;
  reading.event_time = EventTime{static_cast<std::int64_t>(ms)};
  return at;
}

// The digits behind the point, of any number, into millionths rounded half to even.
const char* read_fraction(const char* at, const char* end, std::int64_t& micros) {
  const std::uint64_t values = peek(at, end) ^ kZeroDigits;
  const std::size_t count = swar::bytes_before(swar::non_digits(values));
  if (count == 0) return nullptr;
  const std::uint32_t hundredths = swar::digits_value(values, count) * kPowersOfTen[8 - count];  // of a millionth
  at += count;
  bool more = false;
  if (count == 8) at = skip_digits(at, end, more);
  const std::uint32_t rest = hundredths % 100;
  micros += hundredths / 100;
  if (rest > 50 || (rest == 50 && (more || micros % 2 != 0))) ++micros;
  return at;
}

// At most seven digits before the point, so that the range of Micro needs no check.
inline const char* read_value(const char* at, const char* end, Reading& reading) {
  const bool negative = at != end && *at == '-';
  at += negative;
  const std::uint64_t values = peek(at, end) ^ kZeroDigits;
  std::uint64_t others = swar::non_digits(values);
  const std::size_t whole = swar::bytes_before(others);
  if (whole == 0 || whole == 8 || ((values & 0xff) == 0 && whole > 1)) return nullptr;
  std::int64_t micros = 0;
  if ((values >> (8 * whole) & 0xff) != ('.' ^ '0')) {
    micros = std::int64_t{swar::digits_value(values, whole)} * kMicroPerUnit;
    at += whole;
  } else {
    // A point carries nothing into its neighbour, so the next byte marked is exact too.
    others &= others - 1;
    const std::size_t length = swar::bytes_before(others);
    const std::size_t fraction = length - whole - 1;
    if (fraction - 1 < 6 && length < 8) [[likely]] {  // 1 to 6 digits, and the word shows where they end
      const std::uint64_t before = (std::uint64_t{1} << (8 * whole)) - 1;
      const std::uint64_t joined = (values & before) | (values >> 8 & ~before);  // the point taken out
      micros = std::int64_t{swar::digits_value(joined, length - 1)} * kPowersOfTen[6 - fraction];
      at += length;
    } else {
      micros = std::int64_t{swar::digits_value(values, whole)} * kMicroPerUnit;
      at = read_fraction(at + whole + 1, end, micros);
    }
  }
  reading.value = Micro{negative ? -micros : micros};
  return at;
}

}  // namespace

RecordShape::RecordShape(const Definition& definition)
    : key_type_(definition.key_type), unit_(definition.timestamp_unit) {}

void RecordShape::remember(std::string_view text, std::array<ValuePlace, 3> places) {
  std::sort(places.begin(), places.end(),
            [](const ValuePlace& a, const ValuePlace& b) { return a.text.data() < b.text.data(); });
  size_ = 0;
  std::size_t total = text.size();
  for (const ValuePlace& place : places) total -= place.text.size();
  if (total > kSkeletonBytesMost) return;
  const char* from = text.data();
  char* to = skeleton_.data();
  for (std::size_t i = 0; i < pieces_.size(); ++i) {
    const char* const until = i < places.size() ? places.at(i).text.data() : text.data() + text.size();
    CULVERT_CHECK(from <= until, "the values of a record overlap");
    const auto piece = static_cast<std::size_t>(until - from);
    std::memcpy(to, from, piece);
    to += piece;
    pieces_.at(i) = static_cast<std::uint32_t>(piece);
    if (i == places.size()) break;
    from = until + places.at(i).text.size();
    slots_.at(i) = slot_of(places.at(i).field);
  }
  size_ = total;
}

bool RecordShape::match(std::string_view text, TimestampReader& timestamps, Reading& reading) const {
  // A skeleton with its three names is longer than eight bytes, which is what peek() needs.
  if (size_ < 8 || text.size() < size_) return false;
  const char* at = text.data();
  const char* const end = at + text.size();
  const char* piece = skeleton_.data();
  for (std::size_t i = 0;; ++i) {
    const std::size_t size = pieces_[i];
    if (static_cast<std::size_t>(end - at) < size || !same(at, piece, size)) return false;
    at += size;
    if (i == slots_.size()) return at == end;
    piece += size;
    switch (slots_[i]) {
      case Slot::kDeviceNumber:
        at = read_device_number(at, end, reading);
        break;
      case Slot::kDeviceText:
        at = read_device_text(at, end, reading);
        break;
      case Slot::kTimestampText:
        at = timestamps.scan(at, end, reading.event_time);
        break;
      case Slot::kTimestampNumber:
        at = read_timestamp_number(at, end, unit_, reading);
        break;
      case Slot::kValue:
        at = read_value(at, end, reading);
        break;
    }
    if (at == nullptr) return false;
  }
}

RecordShape::Slot RecordShape::slot_of(ReadingField field) const {
  switch (field) {
    case ReadingField::kDevice:
      return key_type_ == KeyType::kNumber ? Slot::kDeviceNumber : Slot::kDeviceText;
    case ReadingField::kTimestamp:
      return unit_ == TimestampUnit::kText ? Slot::kTimestampText : Slot::kTimestampNumber;
    case ReadingField::kValue:
      break;
  }
  return Slot::kValue;
}

}  // namespace culvert
