// SPDX-License-Identifier: Apache-2.0
#include "window/accumulator.h"

#include <algorithm>
#include <boost/multiprecision/cpp_int.hpp>

#include "model/check.h"

namespace culvert {

namespace {

using Int256 = boost::multiprecision::int256_t;

Int256 wide(Int128 value) {
  const bool negative = value < 0;
  const UInt128 magnitude = negative ? -static_cast<UInt128>(value) : static_cast<UInt128>(value);
  Int256 result = static_cast<std::uint64_t>(magnitude >> 64);
  result <<= 64;
  result += static_cast<std::uint64_t>(magnitude);
  return negative ? Int256(-result) : result;
}

// sqrt(variance_sum) / count rounded half to even, where variance_sum = count^2 * variance.  The tie is decided
// exactly: q + 1/2 is the root's rounding point iff 4 * variance_sum compares to (2q + 1)^2 * count^2.
std::int64_t rounded_root(const Int256& variance_sum, std::int64_t count) {
  const Int256 root = boost::multiprecision::sqrt(variance_sum);
  Int256 quotient = root / count;
  const Int256 odd = 2 * quotient + 1;
  const Int256 left = 4 * variance_sum;
  const Int256 right = odd * odd * count * count;
  if (left > right || (left == right && (quotient & 1) != 0)) ++quotient;
  return static_cast<std::int64_t>(quotient);
}

}  // namespace

void Accumulator::merge(const Accumulator& other) {
  if (other.count == 0) return;
  if (count == 0) {
    *this = other;
    return;
  }
  count += other.count;
  sum += other.sum;
  sum_squares += other.sum_squares;
  min = std::min(min, other.min);
  max = std::max(max, other.max);
}

bool consistent(const Accumulator& a) {
  if (a.count < 1 || a.count > kCountMost || a.min > a.max || a.min < Micro{-kMicroMost.value()} ||
      a.max > kMicroMost) {
    return false;
  }
  const Int128 sum_least = static_cast<Int128>(a.count) * a.min.value();
  const Int128 sum_most = static_cast<Int128>(a.count) * a.max.value();
  const Int128 square_most = static_cast<Int128>(kMicroMost.value()) * kMicroMost.value();
  if (a.sum < sum_least || a.sum > sum_most || a.sum_squares < 0 || a.sum_squares / a.count > square_most) return false;
  return wide(a.sum_squares) * a.count >= wide(a.sum) * wide(a.sum);
}

Summary summarize(const Accumulator& accumulator) {
  CULVERT_CHECK(accumulator.count > 0, "summary of an empty accumulator");
  const Int256 sum = wide(accumulator.sum);
  const Int256 variance_sum = wide(accumulator.sum_squares) * accumulator.count - sum * sum;
  CULVERT_CHECK(variance_sum >= 0, "sums of an accumulator contradict each other");
  return Summary{
      .mean = Micro{static_cast<std::int64_t>(divide_half_even(accumulator.sum, accumulator.count))},
      .stddev = Micro{rounded_root(variance_sum, accumulator.count)},
  };
}

}  // namespace culvert
