// SPDX-License-Identifier: Apache-2.0
#include "app/cli/live_area.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace culvert {

namespace {

constexpr std::string_view kColourOff = "\x1b[0m";

// A closed or full terminal loses the text, because there is nowhere to say so.
void write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

// Bytes of the colour sequence `\x1b[..m` that `text` begins with; 0: it begins with something else.
std::size_t colour_bytes(std::string_view text) {
  if (!text.starts_with("\x1b[")) return 0;
  const auto end = text.find('m');
  return end == std::string_view::npos ? text.size() : end + 1;
}

bool continues_code_point(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

}  // namespace

std::size_t visible_width(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t i = 0; i < text.size();) {
    if (const auto colour = colour_bytes(text.substr(i)); colour > 0) {
      i += colour;
      continue;
    }
    if (!continues_code_point(text[i])) ++width;
    ++i;
  }
  return width;
}

std::string cut_to_width(std::string_view text, std::size_t columns) {
  if (visible_width(text) <= columns) return std::string(text);
  std::string out;
  std::size_t width = 0;
  bool coloured = false;
  for (std::size_t i = 0; i < text.size();) {
    if (const auto colour = colour_bytes(text.substr(i)); colour > 0) {
      out += text.substr(i, colour);
      coloured = true;
      i += colour;
      continue;
    }
    if (!continues_code_point(text[i]) && ++width > columns) break;
    out += text[i];
    ++i;
  }
  if (coloured) out += kColourOff;
  return out;
}

std::size_t rows_above_cursor(const std::vector<std::string>& lines, std::size_t columns) {
  // A terminal that was made narrower since has wrapped what stands on it.
  std::size_t rows = 0;
  for (const std::string& line : lines) rows += std::max<std::size_t>(1, (visible_width(line) + columns - 1) / columns);
  return rows == 0 ? 0 : rows - 1;
}

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

LiveArea::LiveArea(int descriptor) : descriptor_(descriptor), active_(can_draw(descriptor)) {}

std::string LiveArea::erased() const {
  if (lines_.empty()) return "";
  const std::size_t up = rows_above_cursor(lines_, static_cast<std::size_t>(size().columns));
  return up == 0 ? "\r\x1b[J" : fmt::format("\r\x1b[{}A\x1b[J", up);
}

std::string LiveArea::drawn() const {
  std::string out;
  for (const std::string& line : lines_) {
    if (!out.empty()) out += '\n';
    out += line;
  }
  return out;
}

void LiveArea::show(std::vector<std::string> lines) {
  if (!active_) return;
  const std::scoped_lock lock(mutex_);
  if (lines.empty() && lines_.empty()) return;
  const std::string before = erased();
  const TerminalSize now = size();
  lines_ = std::move(lines);
  lines_.resize(std::min(lines_.size(), static_cast<std::size_t>(now.rows - 1)));
  // The last column stays free, since some terminals wrap as soon as it is written.
  for (std::string& line : lines_) line = cut_to_width(line, static_cast<std::size_t>(now.columns - 1));
  write_all(descriptor_, before + drawn());
}

void LiveArea::write_above(int descriptor, std::string_view text) {
  const std::scoped_lock lock(mutex_);
  if (lines_.empty()) return write_all(descriptor, text);
  write_all(descriptor_, erased());
  write_all(descriptor, text);
  write_all(descriptor_, drawn());
}

}  // namespace culvert
