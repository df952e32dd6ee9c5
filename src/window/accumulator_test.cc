// SPDX-License-Identifier: Apache-2.0
#include "window/accumulator.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cmath>
#include <numeric>
#include <vector>

namespace culvert {
namespace {

Accumulator folded(const std::vector<std::int64_t>& values) {
  Accumulator a;
  for (const auto v : values) a.fold(Micro{v});
  return a;
}

std::vector<std::int64_t> in_range(std::vector<std::int64_t> values) {
  for (auto& v : values) v %= kMicroMost.value() + 1;
  return values;
}

TEST(Accumulator, MeanAndDeviationAreRoundedHalfToEven) {
  const auto s = summarize(folded({1, 2}));  // mean 1.5 and deviation 0.5 millionths: both ties
  EXPECT_EQ(s.mean, Micro{2});
  EXPECT_EQ(s.stddev, Micro{0});
  EXPECT_EQ(summarize(folded({1, 4})).stddev, Micro{2});  // 1.5 -> 2
  EXPECT_EQ(summarize(folded({0, 5})).stddev, Micro{2});  // 2.5 -> 2
  EXPECT_EQ(summarize(folded({21'000'000})).stddev, Micro{0});
}

TEST(Accumulator, FullestWindowFitsItsTypes) {
  Accumulator a;
  a.fold(kMicroMost);
  for (int i = 0; i < 26; ++i) a.merge(a);  // 2^26 readings
  Accumulator b = a;
  EXPECT_TRUE(merge_fits(a, Accumulator{}));
  EXPECT_FALSE(merge_fits(a, b));
  EXPECT_EQ(summarize(a).mean, kMicroMost);
  EXPECT_EQ(summarize(a).stddev, Micro{0});
}

RC_GTEST_PROP(AccumulatorProperty, MergeIsFoldOfBothInAnyOrder,
              (const std::vector<std::int64_t>& x, const std::vector<std::int64_t>& y,
               const std::vector<std::int64_t>& z)) {
  const auto a = folded(in_range(x));
  const auto b = folded(in_range(y));
  const auto c = folded(in_range(z));
  std::vector<std::int64_t> all = in_range(z);
  for (const auto v : in_range(x)) all.push_back(v);
  for (const auto v : in_range(y)) all.push_back(v);
  auto left = a;
  left.merge(b);
  left.merge(c);
  auto right = c;
  auto inner = b;
  inner.merge(a);
  right.merge(inner);
  RC_ASSERT(left == right);
  RC_ASSERT(left == folded(all));
}

RC_GTEST_PROP(AccumulatorProperty, DeviationAgreesWithLongDouble, (const std::vector<std::int32_t>& small)) {
  RC_PRE(!small.empty());
  Accumulator a;
  long double sum = 0;
  for (const auto v : small) {
    a.fold(Micro{v});
    sum += v;
  }
  const auto n = static_cast<long double>(small.size());
  long double squares = 0;
  for (const auto v : small) squares += (v - sum / n) * (v - sum / n);
  const auto s = summarize(a);
  RC_ASSERT(std::abs(static_cast<long double>(s.mean.value()) - sum / n) <= 0.501L);
  RC_ASSERT(std::abs(static_cast<long double>(s.stddev.value()) - std::sqrt(squares / n)) <= 0.51L);
}

TEST(Accumulator, NumbersNoReadingsCanHaveAreFoundOut) {
  Accumulator good;
  for (const std::int64_t v : {-3, 7, 7}) good.fold(Micro{v});
  EXPECT_TRUE(consistent(good));
  EXPECT_FALSE(consistent(Accumulator{}));
  const auto with = [&](auto change) {
    Accumulator a = good;
    change(a);
    return consistent(a);
  };
  EXPECT_FALSE(with([](Accumulator& a) { a.count = kCountMost + 1; }));
  EXPECT_FALSE(with([](Accumulator& a) { a.min = Micro{8}; }));
  EXPECT_FALSE(with([](Accumulator& a) { a.sum = 22; }));
  EXPECT_FALSE(with([](Accumulator& a) { a.sum = -10; }));
  EXPECT_FALSE(with([](Accumulator& a) { a.sum_squares = -1; }));
  EXPECT_FALSE(with([](Accumulator& a) { a.sum_squares = 40; })) << "3 * 40 < 11 * 11";
  EXPECT_FALSE(with([](Accumulator& a) { a.max = Micro{kMicroMost.value() + 1}; }));
}

}  // namespace
}  // namespace culvert
