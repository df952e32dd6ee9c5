// SPDX-License-Identifier: Apache-2.0
#include "pipeline/late_detail.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace culvert {

namespace {

constexpr std::size_t kNamed = 3;
constexpr std::string_view kBetween = "; ";
constexpr std::string_view kNames = "window ";
constexpr std::string_view kCounts = "and ";
constexpr std::string_view kMore = " more windows";

// Of `and N more windows`; 0: it is another text.
std::int64_t counted(std::string_view part) {
  if (!part.starts_with(kCounts) || !part.ends_with(kMore)) return 0;
  const std::string_view number = part.substr(kCounts.size(), part.size() - kCounts.size() - kMore.size());
  std::int64_t count = 0;
  const auto [end, failed] = std::from_chars(number.data(), number.data() + number.size(), count);
  return failed == std::errc{} && end == number.data() + number.size() ? count : 0;
}

}  // namespace

std::string late_detail(std::span<const Window> missed, EventTime watermark) {
  std::string text;
  for (const Window& window : missed.first(std::min(kNamed, missed.size()))) {
    text += fmt::format("{}{}{} ended {} before the watermark", text.empty() ? "" : kBetween, kNames,
                        format_utc(window.start), format_duration(watermark - window.end));
  }
  if (missed.size() > kNamed) text += fmt::format("{}{}{}{}", kBetween, kCounts, missed.size() - kNamed, kMore);
  return text;
}

std::int64_t windows_missed(std::string_view detail) {
  std::int64_t count = 0;
  while (!detail.empty()) {
    const std::string_view part = detail.substr(0, detail.find(kBetween));
    detail.remove_prefix(std::min(detail.size(), part.size() + kBetween.size()));
    const std::int64_t here = part.starts_with(kNames) ? 1 : counted(part);
    if (here <= 0) return 0;
    count += here;
  }
  return count;
}

}  // namespace culvert
