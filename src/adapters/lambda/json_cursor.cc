// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/json_cursor.h"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <limits>

namespace culvert::lambda {

namespace {

// Sextets at their place in a group of three bytes (little-endian: first byte lowest), one table for each of the four
// positions; kBad for what is no base64.
constexpr std::uint32_t kBad = 0x80000000U;
using Table = std::array<std::uint32_t, 256>;

constexpr std::uint32_t placed(std::uint32_t sextet, int position) {
  const std::uint32_t group = sextet << (18 - 6 * position);
  return (group >> 16U & 0xffU) | (group & 0xff00U) | (group & 0xffU) << 16U;
}

constexpr Table make_table(int position) {
  Table table{};
  for (auto& entry : table) entry = kBad;
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (std::uint32_t i = 0; i < 64; ++i) table[static_cast<unsigned char>(kAlphabet[i])] = placed(i, position);
  return table;
}

constexpr std::array<Table, 4> kTables{make_table(0), make_table(1), make_table(2), make_table(3)};

std::uint32_t group_of(const char* at) {
  const auto byte = [at](int i) { return static_cast<unsigned char>(at[i]); };
  return kTables[0][byte(0)] | kTables[1][byte(1)] | kTables[2][byte(2)] | kTables[3][byte(3)];
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

void append_utf8(char*& to, std::uint32_t code) {
  const auto put = [&to](std::uint32_t byte) { *to++ = static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xc0U | code >> 6U);
    put(0x80U | (code & 0x3fU));
  } else if (code < 0x10000) {
    put(0xe0U | code >> 12U);
    put(0x80U | (code >> 6U & 0x3fU));
    put(0x80U | (code & 0x3fU));
  } else {
    put(0xf0U | code >> 18U);
    put(0x80U | (code >> 12U & 0x3fU));
    put(0x80U | (code >> 6U & 0x3fU));
    put(0x80U | (code & 0x3fU));
  }
}

}  // namespace

bool JsonCursor::fail(const char* what) {
  if (!failed()) {
    fault_ = what;
    fault_at_ = static_cast<std::size_t>(at_ - begin_);
  }
  return false;
}

std::string JsonCursor::fault() const {
  return failed() ? fmt::format("byte {}: {}", fault_at_, fault_) : std::string();
}

bool JsonCursor::word(std::string_view word) {
  if (static_cast<std::size_t>(end_ - at_) < word.size() || std::memcmp(at_, word.data(), word.size()) != 0) {
    return false;
  }
  at_ += word.size();
  return true;
}

bool JsonCursor::null() { return !failed() && peek() == 'n' && word("null"); }

bool JsonCursor::end() { return !failed() && ((peek() == '\0' && at_ == end_) || fail("something behind the event")); }

bool JsonCursor::string(std::string_view& out) {
  if (failed()) return false;
  if (!take('"')) return fail("not a string");
  char* const first = at_;
  for (; at_ != end_; ++at_) {
    const char c = *at_;
    if (c == '"') {
      out = {first, static_cast<std::size_t>(at_ - first)};
      ++at_;
      return true;
    }
    if (c == '\\') return unescape(first, out);
    if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a string");
  }
  return fail("a string that does not end");
}

// Escapes are longer than what they stand for, so the string shrinks in place.
bool JsonCursor::unescape(char* from, std::string_view& out) {
  char* to = at_;
  while (at_ != end_) {
    const char c = *at_;
    if (c == '"') {
      out = {from, static_cast<std::size_t>(to - from)};
      ++at_;
      return true;
    }
    if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a string");
    ++at_;
    if (c != '\\') {
      *to++ = c;
    } else if (!escape(to)) {
      return false;
    }
  }
  return fail("a string that does not end");
}

bool JsonCursor::hex4(std::uint32_t& out) {
  if (end_ - at_ < 4) return fail("a wrong escape");
  out = 0;
  for (int i = 0; i < 4; ++i) {
    const char c = *at_;
    const char lower = static_cast<char>(c | 0x20);
    const bool letter = lower >= 'a' && lower <= 'f';
    if (!is_digit(c) && !letter) return fail("a wrong escape");
    out = out * 16 + static_cast<std::uint32_t>(letter ? lower - 'a' + 10 : c - '0');
    ++at_;
  }
  return true;
}

bool JsonCursor::escape(char*& to) {
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  if (at_ == end_) return fail("a string that does not end");
  const char c = *at_++;
  if (c != 'u') {
    const auto which = kNames.find(c);
    if (which == std::string_view::npos) return fail("a wrong escape");
    *to++ = kMeanings[which];
    return true;
  }
  std::uint32_t code = 0;
  if (!hex4(code)) return false;
  if (code >= 0xdc00 && code < 0xe000) return fail("a lone surrogate");
  if (code >= 0xd800 && code < 0xdc00) {
    std::uint32_t low = 0;
    if (!word("\\u") || !hex4(low) || low < 0xdc00 || low >= 0xe000) return fail("a lone surrogate");
    code = 0x10000 + ((code - 0xd800) << 10U) + (low - 0xdc00);
  }
  append_utf8(to, code);
  return true;
}

bool JsonCursor::integer(std::int64_t& out) {
  if (failed()) return false;
  const bool negative = peek() == '-';
  if (negative) ++at_;
  const char* const first = at_;
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  const std::uint64_t most = kMost + (negative ? 1U : 0U);
  std::uint64_t value = 0;
  for (; at_ != end_ && is_digit(*at_); ++at_) {
    const auto digit = static_cast<std::uint64_t>(*at_ - '0');
    if (value > (most - digit) / 10) return fail("an integer that is too large");
    value = value * 10 + digit;
  }
  if (at_ == first || (*first == '0' && at_ - first > 1)) return fail("not an integer");
  if (at_ != end_ && (*at_ == '.' || *at_ == 'e' || *at_ == 'E')) return fail("not an integer");
  out = static_cast<std::int64_t>(negative ? ~value + 1 : value);
  return true;
}

bool JsonCursor::base64(std::string_view& out) {
  if (failed()) return false;
  if (!take('"')) return fail("not a string");
  char* const first = at_;
  char* to = at_;
  while (end_ - at_ >= 4) {
    const std::uint32_t group = group_of(at_);
    if (group >= kBad) break;
    at_ += 4;
    std::memcpy(to, &group, 3);
    to += 3;
  }
  return base64_end(first, to, out);
}

// The last group, or a string in which some writer has escaped the slashes.
bool JsonCursor::base64_end(char* first, char* out, std::string_view& bytes) {
  std::string_view rest;
  char* const start = at_;
  for (;; ++at_) {
    if (at_ == end_) return fail("a string that does not end");
    if (*at_ == '"') {
      rest = {start, static_cast<std::size_t>(at_ - start)};
      ++at_;
      break;
    }
    if (*at_ == '\\') {
      if (!unescape(start, rest)) return false;
      break;
    }
    if (static_cast<unsigned char>(*at_) < 0x20) return fail("a control character in a string");
  }
  for (; rest.size() >= 4; rest.remove_prefix(4)) {
    std::array<char, 4> group{rest[0], rest[1], rest[2], rest[3]};
    const std::size_t padding = rest.size() > 4 || group[3] != '=' ? 0 : group[2] != '=' ? 1 : 2;
    for (std::size_t i = 4 - padding; i < 4; ++i) group.at(i) = 'A';
    const std::uint32_t decoded = group_of(group.data());
    if (decoded >= kBad || (padding > 0 && decoded >> (8U * (3 - padding)) != 0)) return fail("not base64");
    std::memcpy(out, &decoded, 3 - padding);
    out += 3 - padding;
  }
  if (!rest.empty()) return fail("not base64");
  bytes = {first, static_cast<std::size_t>(out - first)};
  return true;
}

bool JsonCursor::number() {
  const auto digits = [this] {
    const char* const first = at_;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return at_ != first;
  };
  if (*at_ == '-') ++at_;
  const bool zero = at_ != end_ && *at_ == '0';
  const char* const first = at_;
  if (!digits() || (zero && at_ - first > 1)) return fail("a wrong number");
  if (at_ != end_ && *at_ == '.') {
    ++at_;
    if (!digits()) return fail("a wrong number");
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (!digits()) return fail("a wrong number");
  }
  return true;
}

bool JsonCursor::skip(int depth) {
  if (failed()) return false;
  std::string_view text;
  switch (peek()) {
    case '{':
      if (depth == kDepthMost) return fail("nested too deep");
      return object([&](std::string_view) { return skip(depth + 1); });
    case '[':
      if (depth == kDepthMost) return fail("nested too deep");
      return array([&] { return skip(depth + 1); });
    case '"':
      return string(text);
    case 't':
      return word("true") || fail("not a value");
    case 'f':
      return word("false") || fail("not a value");
    case 'n':
      return word("null") || fail("not a value");
    default:
      return at_ != end_ && (*at_ == '-' || is_digit(*at_)) ? number() : fail("not a value");
  }
}

}  // namespace culvert::lambda
