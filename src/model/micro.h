// SPDX-License-Identifier: Apache-2.0
// Fixed point: a measured value, and the exact sums made of it.
//
// Flow    decode reads a number's text into Micro; accumulators sum in Int128; tables and queries print decimal text.
// Owner   values.
// Time    none.
// Bounds  |Micro| <= 1e9 with six fraction digits.  A sum of 1e8 such values, and of their squares, fits an Int128
//         (1e8 * (1e15)^2 = 1e38 < 2^127): see Accumulator.
// See     docs/semantics.md: values.  No floating-point number is used anywhere, so that no order of summing matters.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/ids.h"

namespace culvert {

__extension__ typedef __int128 Int128;
__extension__ typedef unsigned __int128 UInt128;

// A value in millionths.
using Micro = Strong<struct MicroTag, std::int64_t>;

inline constexpr std::int64_t kMicroPerUnit = 1'000'000;
inline constexpr Micro kMicroMost{1'000'000'000 * kMicroPerUnit};

enum class MicroParse {
  kOk,
  kNotANumber,  // not a number of the JSON grammar
  kOutOfRange,  // |value| > 1e9, after rounding
};

// Reads the text of a JSON number (RFC 8259: no plus sign, no leading zeros, exponent allowed) exactly; more than six
// fraction digits round half to even.  Any length and any exponent is read in time linear in the text.
MicroParse parse_micro(std::string_view text, Micro& value);

// Decimal text without trailing zeros: 21500000 -> `21.5`, -1 -> `-0.000001`, 0 -> `0`.
[[nodiscard]] std::string format_micro(Micro value);

// Decimal text of value * 10^-digits without trailing zeros; digits in [0, 38].
[[nodiscard]] std::string format_scaled(Int128 value, int digits);
// The inverse: decimal text to an integer of 10^-digits.  nullopt if it is not plain decimal (sign, digits, point), has
// more fraction digits than `digits`, or does not fit.
[[nodiscard]] std::optional<Int128> parse_scaled(std::string_view text, int digits);

// numerator / denominator (> 0), rounded half to even.
[[nodiscard]] Int128 divide_half_even(Int128 numerator, Int128 denominator);

}  // namespace culvert
