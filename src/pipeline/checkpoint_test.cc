// SPDX-License-Identifier: Apache-2.0
#include "pipeline/checkpoint.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace culvert {
namespace {

CoveredRange range(std::int64_t first, std::int64_t next) {
  CoveredRange r{{Offset{first}, Offset{next}}, {}};
  r.progress.counts.records = next - first;
  r.progress.counts.folded = next - first;
  r.progress.raise_event_time(EventTime{next * 10});
  return r;
}

TEST(Cover, AdjoiningRangeMovesNext) {
  Checkpoint c;
  c = *cover(c, range(0, 10));
  EXPECT_EQ(c.next, Offset{10});
  EXPECT_TRUE(c.ranges.empty());
  EXPECT_EQ(c.progress.max_event_time, EventTime{100});
}

TEST(Cover, LaterBatchWaitsAsARangeWithItsOwnMaxima) {
  Checkpoint c = *cover(Checkpoint{}, range(0, 10));
  c = *cover(c, range(20, 30));
  EXPECT_EQ(c.next, Offset{10});
  EXPECT_EQ(c.progress.max_event_time, EventTime{100});
  EXPECT_TRUE(c.covers(Offset{25}));
  EXPECT_FALSE(c.covers(Offset{15}));
  c = *cover(c, range(10, 20));
  EXPECT_EQ(c.next, Offset{30});
  EXPECT_EQ(c.progress.max_event_time, EventTime{300});
  EXPECT_EQ(c.progress.counts.records, 30);
}

TEST(Cover, TooManyRangesAreRefused) {
  Checkpoint c;
  for (std::int64_t i = 1; i <= 64; ++i) c = *cover(c, range(i * 10, i * 10 + 1));
  const auto refused = cover(c, range(1000, 1001));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kData);
}

RC_GTEST_PROP(CoverProperty, AnyOrderOfDisjointRangesEndsTheSame, ()) {
  std::vector<CoveredRange> pieces;
  std::int64_t at = 0;
  const int count = *rc::gen::inRange(1, 40);
  for (int i = 0; i < count; ++i) {
    const std::int64_t size = *rc::gen::inRange<std::int64_t>(1, 5);
    pieces.push_back(range(at, at + size));
    at += size;
  }
  auto shuffled = pieces;
  for (std::size_t i = shuffled.size(); i > 1; --i) {
    std::swap(shuffled[i - 1], shuffled[*rc::gen::inRange<std::size_t>(0, i)]);
  }
  Checkpoint c;
  for (const auto& piece : shuffled) {
    c = *cover(c, piece);
    const auto back = parse_ranges(ranges_text(c.ranges));
    RC_ASSERT(back.ok() && *back == c.ranges);
  }
  RC_ASSERT(c.next == Offset{at});
  RC_ASSERT(c.ranges.empty());
  RC_ASSERT(c.progress.counts.records == at);
}

TEST(RangesText, RefusesWhatItWouldNotWrite) {
  EXPECT_EQ(ranges_text({range(5, 9)}), "5-9:90:-:4:4:0:0");
  for (const char* text : {"5", "5-9", "9-5:-:-:0:0:0:0", "5-9:-:-:0:0:0", "5-9:-:-:0:0:0:-1", "5-9:-:-:0:0:0:0 ",
                           "5-9:-:-:0:0:0:0 7-10:-:-:0:0:0:0", "5-9:x:-:0:0:0:0", "-5-9:-:-:0:0:0:0"}) {
    EXPECT_FALSE(parse_ranges(text).ok()) << text;
  }
}

}  // namespace
}  // namespace culvert
