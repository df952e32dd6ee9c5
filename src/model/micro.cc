// SPDX-License-Identifier: Apache-2.0
#include "model/micro.h"

#include <algorithm>
#include <array>

#include "model/check.h"

namespace culvert {

namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// The parts of a JSON number's text.
struct NumberText {
  bool negative = false;
  std::string_view whole;     // at least one digit, no leading zero unless it is the only one
  std::string_view fraction;  // may be empty
  std::int64_t exponent = 0;  // clamped to +-kExponentClamp, which is beyond any text's digits that could matter
};

constexpr std::int64_t kExponentClamp = 1'000'000'000'000;

std::string_view take_digits(std::string_view& text) {
  std::size_t count = 0;
  while (count < text.size() && is_digit(text[count])) ++count;
  const auto taken = text.substr(0, count);
  text.remove_prefix(count);
  return taken;
}

bool take_exponent(std::string_view& text, std::int64_t& exponent) {
  text.remove_prefix(1);
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  const auto digits = take_digits(text);
  if (digits.empty()) return false;
  for (const char c : digits) exponent = std::min(kExponentClamp, exponent * 10 + (c - '0'));
  if (negative) exponent = -exponent;
  return true;
}

bool split_number(std::string_view text, NumberText& parts) {
  if (!text.empty() && text.front() == '-') {
    parts.negative = true;
    text.remove_prefix(1);
  }
  parts.whole = take_digits(text);
  if (parts.whole.empty() || (parts.whole.size() > 1 && parts.whole.front() == '0')) return false;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    parts.fraction = take_digits(text);
    if (parts.fraction.empty()) return false;
  }
  if (!text.empty() && (text.front() == 'e' || text.front() == 'E')) {
    if (!take_exponent(text, parts.exponent)) return false;
  }
  return text.empty();
}

}  // namespace

MicroParse parse_micro(std::string_view text, Micro& value) {
  NumberText parts;
  if (!split_number(text, parts)) return MicroParse::kNotANumber;
  const auto count = static_cast<std::int64_t>(parts.whole.size() + parts.fraction.size());
  const auto digit = [&](std::int64_t i) {
    const auto at = static_cast<std::size_t>(i);
    return at < parts.whole.size() ? parts.whole[at] - '0' : parts.fraction[at - parts.whole.size()] - '0';
  };
  std::int64_t first = 0;
  while (first < count && digit(first) == 0) ++first;
  if (first == count) {
    value = Micro{0};
    return MicroParse::kOk;
  }
  // How many of the digits stand at or above 1e-6: those before this index are kept, the rest decides the rounding.
  const std::int64_t kept = static_cast<std::int64_t>(parts.whole.size()) + parts.exponent + 6;
  // The leading digit is not 0, so 17 kept digits are at least 1e16 millionths: beyond the range of 1e15.
  if (kept - first > 16) return MicroParse::kOutOfRange;
  std::int64_t magnitude = 0;
  for (std::int64_t i = first; i < kept; ++i) magnitude = magnitude * 10 + (i < count ? digit(i) : 0);
  if (kept >= first && kept < count) {
    const int next = digit(kept);
    bool rest = false;
    for (std::int64_t i = kept + 1; i < count && !rest; ++i) rest = digit(i) != 0;
    if (next > 5 || (next == 5 && (rest || magnitude % 2 == 1))) ++magnitude;
  }
  if (magnitude > kMicroMost.value()) return MicroParse::kOutOfRange;
  value = Micro{parts.negative ? -magnitude : magnitude};
  return MicroParse::kOk;
}

std::string format_micro(Micro value) { return format_scaled(value.value(), 6); }

std::string format_scaled(Int128 value, int digits) {
  CULVERT_CHECK(digits >= 0 && digits <= 38, "scale of a decimal is out of range");
  // 39 digits of an Int128, up to 38 fraction digits, sign and point.
  std::array<char, 80> buffer{};
  auto at = buffer.size();
  UInt128 rest = value < 0 ? -static_cast<UInt128>(value) : static_cast<UInt128>(value);
  bool significant = false;  // false while only trailing zeros of the fraction were seen
  // Nearly every value fits 64 bits, whose division by a constant is a multiplication; that of 128 bits is a call.
  const auto take_digit = [&rest] {
    const auto low = static_cast<std::uint64_t>(rest);
    const bool small = rest >> 64 == 0;
    const auto d = static_cast<char>('0' + static_cast<int>(small ? low % 10 : static_cast<std::uint64_t>(rest % 10)));
    rest = small ? UInt128{low / 10} : rest / 10;
    return d;
  };
  for (int i = 0; i < digits; ++i) {
    const char d = take_digit();
    if (d != '0' || significant) {
      buffer[--at] = d;
      significant = true;
    }
  }
  if (significant) buffer[--at] = '.';
  do {
    buffer[--at] = take_digit();
  } while (rest != 0);
  if (value < 0) buffer[--at] = '-';
  return {buffer.data() + at, buffer.size() - at};
}

std::optional<Int128> parse_scaled(std::string_view text, int digits) {
  bool negative = false;
  if (!text.empty() && text.front() == '-') {
    negative = true;
    text.remove_prefix(1);
  }
  const auto whole = take_digits(text);
  std::string_view fraction;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    fraction = take_digits(text);
    if (fraction.empty()) return std::nullopt;
  }
  if (whole.empty() || !text.empty() || fraction.size() > static_cast<std::size_t>(digits)) return std::nullopt;
  Int128 value = 0;
  const auto push = [&](int d) {
    return !__builtin_mul_overflow(value, Int128{10}, &value) &&
           !__builtin_add_overflow(value, Int128{negative ? -d : d}, &value);
  };
  for (const char c : whole) {
    if (!push(c - '0')) return std::nullopt;
  }
  for (std::size_t i = 0; i < static_cast<std::size_t>(digits); ++i) {
    if (!push(i < fraction.size() ? fraction[i] - '0' : 0)) return std::nullopt;
  }
  return value;
}

Int128 divide_half_even(Int128 numerator, Int128 denominator) {
  CULVERT_CHECK(denominator > 0, "division by a count that is not positive");
  Int128 quotient = numerator / denominator;
  const Int128 remainder = numerator % denominator;
  const UInt128 twice = 2 * static_cast<UInt128>(remainder < 0 ? -remainder : remainder);
  const auto whole = static_cast<UInt128>(denominator);
  if (twice > whole || (twice == whole && quotient % 2 != 0)) quotient += numerator < 0 ? -1 : 1;
  return quotient;
}

}  // namespace culvert
