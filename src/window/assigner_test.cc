// SPDX-License-Identifier: Apache-2.0
#include "window/assigner.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>

namespace culvert {
namespace {

Assigner hopping(std::int64_t size_ms, std::int64_t advance_ms) {
  Definition d;
  d.kind = size_ms == advance_ms ? WindowKind::kTumbling : WindowKind::kHopping;
  d.size = Millis{size_ms};
  d.advance = Millis{advance_ms};
  return Assigner{d};
}

TEST(Assigner, TumblingWindowIsItsOnlyPane) {
  const auto a = hopping(60'000, 60'000);
  EXPECT_EQ(a.pane(EventTime{59'999}), EventTime{0});
  EXPECT_EQ(a.pane(EventTime{60'000}), EventTime{60'000});
  EXPECT_EQ(a.windows_per_pane(), 1);
  EXPECT_EQ(a.window(EventTime{60'000}, 0), (Window{EventTime{60'000}, EventTime{120'000}}));
}

TEST(Assigner, HoppingWindowsMayStartBeforeTheEpoch) {
  const auto a = hopping(60'000, 20'000);
  EXPECT_EQ(a.window(EventTime{0}, 0), (Window{EventTime{-40'000}, EventTime{20'000}}));
  EXPECT_EQ(a.window(EventTime{0}, 2), (Window{EventTime{0}, EventTime{60'000}}));
  EXPECT_EQ(a.first_end(EventTime{0}), EventTime{20'000});
  EXPECT_EQ(a.last_end(EventTime{0}), EventTime{60'000});
}

// Against the definition: try every aligned start in reach and ask whether the half-open interval holds the time.
RC_GTEST_PROP(AssignerProperty, AgreesWithTheNaiveDefinition, ()) {
  const std::int64_t advance = *rc::gen::inRange<std::int64_t>(1, 5000);
  const std::int64_t size = advance * *rc::gen::inRange<std::int64_t>(1, 12);
  const std::int64_t t = *rc::gen::inRange<std::int64_t>(0, 253'402'300'800'000);
  const auto a = hopping(size, advance);
  std::set<std::int64_t> naive;
  const std::int64_t from = t / advance - size / advance - 2;
  for (std::int64_t k = from; k <= t / advance + 2; ++k) {
    if (k * advance <= t && t < k * advance + size) naive.insert(k * advance);
  }
  std::set<std::int64_t> found;
  const auto pane = a.pane(EventTime{t});
  for (std::int64_t i = 0; i < a.windows_per_pane(); ++i) {
    const auto w = a.window(pane, i);
    RC_ASSERT(w.end.value() - w.start.value() == size);
    found.insert(w.start.value());
  }
  RC_ASSERT(found == naive);
}

}  // namespace
}  // namespace culvert
