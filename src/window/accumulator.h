// SPDX-License-Identifier: Apache-2.0
// The partial aggregate of one device in one pane or window.
//
// Flow    [fold] takes a reading in; [merge] joins two accumulators; [summarize] makes the numbers people read.
// Owner   deltas and images hold one each.
// Time    none: which readings belong together was decided before.
// Bounds  56 bytes; at most kCountMost readings, checked by merge_fits(), so that every sum fits its type.
// See     docs/semantics.md: aggregates.  Integers only: merge is commutative and associative, so the same readings
//         give the same bytes in whatever order and grouping they were folded.
#pragma once

#include <cstdint>
#include <optional>

#include "model/micro.h"
#include "model/mutant.h"

namespace culvert {

// 1e8 readings of magnitude 1e9: sum of squares 1e8 * 1e30 (in 1e-12) = 1e38 < 2^127 = 1.7e38.
inline constexpr std::int64_t kCountMost = 100'000'000;

struct Accumulator {
  // Aligned as its halves are: 16 would add 8 bytes to each accumulator and again to what holds one, and buys nothing,
  // as 128 bits are added in two halves.
  using Sum [[gnu::aligned(8)]] = Int128;

  std::int64_t count = 0;
  Sum sum = 0;          // millionths
  Sum sum_squares = 0;  // 1e-12
  Micro min{};          // meaningless while count == 0
  Micro max{};

  void fold(Micro value) {
    const std::int64_t v = value.value();
    if (count == 0) {
      min = max = value;
    } else {
      if (value < min) min = value;
      if (value > max) max = value;
    }
    ++count;
    if (CULVERT_MUTANT(kFloatingPointSum)) {
      // tidy: allow(no-float): the mistake that this variant makes on purpose
      sum = static_cast<Int128>(static_cast<float>(sum) + static_cast<float>(v));
    } else {
      sum += v;
    }
    sum_squares += static_cast<Int128>(v) * v;
  }

  void merge(const Accumulator& other);

  friend bool operator==(const Accumulator&, const Accumulator&) = default;
};

// False if the two together would exceed kCountMost.
[[nodiscard]] constexpr bool merge_fits(const Accumulator& a, const Accumulator& b) {
  return a.count + b.count <= kCountMost;
}

// False if no readings can have these numbers.  For what comes from outside, where somebody else may have written it:
// summarize() takes consistent ones only, and merging two of those is consistent and fits.
[[nodiscard]] bool consistent(const Accumulator& accumulator);

// What a reader of the table sees; every value is a function of the accumulator alone.
struct Summary {
  Micro mean;    // sum / count, half to even
  Micro stddev;  // population: isqrt(count * sum_squares - sum^2) / count, half to even
};

// accumulator.count must be > 0.
[[nodiscard]] Summary summarize(const Accumulator& accumulator);

}  // namespace culvert
