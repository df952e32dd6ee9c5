// SPDX-License-Identifier: Apache-2.0
// A strict reader of one JSON text (RFC 8259) that hands out the members of its outermost object.
//
// Flow    record value -> [JsonScanner] -> JsonDecoder.  Every byte is checked, also of what nobody asked for.
// Owner   JsonDecoder holds one and starts it anew for every record that the shaped path did not take.
// Time    none.
// Bounds  linear in the text; one bit of memory for each level of nesting, kept from text to text, never the stack:
//         ten million opening brackets are refused, not fatal.
// See     docs/semantics.md: readings.  Written here because the decoders at hand either convert numbers to double
//         (1e400 is valid JSON, and 0.1 must stay 0.1), or accept lone surrogates, or check only what they visit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace culvert {

enum class JsonFault : std::uint8_t {
  kNone,
  kEmpty,          // no value at all: no bytes, or white space only
  kTruncated,      // the text ends inside a value
  kByteOrderMark,  // EF BB BF in front
  kNotFinite,      // NaN, Infinity, -Infinity: what some writers emit and RFC 8259 excludes
  kUnexpected,     // a byte that cannot stand here
  kNumber,         // leading zero, plus sign, digit missing after `.` or `e`
  kControlByte,    // a byte below 0x20 inside a string
  kEscape,         // `\x`, `\u12`
  kLoneSurrogate,  // \ud800 without its second half, or \udc00 without its first
  kUtf8,           // overlong, cut short, a surrogate or above U+10FFFF
  kTrailing,       // something follows the value
};

// For people: `lone surrogate in a string`.
[[nodiscard]] std::string_view json_fault_text(JsonFault fault);

enum class JsonKind : std::uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };

[[nodiscard]] std::string_view json_kind_name(JsonKind kind);  // `a number`, `an array`

// Between the quotes, as written.  Without escapes that is the string itself.
struct JsonString {
  std::string_view raw;
  bool escaped = false;
};

struct JsonValue {
  JsonKind kind = JsonKind::kNull;
  JsonString string;        // of a string
  std::string_view number;  // of a number: its text
};

// The parts of a number's text.
struct JsonNumberParts {
  bool negative = false;
  std::string_view whole;     // at least one digit
  std::string_view fraction;  // digits behind the point, may be empty
  bool exponent_negative = false;
  std::string_view exponent;  // digits behind the e, may be empty
};

// Reads the longest number at the front of `text`.  kNone: `parts` is filled and `length` is what it takes; otherwise
// `length` is where it goes wrong.
[[nodiscard]] JsonFault split_json_number(std::string_view text, JsonNumberParts& parts, std::size_t& length);

// Appends what `string` stands for to `out`.  The string must have passed the scanner.
void unescape_json(const JsonString& string, std::string& out);

class JsonScanner {
 public:
  // Begins a text.  If its value is an object, its members are to be drawn with next_member(); any other value has been
  // read and checked to the end of the text when this returns.  False: fault() says why.
  bool start(std::string_view text);

  // The next member of the outermost object.  False at its end, when all of the text has been checked, or at a fault.
  bool next_member(JsonString& name, JsonValue& value);

  [[nodiscard]] JsonKind root() const { return root_; }
  [[nodiscard]] JsonFault fault() const { return fault_; }
  [[nodiscard]] std::size_t fault_at() const { return fault_at_; }  // byte position in the text

 private:
  bool fail(JsonFault fault, const char* at);
  bool fail_here();  // kTruncated at the end of the text, kUnexpected before it
  void skip_space();
  bool skip_value(JsonValue& value);
  bool skip_scalar(JsonValue& value);
  bool skip_number(JsonValue& value);
  bool skip_string(JsonString& string);
  bool skip_escape();
  bool skip_code_unit(std::uint32_t& unit);
  bool skip_utf8();
  bool skip_literal(std::string_view literal);
  bool skip_name();
  bool skip_name(JsonString& name);
  bool skip_container();
  bool open_container(bool& empty);
  bool close_or_continue(bool& value_follows);
  bool finish();

  void push(bool object);
  void pop();
  [[nodiscard]] bool in_object() const;

  const char* first_ = nullptr;
  const char* at_ = nullptr;
  const char* end_ = nullptr;
  JsonKind root_ = JsonKind::kNull;
  bool members_seen_ = false;
  JsonFault fault_ = JsonFault::kNone;
  std::size_t fault_at_ = 0;
  std::vector<std::uint64_t> nesting_;  // a bit for each open container below the outermost: 1 = object
  std::size_t depth_ = 0;
};

}  // namespace culvert
