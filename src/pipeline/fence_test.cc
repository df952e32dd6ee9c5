// SPDX-License-Identifier: Apache-2.0
#include "pipeline/fence.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

namespace culvert {
namespace {

OffsetRange range(std::int64_t first, std::int64_t next) { return {Offset{first}, Offset{next}}; }

Fence fence(std::int64_t next, std::vector<OffsetRange> holes = {}) { return Fence{Offset{next}, std::move(holes)}; }

TEST(Fence, CoversEverythingBelowNextExceptHoles) {
  const Fence f = fence(100, {range(10, 20)});
  EXPECT_TRUE(f.covers(Offset{9}));
  EXPECT_FALSE(f.covers(Offset{10}));
  EXPECT_FALSE(f.covers(Offset{19}));
  EXPECT_TRUE(f.covers(Offset{20}));
  EXPECT_FALSE(f.covers(Offset{100}));
}

TEST(Fence, FitTellsNewCoveredAndStraddling) {
  const Fence f = fence(100, {range(10, 20)});
  EXPECT_EQ(f.fit(range(100, 120)), FenceFit::kNew);
  EXPECT_EQ(f.fit(range(12, 18)), FenceFit::kNew);
  EXPECT_EQ(f.fit(range(10, 20)), FenceFit::kNew);
  EXPECT_EQ(f.fit(range(20, 100)), FenceFit::kCovered);
  EXPECT_EQ(f.fit(range(0, 10)), FenceFit::kCovered);
  EXPECT_EQ(f.fit(range(0, 11)), FenceFit::kStraddles);
  EXPECT_EQ(f.fit(range(99, 101)), FenceFit::kStraddles);
  EXPECT_EQ(f.fit(range(5, 25)), FenceFit::kStraddles);
}

TEST(Fence, DaemonNeverMakesAHole) {
  const auto advanced = Fence{}.advance(range(57, 90), {.prefix = Offset{50}, .read = range(50, 95)});
  ASSERT_TRUE(advanced.ok());
  EXPECT_EQ(*advanced, fence(90));
}

TEST(Fence, GapBelowTheBatchBecomesAHoleThatARedriveFills) {
  const auto later = fence(30).advance(range(42, 48), {.prefix = Offset{35}, .read = range(40, 50)});
  ASSERT_TRUE(later.ok());
  EXPECT_EQ(*later, fence(48, {range(35, 40)}));
  const auto redriven = later->advance(range(36, 37), {.prefix = Offset{35}, .read = range(35, 40)});
  ASSERT_TRUE(redriven.ok());
  EXPECT_EQ(*redriven, fence(48));
}

TEST(Fence, ReadingPartOfAHoleKeepsTheRest) {
  const auto advanced =
      fence(100, {range(10, 40)}).advance(range(20, 25), {.prefix = Offset{0}, .read = range(20, 30)});
  ASSERT_TRUE(advanced.ok());
  EXPECT_EQ(*advanced, fence(100, {range(10, 20), range(30, 40)}));
}

TEST(Fence, TooManyHolesAreRefusedWithTheRemedy) {
  Fence f;
  for (std::int64_t i = 1; i <= 64; ++i) {
    auto next = f.advance(range(i * 10, i * 10 + 1), {.prefix = Offset{0}, .read = range(i * 10, i * 10 + 1)});
    ASSERT_TRUE(next.ok());
    f = *next;
  }
  EXPECT_EQ(f.holes().size(), 64U);
  const auto refused = f.advance(range(1000, 1001), {.prefix = Offset{0}, .read = range(1000, 1001)});
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.error().message.find("redrive"), std::string::npos);
}

// Against a set of offsets: an item to which every offset belongs, batches in any order, each delta merged only if the
// fence calls it new.  Whatever the order, covers() is exactly membership.
RC_GTEST_PROP(FenceProperty, CoversIsExactlyWhatWasFolded, ()) {
  Fence f;
  std::set<std::int64_t> folded;
  const int batches = *rc::gen::inRange(1, 30);
  for (int i = 0; i < batches; ++i) {
    const std::int64_t first = *rc::gen::inRange<std::int64_t>(0, 60);
    const std::int64_t next = first + *rc::gen::inRange<std::int64_t>(1, 12);
    if (f.fit(range(first, next)) != FenceFit::kNew) continue;
    const auto advanced = f.advance(range(first, next), {.prefix = Offset{0}, .read = range(first, next)});
    RC_ASSERT(advanced.ok());
    f = *advanced;
    for (std::int64_t o = first; o < next; ++o) RC_ASSERT(folded.insert(o).second);
  }
  for (std::int64_t o = 0; o < 80; ++o) RC_ASSERT(f.covers(Offset{o}) == (folded.count(o) == 1));
}

RC_GTEST_PROP(FenceProperty, FitAgreesWithTheSetOfCoveredOffsets, ()) {
  std::vector<OffsetRange> holes;
  std::int64_t at = *rc::gen::inRange<std::int64_t>(0, 5);
  const int count = *rc::gen::inRange(0, 5);
  for (int i = 0; i < count; ++i) {
    const std::int64_t size = *rc::gen::inRange<std::int64_t>(1, 6);
    holes.push_back(range(at, at + size));
    at += size + *rc::gen::inRange<std::int64_t>(1, 6);
  }
  const Fence f = fence(at + *rc::gen::inRange<std::int64_t>(0, 6), holes);
  const std::int64_t first = *rc::gen::inRange<std::int64_t>(0, at + 8);
  const std::int64_t next = first + *rc::gen::inRange<std::int64_t>(1, 10);
  bool any = false;
  bool all = true;
  for (std::int64_t o = first; o < next; ++o) {
    any = any || f.covers(Offset{o});
    all = all && f.covers(Offset{o});
  }
  // kNew demands one hole or nothing below next; a range over two adjoining uncovered parts may be called straddling,
  // which costs a refold and is never wrong.
  switch (f.fit(range(first, next))) {
    case FenceFit::kNew:
      RC_ASSERT(!any);
      break;
    case FenceFit::kCovered:
      RC_ASSERT(all);
      break;
    case FenceFit::kStraddles:
      RC_ASSERT(!all);
      break;
  }
}

TEST(FencesText, ReadsBackAndIsOrdered) {
  Fences fences;
  fences.set("topic@1/1", fence(7));
  fences.set("topic@1/0", fence(1234, {range(10, 20), range(30, 31)}));
  fences.set("odd name:%[@1/0", fence(1));
  EXPECT_EQ(fences_text(fences), "odd%20name%3A%25%5B@1/0:1 topic@1/0:1234[10-20,30-31] topic@1/1:7");
  const auto back = parse_fences(fences_text(fences));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(*back, fences);
  EXPECT_EQ(parse_fences("")->entries().size(), 0U);
}

TEST(FencesText, RefusesWhatItWouldNotWrite) {
  for (const char* text : {"x", "x:", ":1", "x:-1", "x:5[", "x:5[1-2", "x:5[2-1]", "x:5[4-6]", "x:5[1-2,1-3]", "x:5 ",
                           "b:1 a:1", "a:1 a:1", "x:5]", "x:99999999999999999999", "%4:1", "x:1y:2"}) {
    EXPECT_FALSE(parse_fences(text).ok()) << text;
  }
}

}  // namespace
}  // namespace culvert
