// SPDX-License-Identifier: Apache-2.0
#include "decode/json_scanner.h"

#include <array>

#include "decode/swar.h"
#include "model/check.h"

namespace culvert {

namespace {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
constexpr unsigned char byte(char c) { return static_cast<unsigned char>(c); }

std::size_t digit_count(std::string_view text, std::size_t from) {
  std::size_t count = 0;
  while (from + count < text.size() && is_digit(text[from + count])) ++count;
  return count;
}

constexpr bool is_high_surrogate(std::uint32_t unit) { return unit >= 0xd800 && unit < 0xdc00; }
constexpr bool is_low_surrogate(std::uint32_t unit) { return unit >= 0xdc00 && unit < 0xe000; }

constexpr int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Only for text that was checked before.
std::uint32_t hex4(std::string_view text, std::size_t at) {
  std::uint32_t value = 0;
  for (std::size_t i = at; i < at + 4; ++i) value = value * 16 + static_cast<std::uint32_t>(hex_value(text[i]));
  return value;
}

void append_utf8(std::uint32_t code, std::string& out) {
  const auto tail = [&](int shift) { out.push_back(static_cast<char>(0x80 | ((code >> shift) & 0x3f))); };
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0 | (code >> 6)));
    tail(0);
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | (code >> 12)));
    tail(6);
    tail(0);
  } else {
    out.push_back(static_cast<char>(0xf0 | (code >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

// What a one-letter escape stands for, 0 if there is no such escape.
constexpr char simple_escape(char c) {
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return c;
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return 0;
  }
}

// For the first byte of a sequence of UTF-8: its length, and the range of the second byte (RFC 3629, section 4), which
// is what excludes overlong forms, surrogates and code points above U+10FFFF.
struct Utf8Lead {
  std::size_t length;  // 0: no sequence starts so
  unsigned char second_least;
  unsigned char second_most;
};

constexpr Utf8Lead utf8_lead(unsigned char lead) {
  if (lead >= 0xc2 && lead <= 0xdf) return {2, 0x80, 0xbf};
  if (lead == 0xe0) return {3, 0xa0, 0xbf};
  if (lead == 0xed) return {3, 0x80, 0x9f};
  if (lead >= 0xe1 && lead <= 0xef) return {3, 0x80, 0xbf};
  if (lead == 0xf0) return {4, 0x90, 0xbf};
  if (lead >= 0xf1 && lead <= 0xf3) return {4, 0x80, 0xbf};
  if (lead == 0xf4) return {4, 0x80, 0x8f};
  return {0, 0, 0};
}

}  // namespace

std::string_view json_fault_text(JsonFault fault) {
  switch (fault) {
    case JsonFault::kNone:
      return "no fault";
    case JsonFault::kEmpty:
      return "empty text";
    case JsonFault::kTruncated:
      return "the text ends inside a value";
    case JsonFault::kByteOrderMark:
      return "byte order mark";
    case JsonFault::kNotFinite:
      return "NaN and Infinity are not JSON";
    case JsonFault::kUnexpected:
      return "unexpected byte";
    case JsonFault::kNumber:
      return "malformed number";
    case JsonFault::kControlByte:
      return "control byte in a string";
    case JsonFault::kEscape:
      return "malformed escape in a string";
    case JsonFault::kLoneSurrogate:
      return "lone surrogate in a string";
    case JsonFault::kUtf8:
      return "invalid UTF-8 in a string";
    case JsonFault::kTrailing:
      return "text after the value";
  }
  return "unknown fault";
}

std::string_view json_kind_name(JsonKind kind) {
  constexpr std::array<std::string_view, 6> kNames{"null",     "a boolean", "a number",
                                                   "a string", "an array",  "an object"};
  return kNames.at(static_cast<std::size_t>(kind));
}

JsonFault split_json_number(std::string_view text, JsonNumberParts& parts, std::size_t& length) {
  parts = {};
  length = 0;
  const auto digit_missing = [&] { return length == text.size() ? JsonFault::kTruncated : JsonFault::kNumber; };
  if (!text.empty() && text[0] == '-') {
    parts.negative = true;
    ++length;
  }
  const std::size_t whole = digit_count(text, length);
  if (whole == 0) return digit_missing();
  if (whole > 1 && text[length] == '0') return JsonFault::kNumber;
  parts.whole = text.substr(length, whole);
  length += whole;
  if (length < text.size() && text[length] == '.') {
    ++length;
    parts.fraction = text.substr(length, digit_count(text, length));
    if (parts.fraction.empty()) return digit_missing();
    length += parts.fraction.size();
  }
  if (length < text.size() && (text[length] == 'e' || text[length] == 'E')) {
    ++length;
    if (length < text.size() && (text[length] == '+' || text[length] == '-')) {
      parts.exponent_negative = text[length] == '-';
      ++length;
    }
    parts.exponent = text.substr(length, digit_count(text, length));
    if (parts.exponent.empty()) return digit_missing();
    length += parts.exponent.size();
  }
  return JsonFault::kNone;
}

void unescape_json(const JsonString& string, std::string& out) {
  const std::string_view raw = string.raw;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    if (raw[i] != '\\') {
      out.push_back(raw[i]);
      continue;
    }
    ++i;
    if (raw[i] != 'u') {
      out.push_back(simple_escape(raw[i]));
      continue;
    }
    std::uint32_t code = hex4(raw, i + 1);
    i += 4;
    if (is_high_surrogate(code)) {
      code = 0x10000 + ((code - 0xd800) << 10) + (hex4(raw, i + 3) - 0xdc00);
      i += 6;
    }
    append_utf8(code, out);
  }
}

bool JsonScanner::start(std::string_view text) {
  first_ = at_ = text.data();
  end_ = first_ + text.size();
  fault_ = JsonFault::kNone;
  members_seen_ = false;
  depth_ = 0;
  if (text.starts_with("\xef\xbb\xbf")) return fail(JsonFault::kByteOrderMark, at_);
  skip_space();
  if (at_ == end_) return fail(JsonFault::kEmpty, at_);
  if (*at_ == '{') {
    root_ = JsonKind::kObject;
    ++at_;
    return true;
  }
  JsonValue value;
  if (!skip_value(value)) return false;
  root_ = value.kind;
  return finish();
}

bool JsonScanner::next_member(JsonString& name, JsonValue& value) {
  skip_space();
  if (at_ == end_) return fail(JsonFault::kTruncated, at_);
  if (*at_ == '}') {
    ++at_;
    finish();
    return false;
  }
  if (members_seen_) {
    if (*at_ != ',') return fail_here();
    ++at_;
    skip_space();
  }
  members_seen_ = true;
  return skip_name(name) && skip_value(value);
}

bool JsonScanner::fail(JsonFault fault, const char* at) {
  fault_ = fault;
  fault_at_ = static_cast<std::size_t>(at - first_);
  return false;
}

bool JsonScanner::fail_here() { return fail(at_ == end_ ? JsonFault::kTruncated : JsonFault::kUnexpected, at_); }

void JsonScanner::skip_space() {
  while (at_ != end_ && is_space(*at_)) ++at_;
}

bool JsonScanner::skip_value(JsonValue& value) {
  if (at_ == end_) return fail_here();
  if (*at_ != '{' && *at_ != '[') return skip_scalar(value);
  value.kind = *at_ == '{' ? JsonKind::kObject : JsonKind::kArray;
  return skip_container();
}

bool JsonScanner::skip_scalar(JsonValue& value) {
  if (at_ == end_) return fail_here();
  switch (*at_) {
    case '"':
      value.kind = JsonKind::kString;
      return skip_string(value.string);
    case 't':
      value.kind = JsonKind::kBoolean;
      return skip_literal("true");
    case 'f':
      value.kind = JsonKind::kBoolean;
      return skip_literal("false");
    case 'n':
      value.kind = JsonKind::kNull;
      return skip_literal("null");
    case 'N':
    case 'I':
      return fail(JsonFault::kNotFinite, at_);
    case '-':
      if (end_ - at_ > 1 && at_[1] == 'I') return fail(JsonFault::kNotFinite, at_);
      return skip_number(value);
    default:
      return is_digit(*at_) ? skip_number(value) : fail_here();
  }
}

bool JsonScanner::skip_number(JsonValue& value) {
  value.kind = JsonKind::kNumber;
  JsonNumberParts parts;
  std::size_t length = 0;
  const std::string_view rest{at_, static_cast<std::size_t>(end_ - at_)};
  if (const auto fault = split_json_number(rest, parts, length); fault != JsonFault::kNone) {
    return fail(fault, at_ + length);
  }
  value.number = rest.substr(0, length);
  at_ += length;
  return true;
}

// at_ is on the opening quote.
bool JsonScanner::skip_string(JsonString& string) {
  const char* const begin = ++at_;
  string.escaped = false;
  for (;;) {
    while (end_ - at_ >= 8) {
      const std::size_t plain = swar::bytes_before(swar::non_plain(swar::load8(at_)));
      at_ += plain;
      if (plain < 8) break;
    }
    if (at_ == end_) return fail(JsonFault::kTruncated, at_);
    if (*at_ == '"') {
      string.raw = {begin, static_cast<std::size_t>(at_ - begin)};
      ++at_;
      return true;
    }
    if (*at_ == '\\') {
      string.escaped = true;
      if (!skip_escape()) return false;
    } else if (byte(*at_) < 0x20) {
      return fail(JsonFault::kControlByte, at_);
    } else if (byte(*at_) < 0x80) {
      ++at_;
    } else if (!skip_utf8()) {
      return false;
    }
  }
}

// at_ is on the backslash.
bool JsonScanner::skip_escape() {
  const char* const begin = at_++;
  if (at_ == end_) return fail(JsonFault::kTruncated, at_);
  if (*at_ != 'u') {
    if (simple_escape(*at_) == 0) return fail(JsonFault::kEscape, begin);
    ++at_;
    return true;
  }
  std::uint32_t unit = 0;
  if (!skip_code_unit(unit)) return false;
  if (is_low_surrogate(unit)) return fail(JsonFault::kLoneSurrogate, begin);
  if (!is_high_surrogate(unit)) return true;
  if (at_ == end_) return fail(JsonFault::kTruncated, at_);
  if (end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') return fail(JsonFault::kLoneSurrogate, begin);
  ++at_;
  if (!skip_code_unit(unit)) return false;
  return is_low_surrogate(unit) || fail(JsonFault::kLoneSurrogate, begin);
}

// at_ is on the u.
bool JsonScanner::skip_code_unit(std::uint32_t& unit) {
  ++at_;
  unit = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    if (at_ == end_) return fail(JsonFault::kTruncated, at_);
    const int value = hex_value(*at_);
    if (value < 0) return fail(JsonFault::kEscape, at_);
    unit = unit * 16 + static_cast<std::uint32_t>(value);
  }
  return true;
}

bool JsonScanner::skip_utf8() {
  const Utf8Lead lead = utf8_lead(byte(*at_));
  if (lead.length == 0) return fail(JsonFault::kUtf8, at_);
  for (std::size_t i = 1; i < lead.length; ++i) {
    if (at_ + i == end_) return fail(JsonFault::kTruncated, end_);
    const unsigned char least = i == 1 ? lead.second_least : 0x80;
    const unsigned char most = i == 1 ? lead.second_most : 0xbf;
    if (byte(at_[i]) < least || byte(at_[i]) > most) return fail(JsonFault::kUtf8, at_);
  }
  at_ += lead.length;
  return true;
}

bool JsonScanner::skip_literal(std::string_view literal) {
  for (const char c : literal) {
    if (at_ == end_ || *at_ != c) return fail_here();
    ++at_;
  }
  return true;
}

// A member's name, its colon and the space around them; then a value must follow.
bool JsonScanner::skip_name(JsonString& name) {
  if (at_ == end_ || *at_ != '"') return fail_here();
  if (!skip_string(name)) return false;
  skip_space();
  if (at_ == end_ || *at_ != ':') return fail_here();
  ++at_;
  skip_space();
  return true;
}

bool JsonScanner::skip_name() {
  JsonString name;
  return skip_name(name);
}

// at_ is on an opening bracket.  A loop and not a recursion: how deep a text nests is its sender's choice.
bool JsonScanner::skip_container() {
  for (;;) {
    bool value_follows = true;
    if (at_ != end_ && (*at_ == '{' || *at_ == '[')) {
      bool empty = false;
      if (!open_container(empty)) return false;
      if (!empty) continue;
    } else {
      JsonValue scalar;
      if (!skip_scalar(scalar)) return false;
    }
    do {
      if (depth_ == 0) return true;
      if (!close_or_continue(value_follows)) return false;
    } while (!value_follows);
  }
}

// Enters the container; leaves it again if it is empty.
bool JsonScanner::open_container(bool& empty) {
  push(*at_ == '{');
  const char close = *at_ == '{' ? '}' : ']';
  ++at_;
  skip_space();
  empty = at_ != end_ && *at_ == close;
  if (!empty) return !in_object() || skip_name();
  ++at_;
  pop();
  return true;
}

// Behind a value inside a container: either the container ends, or another value follows.
bool JsonScanner::close_or_continue(bool& value_follows) {
  skip_space();
  if (at_ == end_) return fail_here();
  value_follows = *at_ == ',';
  if (value_follows) {
    ++at_;
    skip_space();
    return !in_object() || skip_name();
  }
  if (*at_ != (in_object() ? '}' : ']')) return fail_here();
  ++at_;
  pop();
  return true;
}

bool JsonScanner::finish() {
  skip_space();
  return at_ == end_ || fail(JsonFault::kTrailing, at_);
}

void JsonScanner::push(bool object) {
  const std::size_t word = depth_ / 64;
  if (word == nesting_.size()) nesting_.push_back(0);
  const std::uint64_t bit = std::uint64_t{1} << (depth_ % 64);
  nesting_[word] = object ? nesting_[word] | bit : nesting_[word] & ~bit;
  ++depth_;
}

void JsonScanner::pop() {
  CULVERT_CHECK(depth_ > 0, "a container was closed that was never opened");
  --depth_;
}

bool JsonScanner::in_object() const {
  const std::size_t top = depth_ - 1;
  return (nesting_[top / 64] >> (top % 64) & 1) != 0;
}

}  // namespace culvert
