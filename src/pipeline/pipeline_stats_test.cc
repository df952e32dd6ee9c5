// SPDX-License-Identifier: Apache-2.0
#include "pipeline/pipeline_stats.h"

#include <gtest/gtest.h>

#include <bit>
#include <numeric>

namespace culvert {
namespace {

// Every counter there is, also one that is added later: it holds nothing but numbers of 64 bits.
using Counters = std::array<std::int64_t, sizeof(PipelineStats) / sizeof(std::int64_t)>;

TEST(PipelineStats, SumsAndDifferencesForgetNoCounter) {
  Counters counters{};
  std::iota(counters.begin(), counters.end(), 1);
  const auto one = std::bit_cast<PipelineStats>(counters);
  PipelineStats sum = one;
  sum.add(one);
  Counters doubled = counters;
  for (std::int64_t& counter : doubled) counter *= 2;
  EXPECT_EQ(std::bit_cast<Counters>(sum), doubled);
  sum.subtract(one);
  EXPECT_EQ(std::bit_cast<Counters>(sum), counters);
}

}  // namespace
}  // namespace culvert
