// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/position.h"

#include <gtest/gtest.h>

namespace culvert::kafka {
namespace {

using Verdict = Position::Verdict;

TEST(Position, DeliversInOrderAndDropsWhatItHasPassed) {
  Position position(Offset{5});
  EXPECT_EQ(position.offer(Offset{4}), Verdict::kStale);
  EXPECT_EQ(position.offer(Offset{5}), Verdict::kDeliver);
  EXPECT_EQ(position.offer(Offset{5}), Verdict::kStale);
  EXPECT_EQ(position.offer(Offset{6}), Verdict::kDeliver);
  EXPECT_EQ(position.next(), Offset{7});
}

TEST(Position, GapsAreNormalWhileNothingWasSought) {
  Position position(Offset{5});
  EXPECT_EQ(position.offer(Offset{9}), Verdict::kDeliver);
  EXPECT_EQ(position.offer(Offset{20}), Verdict::kDeliver);
  EXPECT_EQ(position.next(), Offset{21});
}

TEST(Position, RecordsFetchedBeforeASeekAreDropped) {
  Position position(Offset{0});
  EXPECT_EQ(position.offer(Offset{0}), Verdict::kDeliver);
  EXPECT_EQ(position.offer(Offset{100}), Verdict::kDeliver);
  position.seek(Offset{50});
  EXPECT_EQ(position.offer(Offset{101}), Verdict::kStale) << "the seek is not carried out yet";
  position.seek_done();
  EXPECT_EQ(position.offer(Offset{102}), Verdict::kSeekAgain) << "delivering it would lose 50 to 101";
  EXPECT_EQ(position.offer(Offset{103}), Verdict::kStale);
  position.seek_done();
  EXPECT_EQ(position.next(), Offset{50});
  EXPECT_EQ(position.offer(Offset{50}), Verdict::kDeliver);
  EXPECT_EQ(position.offer(Offset{60}), Verdict::kDeliver) << "a gap further on is the log's";
}

TEST(Position, TheSoughtRecordItselfIsDeliveredWhicheverFetchBroughtIt) {
  Position position(Offset{0});
  position.seek(Offset{50});
  EXPECT_EQ(position.offer(Offset{50}), Verdict::kDeliver);
  EXPECT_EQ(position.offer(Offset{51}), Verdict::kDeliver);
  position.seek_done();
  EXPECT_EQ(position.offer(Offset{50}), Verdict::kStale);
  EXPECT_EQ(position.offer(Offset{52}), Verdict::kDeliver);
}

TEST(Position, AGapAtTheSoughtOffsetIsBelievedAfterTwoRepetitions) {
  Position position(Offset{0});
  position.seek(Offset{50});
  for (int repetition = 0; repetition < 2; ++repetition) {
    position.seek_done();
    EXPECT_EQ(position.offer(Offset{53}), Verdict::kSeekAgain);
    EXPECT_EQ(position.offer(Offset{54}), Verdict::kStale);
  }
  position.seek_done();
  EXPECT_EQ(position.offer(Offset{53}), Verdict::kDeliver);
  EXPECT_EQ(position.offer(Offset{54}), Verdict::kDeliver);
}

TEST(Position, TheEndOfTheLogMovesItOverAGapButNotWhileASeekIsInDoubt) {
  Position position(Offset{5});
  EXPECT_EQ(position.reach_end(Offset{8}), Verdict::kDeliver);
  EXPECT_EQ(position.next(), Offset{8});
  EXPECT_EQ(position.reach_end(Offset{7}), Verdict::kDeliver);
  EXPECT_EQ(position.next(), Offset{8});
  position.seek(Offset{2});
  EXPECT_EQ(position.reach_end(Offset{8}), Verdict::kStale) << "the seek is not carried out yet";
  EXPECT_EQ(position.next(), Offset{2});
}

TEST(Position, AnEndAboveTheTargetOfASeekIsAskedForAgainBeforeItIsBelieved) {
  Position position(Offset{8});
  position.seek(Offset{2});
  for (int again = 0; again < 2; ++again) {
    position.seek_done();
    EXPECT_EQ(position.reach_end(Offset{8}), Verdict::kSeekAgain) << "a fetch of before the seek may have found it";
    EXPECT_EQ(position.next(), Offset{2});
  }
  position.seek_done();
  EXPECT_EQ(position.reach_end(Offset{8}), Verdict::kDeliver) << "nothing but markers lies between";
  EXPECT_EQ(position.next(), Offset{8});
}

}  // namespace
}  // namespace culvert::kafka
