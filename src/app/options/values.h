// SPDX-License-Identifier: Apache-2.0
// Counts, rates, sizes, shares and times as people write them.
//
// Flow    options <-> text; progress and tables use the formatting half.
// Owner   free functions.
// Time    parse_time reads RFC 3339 with any zone offset; none means UTC.
// Bounds  every number is checked against int64; nothing wraps.
// See     culvert COMMAND --help names the units beside each option.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/time.h"

namespace culvert {

// `250`, `10k`, `1.5M`, `2G` (powers of 1000).  nullopt: anything else, a fraction that leaves no whole number,
// overflow.
[[nodiscard]] std::optional<std::int64_t> parse_count(std::string_view text);
// Bytes: `4096`, `64KiB`, `64MiB`, `1GiB`, `1.5GiB`, and with powers of 1000 `64kB`, `64MB`, `1GB`.
[[nodiscard]] std::optional<std::int64_t> parse_bytes(std::string_view text);
// A decimal from 0 to 1 (`0.001`) or a percentage (`0.1%`), in millionths.
[[nodiscard]] std::optional<std::int64_t> parse_share_ppm(std::string_view text);
// RFC 3339: `2026-11-23T15:57:00Z`, `..+02:00`, up to three fraction digits; without a zone it is UTC.
[[nodiscard]] std::optional<EventTime> parse_time(std::string_view text);

[[nodiscard]] std::string format_count(std::int64_t count);    // 1234567 -> `1 234 567`
[[nodiscard]] std::string format_rate(double per_second);      // 1234567.0 -> `1.23 M/s`
[[nodiscard]] std::string format_bytes(std::int64_t bytes);    // 67108864 -> `64MiB`; parse_bytes reads it back
[[nodiscard]] std::string format_share_ppm(std::int64_t ppm);  // 1000 -> `0.001`

}  // namespace culvert
