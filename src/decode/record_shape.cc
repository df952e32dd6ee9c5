// SPDX-License-Identifier: Apache-2.0
#include "decode/record_shape.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "decode/swar.h"
#include "model/check.h"

namespace culvert {

namespace {

constexpr std::array<std::uint32_t, 9> kPowersOfTen{1,       10,        100,        1'000,      10'000,
                                                    100'000, 1'000'000, 10'000'000, 100'000'000};
// What the last of so many digits behind the point counts, less one for the point.
constexpr std::array<std::int64_t, 8> kMicrosAt{0, 1'000'000, 100'000, 10'000, 1'000, 100, 10, 1};
constexpr std::uint64_t kZeroDigits = swar::repeat('0');

// A matcher is one function without calls: those would cost as much as what they do.
#define CULVERT_HOT [[gnu::always_inline]] inline

// The next eight bytes; zeros stand for those behind the end.  The text has at least eight bytes before `end`.
CULVERT_HOT std::uint64_t peek(const char* at, const char* end) {
  const auto left = end - at;
  if (left >= 8) return swar::load8(at);
  return left == 0 ? 0 : swar::load8(end - 8) >> (64 - 8 * left);
}

// Every read_ function returns where its value ends, or null if it is not certain what it reads.

// Whatever digits follow; `some` becomes true if one of them is not zero.
const char* skip_digits(const char* at, const char* end, bool& some) {
  for (;;) {
    const std::uint64_t values = peek(at, end) ^ kZeroDigits;
    const std::size_t count = swar::bytes_before(swar::non_digits(values));
    some |= count != 0 && swar::digits_value(values, count) != 0;
    at += count;
    if (count < 8) return at;
  }
}

// Digits without a leading zero, up to the greatest int64.
const char* read_long_digits(const char* at, const char* end, std::uint64_t& number) {
  constexpr std::ptrdiff_t kDigitsMost = std::numeric_limits<std::int64_t>::digits10 + 1;
  const char* const begin = at;
  number = 0;
  std::size_t count = 0;
  do {
    const std::uint64_t values = peek(at, end) ^ kZeroDigits;
    count = swar::bytes_before(swar::non_digits(values));
    if (count == 0) break;
    number = number * kPowersOfTen[count] + swar::digits_value(values, count);
    at += count;
  } while (count == 8 && at - begin <= kDigitsMost);
  // Nineteen digits fit the unsigned number; what more of them made of it does not matter.
  const bool fits = at - begin <= kDigitsMost && number <= std::numeric_limits<std::int64_t>::max();
  return at == begin || (*begin == '0' && at - begin > 1) || !fits ? nullptr : at;
}

const char* read_long_device(const char* at, const char* end, bool negative, Reading& reading) {
  std::uint64_t number = 0;
  at = read_long_digits(at, end, number);
  if (at == nullptr) return nullptr;
  const auto magnitude = static_cast<std::int64_t>(number);
  reading.device = DeviceRef{negative ? -magnitude : magnitude};
  return at;
}

CULVERT_HOT const char* read_device_number(const char* at, const char* end, Reading& reading) {
  const bool negative = *at == '-';
  at += negative;
  const std::uint64_t values = peek(at, end) ^ kZeroDigits;
  const std::uint64_t others = swar::non_digits(values);
  if (others == 0) [[unlikely]]
    return read_long_device(at, end, negative, reading);
  const std::size_t stop = swar::top_bit(others);
  if (stop == 7 || ((values & 0xff) == 0 && stop + negative > 15)) return nullptr;  // none; 00, 01, -0
  const std::int64_t magnitude = swar::digits_value_before(values, stop);
  reading.device = DeviceRef{negative ? -magnitude : magnitude};
  return at + (stop >> 3);
}

CULVERT_HOT const char* read_device_text(const char* at, const char* end, Reading& reading) {
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

template <TimestampUnit kUnit>
const char* read_timestamp_number(const char* at, const char* end, Reading& reading) {
  std::uint64_t whole = 0;
  at = read_long_digits(at, end, whole);
  if (at == nullptr) return nullptr;
  constexpr auto kNext = static_cast<std::uint64_t>(kEventTimeNext.value());
  if (whole >= kNext) return nullptr;  // in seconds too, and then the product fits
  std::uint64_t thousandths = 0;
  if (at != end && *at == '.') {
    ++at;
    const std::uint64_t values = peek(at, end) ^ kZeroDigits;
    const std::size_t count = swar::bytes_before(swar::non_digits(values));
    if (count == 0) return nullptr;
    const std::size_t kept = std::min<std::size_t>(3, count);
    thousandths = std::uint64_t{swar::digits_value(values, kept)} * kPowersOfTen[3 - kept];
    at += count;
    bool dropped = false;
    if (count == 8) at = skip_digits(at, end, dropped);
  }
  const std::uint64_t ms = kUnit == TimestampUnit::kSeconds ? whole * 1000 + thousandths : whole;
  if (ms >= kNext) return nullptr;
  reading.event_time = EventTime{static_cast<std::int64_t>(ms)};
  return at;
}

// A value with up to seven digits before the point, `at` behind its sign, and any number of digits behind the point:
// rounded half to even at the sixth.
const char* read_long_value(const char* at, const char* end, bool negative, Reading& reading) {
  std::uint64_t values = peek(at, end) ^ kZeroDigits;
  std::size_t count = swar::bytes_before(swar::non_digits(values));
  if (count == 0 || count == 8 || (*at == '0' && count > 1)) return nullptr;
  std::int64_t micros = std::int64_t{swar::digits_value(values, count)} * kMicroPerUnit;
  at += count;
  if (at != end && *at == '.') {
    ++at;
    values = peek(at, end) ^ kZeroDigits;
    count = swar::bytes_before(swar::non_digits(values));
    if (count == 0) return nullptr;
    const std::uint32_t hundredths = swar::digits_value(values, count) * kPowersOfTen[8 - count];  // of a millionth
    at += count;
    bool more = false;
    if (count == 8) at = skip_digits(at, end, more);
    const std::uint32_t rest = hundredths % 100;
    micros += hundredths / 100;
    if (rest > 50 || (rest == 50 && (more || micros % 2 != 0))) ++micros;
  }
  reading.value = Micro{negative ? -micros : micros};
  return at;
}

// At most seven digits before the point, so that the range of Micro needs no check.
CULVERT_HOT const char* read_value(const char* at, const char* end, Reading& reading) {
  const bool negative = *at == '-';
  at += negative;
  const std::uint64_t values = peek(at, end) ^ kZeroDigits;
  const std::uint64_t others = swar::non_digits(values);
  // The usual form has its point and its end within the word.
  if (others == 0) [[unlikely]]
    return read_long_value(at, end, negative, reading);
  const std::size_t stop = swar::top_bit(others);
  const std::uint64_t behind = others & (others - 1);  // a point carries nothing upward, so this is exact behind one
  const bool point = (values >> (stop - 7) & 0xff) == ('.' ^ '0');
  if (behind == 0 || !point) [[unlikely]]
    return read_long_value(at, end, negative, reading);
  const std::size_t stop_behind = swar::top_bit(behind);
  const std::size_t fraction_bits = stop_behind - stop;  // of the point and the digits behind it
  if (stop == 7 || fraction_bits == 8 || ((values & 0xff) == 0 && stop > 15)) return nullptr;
  const std::uint64_t before = (others ^ (others - 1)) >> 8;                 // the bytes in front of the point
  const std::uint64_t joined = (values & before) | (values >> 8 & ~before);  // the point taken out
  const std::int64_t micros = swar::digits_value_before(joined, stop_behind - 8) * kMicrosAt[fraction_bits >> 3];
  reading.value = Micro{negative ? -micros : micros};
  return at + (stop_behind >> 3);
}

// A piece that a value follows: at least one byte is left behind it.  Returns where the value starts, or null.
CULVERT_HOT const char* skip_piece(const char* at, const char* end, const Skeleton::Piece& piece) {
  if (end - at <= piece.size) return nullptr;
  if (piece.third != 0) [[likely]] {
    const std::uint64_t differ = (swar::load8(at) ^ piece.words[0]) |
                                 (swar::load8(at + piece.second) ^ piece.words[1]) |
                                 (swar::load8(at + piece.third) ^ piece.words[2]);
    return differ == 0 ? at + piece.size : nullptr;
  }
  return std::memcmp(at, piece.bytes, static_cast<std::size_t>(piece.size)) == 0 ? at + piece.size : nullptr;
}

// The last piece: exactly what is left.
CULVERT_HOT bool same_end(const char* at, const char* end, const Skeleton::Piece& piece) {
  if (end - at != piece.size || *at != *piece.bytes) return false;
  return piece.size == 1 || std::memcmp(at, piece.bytes, static_cast<std::size_t>(piece.size)) == 0;
}

enum class Slot : std::uint8_t {
  kDeviceNumber,
  kDeviceText,
  kTimestampText,
  kTimestampSeconds,
  kTimestampMilliseconds,
  kValue,
};

template <Slot kSlot>
CULVERT_HOT const char* read_slot(const char* at, const char* end, TimestampReader& timestamps, Reading& reading) {
  if constexpr (kSlot == Slot::kDeviceNumber) return read_device_number(at, end, reading);
  if constexpr (kSlot == Slot::kDeviceText) return read_device_text(at, end, reading);
  if constexpr (kSlot == Slot::kTimestampText) return timestamps.scan(at, end, reading.event_time);
  if constexpr (kSlot == Slot::kTimestampSeconds) {
    return read_timestamp_number<TimestampUnit::kSeconds>(at, end, reading);
  }
  if constexpr (kSlot == Slot::kTimestampMilliseconds) {
    return read_timestamp_number<TimestampUnit::kMilliseconds>(at, end, reading);
  }
  if constexpr (kSlot == Slot::kValue) return read_value(at, end, reading);
}

template <Slot kFirst, Slot kSecond, Slot kThird>
CULVERT_HOT bool match_slots(const Skeleton& skeleton, const char* at, const char* end, TimestampReader& timestamps,
                             Reading& reading) {
  const auto* const pieces = skeleton.pieces.data();
  if ((at = skip_piece(at, end, pieces[0])) == nullptr) return false;
  if ((at = read_slot<kFirst>(at, end, timestamps, reading)) == nullptr) return false;
  if ((at = skip_piece(at, end, pieces[1])) == nullptr) return false;
  if ((at = read_slot<kSecond>(at, end, timestamps, reading)) == nullptr) return false;
  if ((at = skip_piece(at, end, pieces[2])) == nullptr) return false;
  if ((at = read_slot<kThird>(at, end, timestamps, reading)) == nullptr) return false;
  return same_end(at, end, pieces[3]);
}

}  // namespace

// Makes the matcher for an order of values.
class ShapeMatcher {
 public:
  template <Slot kFirst, Slot kSecond, Slot kThird>
  static std::size_t match_run(const RecordShape& shape, std::span<const Record> records, std::span<Reading> readings,
                               const ReadingLimits& limits, TimestampReader& timestamps) {
    const std::size_t count = std::min(records.size(), readings.size());
    for (std::size_t i = 0; i < count; ++i) {
      const Record& record = records.data()[i];  // not by [], which checks the index a second time
      Reading& reading = readings.data()[i];
      if (!record.value) [[unlikely]]
        return i;
      const std::string_view text = *record.value;
      if (text.size() < shape.size_least_ || text.size() > limits.bytes_most ||
          !match_slots<kFirst, kSecond, kThird>(shape.skeleton_, text.data(), text.data() + text.size(), timestamps,
                                                reading) ||
          limits.is_future(record, reading)) [[unlikely]] {
        return i;
      }
    }
    return count;
  }

  template <Slot kDevice, Slot kTimestamp>
  static RecordShape::Matcher matcher_in_order(const std::array<ValuePlace, 3>& places) {
    constexpr Slot kValue = Slot::kValue;
    const bool timestamp_second = places[1].field == ReadingField::kTimestamp;
    switch (places[0].field) {
      case ReadingField::kDevice:
        return timestamp_second ? match_run<kDevice, kTimestamp, kValue> : match_run<kDevice, kValue, kTimestamp>;
      case ReadingField::kTimestamp:
        return places[1].field == ReadingField::kDevice ? match_run<kTimestamp, kDevice, kValue>
                                                        : match_run<kTimestamp, kValue, kDevice>;
      case ReadingField::kValue:
        break;
    }
    return timestamp_second ? match_run<kValue, kTimestamp, kDevice> : match_run<kValue, kDevice, kTimestamp>;
  }

  template <Slot kDevice>
  static RecordShape::Matcher matcher_with_unit(TimestampUnit unit, const std::array<ValuePlace, 3>& places) {
    switch (unit) {
      case TimestampUnit::kSeconds:
        return matcher_in_order<kDevice, Slot::kTimestampSeconds>(places);
      case TimestampUnit::kMilliseconds:
        return matcher_in_order<kDevice, Slot::kTimestampMilliseconds>(places);
      case TimestampUnit::kText:
        break;
    }
    return matcher_in_order<kDevice, Slot::kTimestampText>(places);
  }
};

void RecordShape::remember(std::string_view text, std::array<ValuePlace, 3> places) {
  std::sort(places.begin(), places.end(),
            [](const ValuePlace& a, const ValuePlace& b) { return a.text.data() < b.text.data(); });
  size_least_ = SIZE_MAX;
  std::size_t total = text.size();
  for (const ValuePlace& place : places) total -= place.text.size();
  if (total > Skeleton::kBytesMost) return;
  const char* from = text.data();
  char* bytes = skeleton_.bytes.data();
  for (std::size_t i = 0; i < skeleton_.pieces.size(); ++i) {
    const char* const until = i < places.size() ? places.at(i).text.data() : text.data() + text.size();
    CULVERT_CHECK(from < until, "the values of a record touch or overlap");
    Skeleton::Piece& piece = skeleton_.pieces.at(i);
    piece = {};
    piece.bytes = bytes;
    piece.size = until - from;
    std::memcpy(bytes, from, static_cast<std::size_t>(piece.size));
    if (piece.size > 8 && piece.size <= 24) {
      piece.third = piece.size - 8;
      piece.second = std::min<std::ptrdiff_t>(8, piece.third);
      piece.words = {swar::load8(from), swar::load8(from + piece.second), swar::load8(from + piece.third)};
    }
    bytes += piece.size;
    if (i < places.size()) from = until + places.at(i).text.size();
  }
  // The skeleton holds three names and is longer than the eight bytes that peek() needs.
  CULVERT_CHECK(total >= 8, "a record without the names of its fields");
  size_least_ = total;
  matcher_ = key_type_ == KeyType::kNumber ? ShapeMatcher::matcher_with_unit<Slot::kDeviceNumber>(unit_, places)
                                           : ShapeMatcher::matcher_with_unit<Slot::kDeviceText>(unit_, places);
}

}  // namespace culvert
