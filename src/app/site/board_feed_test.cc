// SPDX-License-Identifier: Apache-2.0
#include "app/site/board_feed.h"

#include <gtest/gtest.h>

namespace culvert {
namespace {

using dashboard::StreamState;

constexpr std::int64_t kNow = 1'795'692'780'000;

class BoardFeedTest : public testing::Test {
 protected:
  static Definition definition() {
    Definition definition;
    definition.size = definition.advance = Millis{10'000};
    definition.out_of_orderness = Millis{2'000};
    return definition;
  }
  static Accumulator of(std::initializer_list<std::int64_t> units) {
    Accumulator accumulator;
    for (const std::int64_t unit : units) accumulator.fold(Micro{unit * kMicroPerUnit});
    return accumulator;
  }
  static FlushRequest request(std::int64_t start, std::initializer_list<std::int64_t> units, std::int64_t newest) {
    FlushRequest request{{"t", 1, PartitionId{3}}, {}, {}, std::nullopt};
    Fences fences;
    fences.set("t@1/3", Fence{});
    request.items.push_back(
        {{DeviceId{7}, EventTime{start}}, EventTime{start + 10'000}, {of(units), fences}, std::nullopt});
    CheckpointPut checkpoint;
    checkpoint.desired.progress.max_event_time = EventTime{newest};
    request.checkpoint = checkpoint;
    return request;
  }
  static FlushResult stored() {
    FlushResult result;
    result.dead_letters = PutStatus::kStored;
    result.items.push_back({PutStatus::kStored, std::nullopt});
    result.checkpoint.status = PutStatus::kStored;
    return result;
  }
  static ConsumeReport report(std::int64_t read, std::int64_t lag) {
    ConsumeReport report;
    report.assigned = true;
    report.stats.read = read;
    PartitionReport partition;
    partition.view.claim.partition = PartitionId{3};
    partition.view.checkpoint_next = Offset{5};
    partition.view.max_event_time = EventTime{kNow - 1'500};
    partition.log_end = Offset{5 + lag};
    report.partitions.push_back(partition);
    report.lag_records = lag;
    return report;
  }
  dashboard::WindowEntry window(std::size_t i) { return board_.devices().detail(DeviceId{7})->windows.at(i); }

  ManualClock clock_{WallTime{Millis{kNow}}};
  dashboard::Board board_{{}};
  BoardFeed feed_{board_, definition(), clock_};
};

TEST_F(BoardFeedTest, IsStartingUntilPartitionsAreAssigned) {
  EXPECT_EQ(board_.snapshot()->state, StreamState::kStarting);
  EXPECT_FALSE(board_.snapshot()->assigned);
  feed_.on_report(report(0, 0));
  EXPECT_EQ(board_.snapshot()->state, StreamState::kQuiet);
}

TEST_F(BoardFeedTest, RateIsThatOfTheLastSeconds) {
  for (int i = 0; i <= 20; ++i) {
    feed_.on_report(report(std::int64_t{i} * 500, 10));
    clock_.move(Millis{500});
  }
  EXPECT_NEAR(board_.snapshot()->records_per_second, 1'000, 1);
  EXPECT_EQ(board_.snapshot()->state, StreamState::kFlowing);
  for (int i = 0; i < 20; ++i) {
    clock_.move(Millis{500});
    feed_.on_report(report(10'000, 0));
  }
  EXPECT_EQ(board_.snapshot()->records_per_second, 0);
  EXPECT_EQ(board_.snapshot()->state, StreamState::kQuiet);
}

TEST_F(BoardFeedTest, LagOfMoreThanSecondsIsCatchingUpAndSaysIfNothingArrives) {
  feed_.on_report(report(0, 1'000'000));
  EXPECT_EQ(board_.snapshot()->state, StreamState::kCatchingUp);
  EXPECT_EQ(board_.snapshot()->note, "records are waiting, but none arrive");
  EXPECT_EQ(board_.snapshot()->event_lag_ms, 1'500);
  EXPECT_EQ(board_.snapshot()->partitions.at(0).lag(), 1'000'000);
}

TEST_F(BoardFeedTest, TableThatRefusesWritesIsNamedUntilAFlushSucceeds) {
  FlushResult refused;
  refused.error = Error::retriable_error(ErrorKind::kTryAgain, "table 't': throttled");
  feed_.on_flush(request(kNow, {1}, kNow), refused, std::chrono::microseconds{2'000});
  feed_.on_report(report(1, 0));
  EXPECT_EQ(board_.snapshot()->state, StreamState::kTableFails);
  EXPECT_EQ(board_.snapshot()->note, "table 't': throttled");
  EXPECT_FALSE(board_.snapshot()->table_reachable);
  EXPECT_EQ(board_.snapshot()->retries.at("try_again"), 1);
  EXPECT_EQ(board_.devices().devices(), 0U);
  feed_.on_flush(request(kNow, {1}, kNow), stored(), std::chrono::microseconds{4'000});
  feed_.on_report(report(1, 0));
  EXPECT_NE(board_.snapshot()->state, StreamState::kTableFails);
  EXPECT_EQ(board_.snapshot()->flushes.count, 2);
  EXPECT_NEAR(*board_.snapshot()->flush_p99_ms, 4, 1e-9);
  EXPECT_EQ(board_.devices().devices(), 1U);
}

TEST_F(BoardFeedTest, ClosingFlushIsNoCorrectionAndALaterOneIs) {
  constexpr std::int64_t kStart = kNow - kNow % 10'000;
  feed_.on_flush(request(kStart, {1}, kStart + 5'000), stored(), {});
  EXPECT_FALSE(window(0).closed);
  // The watermark has passed the window's end, and this flush carries what was still unwritten of it.
  feed_.on_flush(request(kStart, {1, 2}, kStart + 12'000), stored(), {});
  EXPECT_TRUE(window(0).closed);
  EXPECT_FALSE(window(0).corrected);
  feed_.on_flush(request(kStart, {1, 2, 3}, kStart + 13'000), stored(), {});
  EXPECT_TRUE(window(0).corrected);
}

TEST_F(BoardFeedTest, DeadLettersAreShownOnceTheyAreStored) {
  FlushRequest with_letter = request(kNow, {1}, kNow);
  DeadLetter letter;
  letter.reason = DeadLetterReason::kNotJson;
  with_letter.dead_letters.push_back(letter);
  FlushResult result = stored();
  result.dead_letters = PutStatus::kUnknown;
  feed_.on_flush(with_letter, result, {});
  EXPECT_TRUE(board_.letters().newest(std::nullopt, 10).empty());
  feed_.on_flush(with_letter, stored(), {});
  EXPECT_EQ(board_.letters().newest(std::nullopt, 10).size(), 1U);
}

TEST_F(BoardFeedTest, FinishedKeepsTheLastFigures) {
  feed_.on_report(report(123, 4));
  feed_.finish("all is well");
  EXPECT_EQ(board_.snapshot()->state, StreamState::kFinished);
  EXPECT_EQ(board_.snapshot()->records_read, 123);
  EXPECT_EQ(board_.snapshot()->note, "all is well");
}

}  // namespace
}  // namespace culvert
