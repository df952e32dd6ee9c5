// SPDX-License-Identifier: Apache-2.0
#include "app/options/values.h"

#include <fmt/format.h>

#include <array>
#include <limits>

#include "model/micro.h"

namespace culvert {

namespace {

struct Suffix {
  std::string_view name;
  std::int64_t factor;
};

constexpr std::array<Suffix, 4> kCountSuffixes{{{"", 1}, {"k", 1'000}, {"M", 1'000'000}, {"G", 1'000'000'000}}};
constexpr std::array<Suffix, 9> kByteSuffixes{{{"", 1},
                                               {"B", 1},
                                               {"kB", 1'000},
                                               {"MB", 1'000'000},
                                               {"GB", 1'000'000'000},
                                               {"KiB", 1LL << 10},
                                               {"MiB", 1LL << 20},
                                               {"GiB", 1LL << 30},
                                               {"TiB", 1LL << 40}}};

// `<decimal><suffix>` as a whole number.
template <std::size_t N>
std::optional<std::int64_t> parse_scaled_count(std::string_view text, const std::array<Suffix, N>& suffixes) {
  const std::size_t digits = text.find_first_not_of("0123456789.");
  const std::string_view number = text.substr(0, digits);
  const std::string_view suffix = digits == std::string_view::npos ? std::string_view{} : text.substr(digits);
  if (number.empty() || number.front() == '.') return std::nullopt;
  const auto scaled = parse_scaled(number, 6);
  if (!scaled) return std::nullopt;
  for (const Suffix& known : suffixes) {
    if (suffix != known.name) continue;
    constexpr Int128 kMost = std::numeric_limits<std::int64_t>::max();
    if (*scaled > kMost * 1'000'000 / known.factor) return std::nullopt;
    const Int128 product = *scaled * known.factor;
    if (product % 1'000'000 != 0) return std::nullopt;
    return static_cast<std::int64_t>(product / 1'000'000);
  }
  return std::nullopt;
}

// `+02:00` or `-05:30` at the end of `text`: removed from it and returned as a duration.
std::optional<Millis> take_zone_offset(std::string_view& text) {
  if (text.size() < 6 || text[text.size() - 3] != ':') return std::nullopt;
  const char sign = text[text.size() - 6];
  if (sign != '+' && sign != '-') return std::nullopt;
  const std::string_view zone = text.substr(text.size() - 5);
  for (const std::size_t i : {0U, 1U, 3U, 4U}) {
    if (zone[i] < '0' || zone[i] > '9') return std::nullopt;
  }
  const int hours = (zone[0] - '0') * 10 + (zone[1] - '0');
  const int minutes = (zone[3] - '0') * 10 + (zone[4] - '0');
  if (hours > 23 || minutes > 59) return std::nullopt;
  text.remove_suffix(6);
  const Millis offset{(hours * 60LL + minutes) * 60'000};
  return sign == '+' ? offset : -offset;
}

}  // namespace

std::optional<std::int64_t> parse_count(std::string_view text) { return parse_scaled_count(text, kCountSuffixes); }

std::optional<std::int64_t> parse_bytes(std::string_view text) { return parse_scaled_count(text, kByteSuffixes); }

std::optional<std::int64_t> parse_share_ppm(std::string_view text) {
  const bool percent = !text.empty() && text.back() == '%';
  if (percent) text.remove_suffix(1);
  if (text.empty() || text.front() == '-') return std::nullopt;
  const auto scaled = parse_scaled(text, percent ? 4 : 6);
  if (!scaled || *scaled > 1'000'000) return std::nullopt;
  return static_cast<std::int64_t>(*scaled);
}

std::optional<EventTime> parse_time(std::string_view text) {
  // Looked for only behind the time of day: the date has dashes, too.
  if (text.size() > 19) {
    if (const auto offset = take_zone_offset(text)) {
      if (!text.empty() && text.back() == 'Z') return std::nullopt;
      const auto local = parse_utc(text);
      return local ? std::optional(*local - *offset) : std::nullopt;
    }
  }
  return parse_utc(text);
}

std::string format_count(std::int64_t count) {
  std::string digits = std::to_string(count);
  const std::size_t first = count < 0 ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3;) {
    i -= 3;
    digits.insert(i, " ");
  }
  return digits;
}

std::string format_rate(double per_second) {
  if (per_second >= 999'500.0) return fmt::format("{:.2f} M/s", per_second / 1e6);
  if (per_second >= 9'995.0) return fmt::format("{:.0f} k/s", per_second / 1e3);
  if (per_second >= 999.5) return fmt::format("{:.1f} k/s", per_second / 1e3);
  return fmt::format("{:.0f}/s", per_second);
}

std::string format_bytes(std::int64_t bytes) {
  const Suffix* best = &kByteSuffixes.front();
  for (const Suffix& suffix : kByteSuffixes) {
    const bool binary = suffix.name.size() == 3;
    if (binary && bytes != 0 && bytes % suffix.factor == 0 && suffix.factor > best->factor) best = &suffix;
  }
  return fmt::format("{}{}", bytes / best->factor, best->name);
}

std::string format_share_ppm(std::int64_t ppm) { return format_scaled(ppm, 6); }

}  // namespace culvert
