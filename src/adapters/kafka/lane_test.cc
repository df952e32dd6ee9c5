// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/lane.h"

#include <gtest/gtest.h>

namespace culvert::kafka {
namespace {

using Clock = Suspicion::Clock;

TEST(Suspicion, ARefusalIsAskedAgainForSixSecondsBeforeItIsBelieved) {
  Suspicion suspicion;
  Clock::time_point now{};
  const Clock::time_point begin = now;
  int asked = 0;
  while (suspicion.refused(now)) {
    EXPECT_TRUE(suspicion.open());
    EXPECT_TRUE(suspicion.waits());
    EXPECT_FALSE(suspicion.due(now));
    while (!suspicion.due(now)) now += Millis{100};
    suspicion.asked_again();
    EXPECT_FALSE(suspicion.waits());
    EXPECT_TRUE(suspicion.open()) << "until it is fetched from again";
    suspicion.close();
    ASSERT_LT(++asked, 100);
  }
  EXPECT_GE(now - begin, Millis{5'000});
  EXPECT_LE(now - begin, Millis{10'000});
}

TEST(Suspicion, WhatCameMeanwhileMakesTheNextRefusalANewOne) {
  Suspicion suspicion;
  Clock::time_point now{};
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(suspicion.refused(now));
    suspicion.asked_again();
    suspicion.close();
    suspicion.clear();
  }
}

TEST(SeekRefusals, AreToldOfWhenTheyHaveLastedAndNotForTheirNumber) {
  SeekRefusals refusals;
  Clock::time_point now{};
  for (int i = 0; i < 1'000; ++i) EXPECT_FALSE(refusals.refused(now)) << i;
  now += Millis{4'999};
  EXPECT_FALSE(refusals.refused(now));
  now += Millis{1};
  EXPECT_TRUE(refusals.refused(now));
  refusals.clear();
  EXPECT_FALSE(refusals.refused(now)) << "the client has sought meanwhile";
}

// A position that stays refused stops the client before it can seek, each time that it is asked again.
TEST(SeekRefusals, DoNotAddUpOverQuestions) {
  Lane lane;
  Clock::time_point now{};
  while (lane.suspicion.refused(now)) {
    lane.begin_again();
    EXPECT_FALSE(lane.seek_refusals.refused(now));
    now += Millis{2'500};
  }
  EXPECT_GE(now - Clock::time_point{}, Millis{10'000});
}

}  // namespace
}  // namespace culvert::kafka
