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

// A position in a text of at least eight bytes.
struct Cursor {
  const char* at;
  const char* end;

  [[nodiscard]] std::size_t left() const { return static_cast<std::size_t>(end - at); }

  // The next eight bytes; zeros stand for those behind the end.
  [[nodiscard]] std::uint64_t peek() const {
    const std::size_t rest = left();
    if (rest >= 8) return swar::load8(at);
    return rest == 0 ? 0 : swar::load8(end - 8) >> (8 * (8 - rest));
  }
  [[nodiscard]] bool is(char c) const { return at != end && *at == c; }
  bool take(char c) {
    if (!is(c)) return false;
    ++at;
    return true;
  }
};

bool same(const char* a, const char* b, std::size_t size) {
  if (size >= 8) {
    for (std::size_t i = 0; i + 8 < size; i += 8) {
      if (swar::load8(a + i) != swar::load8(b + i)) return false;
    }
    return swar::load8(a + size - 8) == swar::load8(b + size - 8);
  }
  for (std::size_t i = 0; i < size; ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

// Digits without a leading zero, at most 16.
bool read_digits(Cursor& cursor, std::uint64_t& number) {
  std::uint64_t values = cursor.peek() ^ kZeroDigits;
  std::size_t count = swar::bytes_before(swar::non_digits(values));
  if (count == 0 || ((values & 0xff) == 0 && count > 1)) return false;
  number = swar::digits_value(values, count);
  cursor.at += count;
  if (count < 8) return true;
  values = cursor.peek() ^ kZeroDigits;
  count = swar::bytes_before(swar::non_digits(values));
  if (count == 0) return true;
  number = number * kPowersOfTen[count] + swar::digits_value(values, count);
  cursor.at += count;
  return count < 8 || !(cursor.at != cursor.end && *cursor.at >= '0' && *cursor.at <= '9');
}

// Whatever digits follow; true if one of them is not zero.
bool skip_digits(Cursor& cursor) {
  bool some = false;
  for (; cursor.at != cursor.end && *cursor.at >= '0' && *cursor.at <= '9'; ++cursor.at) some |= *cursor.at != '0';
  return some;
}

bool read_device_number(Cursor& cursor, Reading& reading) {
  const bool negative = cursor.take('-');
  std::uint64_t number = 0;
  if (!read_digits(cursor, number) || (negative && number == 0)) return false;
  const auto magnitude = static_cast<std::int64_t>(number);
  reading.device = DeviceRef{negative ? -magnitude : magnitude};
  return true;
}

bool read_device_text(Cursor& cursor, Reading& reading) {
  const char* const begin = cursor.at;
  std::size_t plain = 0;
  do {
    plain = swar::bytes_before(swar::non_plain(cursor.peek()));
    cursor.at += plain;
  } while (plain == 8);
  // Behind the end peek() shows zeros, which are not plain: at is within the text.
  const auto size = static_cast<std::size_t>(cursor.at - begin);
  if (!cursor.is('"') || size == 0 || size > kDeviceBytesMost) return false;
  reading.device = DeviceRef{std::string_view{begin, size}};
  return true;
}

bool read_timestamp_text(Cursor& cursor, TimestampReader& timestamps, Reading& reading) {
  const char* const next = timestamps.scan(cursor.at, cursor.end, reading.event_time);
  if (next == nullptr) return false;
  cursor.at = next;
  return true;
}

bool read_timestamp_number(Cursor& cursor, TimestampUnit unit, Reading& reading) {
  std::uint64_t whole = 0;
  if (!read_digits(cursor, whole)) return false;
  std::uint64_t thousandths = 0;
  if (cursor.take('.')) {
    const std::uint64_t values = cursor.peek() ^ kZeroDigits;
    const std::size_t count = std::min<std::size_t>(3, swar::bytes_before(swar::non_digits(values)));
    if (count == 0) return false;
    thousandths = swar::digits_value(values, count) * kPowersOfTen[3 - count];
    skip_digits(cursor);
  }
  // At most 16 digits, so the product fits.
  const std::uint64_t ms = unit == TimestampUnit::kSeconds ? whole * 1000 + thousandths : whole;
  if (ms >= static_cast<std::uint64_t>(kEventTimeNext.value())) return false;
  reading.event_time = EventTime{static_cast<std::int64_t>(ms)};
  return true;
}

// At most seven digits before the point, so that the range of Micro needs no check.
bool read_value(Cursor& cursor, Reading& reading) {
  const bool negative = cursor.take('-');
  std::uint64_t values = cursor.peek() ^ kZeroDigits;
  std::size_t count = swar::bytes_before(swar::non_digits(values));
  if (count == 0 || count == 8 || ((values & 0xff) == 0 && count > 1)) return false;
  std::int64_t micros = std::int64_t{swar::digits_value(values, count)} * kMicroPerUnit;
  cursor.at += count;
  if (cursor.take('.')) {
    values = cursor.peek() ^ kZeroDigits;
    count = swar::bytes_before(swar::non_digits(values));
    if (count == 0) return false;
    const std::uint32_t hundredths = swar::digits_value(values, count) * kPowersOfTen[8 - count];  // of a millionth
    cursor.at += count;
    const bool more = count == 8 && skip_digits(cursor);
    const std::uint32_t rest = hundredths % 100;
    micros += hundredths / 100;
    if (rest > 50 || (rest == 50 && (more || micros % 2 != 0))) ++micros;
  }
  reading.value = Micro{negative ? -micros : micros};
  return true;
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
  // A skeleton with its three names is longer than eight bytes, which is what Cursor needs.
  if (size_ < 8 || text.size() < size_) return false;
  Cursor cursor{text.data(), text.data() + text.size()};
  const char* piece = skeleton_.data();
  for (std::size_t i = 0;; ++i) {
    const std::size_t size = pieces_[i];
    if (cursor.left() < size || !same(cursor.at, piece, size)) return false;
    cursor.at += size;
    piece += size;
    if (i == slots_.size()) return cursor.at == cursor.end;
    bool good = false;
    switch (slots_[i]) {
      case Slot::kDeviceNumber:
        good = read_device_number(cursor, reading);
        break;
      case Slot::kDeviceText:
        good = read_device_text(cursor, reading);
        break;
      case Slot::kTimestampText:
        good = read_timestamp_text(cursor, timestamps, reading);
        break;
      case Slot::kTimestampNumber:
        good = read_timestamp_number(cursor, unit_, reading);
        break;
      case Slot::kValue:
        good = read_value(cursor, reading);
        break;
    }
    if (!good) return false;
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
