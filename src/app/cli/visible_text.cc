// SPDX-License-Identifier: Apache-2.0
#include "app/cli/visible_text.h"

#include <fmt/format.h>

#include <array>

namespace culvert {

namespace {

struct CodePoint {
  std::size_t bytes = 1;
  char32_t value = 0;
  bool valid = false;
};

// The well-formed sequence at the front of `text`, or one byte that begins none.
CodePoint first_code_point(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {1, lead, true};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  constexpr std::array<char32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  char32_t value = lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return {};
    value = (value << 6U) | (byte(i) & 0x3fU);
  }
  const bool surrogate = value >= 0xd800 && value < 0xe000;
  if (value < kLeast.at(length) || value > 0x10ffff || surrogate) return {};
  return {length, value, true};
}

bool shown_as_is(char32_t c) {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return false;
  const bool bidirectional =
      c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
  return !bidirectional && c != 0x2028 && c != 0x2029 && c != 0xfeff;
}

}  // namespace

std::string visible_text(std::string_view bytes) {
  std::string out;
  while (!bytes.empty()) {
    const CodePoint c = first_code_point(bytes);
    const std::string_view sequence = bytes.substr(0, c.bytes);
    if (c.valid && c.value == '\\') {
      out += "\\\\";
    } else if (c.valid && shown_as_is(c.value)) {
      out += sequence;
    } else {
      for (const char byte : sequence) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    }
    bytes.remove_prefix(c.bytes);
  }
  return out;
}

std::string visible_start(std::string_view bytes, std::size_t columns) {
  // Each column takes four bytes at most; what lies beyond cannot be shown.
  std::string text = visible_text(bytes.substr(0, columns * 4 + 4));
  std::size_t shown = 0;
  std::size_t end_before_last = 0;  // where `…` would go
  for (std::size_t i = 0; i < text.size();) {
    if (shown + 1 == columns) end_before_last = i;
    if (shown == columns) return text.substr(0, end_before_last) + "…";
    i += first_code_point(std::string_view(text).substr(i)).bytes;
    ++shown;
  }
  return text;
}

}  // namespace culvert
