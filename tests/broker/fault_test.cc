// SPDX-License-Identifier: Apache-2.0
// Faults of the cluster: nothing is lost, nothing comes twice, reading and producing go on by themselves.
#include <fmt/format.h>

#include <thread>

#include "broker_fixture.h"

namespace culvert::kafka {
namespace {

// Errors of the protocol, by their numbers.
constexpr int kOffsetOutOfRange = 1;
constexpr int kNotLeader = 6;
constexpr int kRequestTimedOut = 7;
constexpr int kNotEnoughReplicas = 19;
constexpr int kOutOfOrderSequence = 45;
constexpr int kCoordinatorLoading = 14;
constexpr int kNotCoordinator = 16;

class Fault : public BrokerTest {
 protected:
  void expect_all(Reader& reader, int count) {
    reader.poll_until([&] { return reader.received() >= 4 * static_cast<std::size_t>(count); }, "all records came");
    for (int i = 0; i < 5; ++i) reader.poll_once();  // a repetition would come right behind
    for (int p = 0; p < 4; ++p) EXPECT_EQ(reader.offsets[p], sequence(count)) << "partition " << p;
    for (const Error& error : reader.errors) EXPECT_TRUE(error.retriable) << error.message;
  }
};

TEST_F(Fault, LeaderMovesWhileReadingAndProducing) {
  fill(config, 4, 500);
  Reader reader(config, {.topic = kTopic, .group = kGroup, .batch_records_max = 50});
  reader.poll_until([&] { return reader.received() >= 200; }, "some came");
  for (int p = 0; p < 4; ++p) ASSERT_TRUE(broker->move_leader(kTopic, PartitionId{p}, 1 + (p + 1) % 3).ok());
  fill(config, 4, 500, 500);
  for (int p = 0; p < 4; ++p) ASSERT_TRUE(broker->move_leader(kTopic, PartitionId{p}, 1 + (p + 2) % 3).ok());
  fill(config, 4, 500, 1'000);
  expect_all(reader, 1'500);
}

TEST_F(Fault, FailingFetches) {
  fill(config, 4, 500);
  broker->fail_requests(Request::kFetch, kNotLeader, 3);
  broker->fail_requests(Request::kFetch, kRequestTimedOut, 3);
  broker->fail_requests(Request::kFetch, EmbeddedBroker::kDisconnect, 3);
  Reader reader(config);
  expect_all(reader, 500);
}

// As by a leader that has just started: the position is refused although the log holds it.
TEST_F(Fault, ARefusedPositionIsAskedForAgainBeforeItIsBelieved) {
  fill(config, 4, 500);
  Reader reader(config, {.topic = kTopic, .group = kGroup, .batch_records_max = 50});
  reader.poll_until([&] { return reader.received() >= 200; }, "some came");
  broker->fail_requests(Request::kFetch, kOffsetOutOfRange, 3);
  fill(config, 4, 500, 500);
  expect_all(reader, 1'000);
  EXPECT_TRUE(reader.errors.empty()) << reader.errors.front().message;
  broker->fail_requests(Request::kFetch, kOffsetOutOfRange, 3);
  fill(config, 4, 500, 1'000);
  expect_all(reader, 1'500);
  EXPECT_TRUE(reader.errors.empty()) << reader.errors.front().message;
  reader.leave();
}

TEST_F(Fault, APositionThatStaysRefusedIsLost) {
  fill(config, 4, 100);
  Reader reader(config);
  reader.poll_until([&] { return reader.received() == 400; }, "everything was read");
  broker->fail_requests(Request::kFetch, kOffsetOutOfRange, 100'000);
  fill(config, 4, 100, 100);
  // On a busy machine the client may complain before of what it tries again.
  const auto believed = [&] { return !reader.errors.empty() && !reader.errors.back().retriable; };
  reader.poll_until(believed, "the refusal was believed");
  EXPECT_EQ(reader.errors.back().kind, ErrorKind::kData);
  EXPECT_NE(reader.errors.back().message.find("at offset 100: the position is not in the log any more"),
            std::string::npos)
      << reader.errors.back().message;
  EXPECT_EQ(reader.received(), 400u);
}

TEST_F(Fault, CoordinatorMovesAndAnswersWithErrors) {
  fill(config, 4, 500);
  broker->fail_requests(Request::kFindCoordinator, kCoordinatorLoading, 2);
  broker->fail_requests(Request::kJoinGroup, kNotCoordinator, 2);
  ASSERT_TRUE(broker->move_coordinator(kGroup, 1).ok());
  Reader reader(config);
  reader.poll_until([&] { return !reader.owned.empty(); }, "the partitions were assigned");
  ASSERT_TRUE(broker->move_coordinator(kGroup, 2).ok());
  broker->fail_requests(Request::kOffsetCommit, kNotCoordinator, 1);
  expect_all(reader, 500);
  const PartitionId p{0};
  reader.poll_until(
      [&] {
        reader.consumer().commit(p, Offset{500});
        const auto committed = reader.consumer().committed(p, kPatience);
        return committed.ok() && *committed == Offset{500};
      },
      "a commit succeeded at the new coordinator");
  reader.leave();
}

TEST_F(Fault, AllBrokersDownForAWhile) {
  fill(config, 4, 500);
  Reader reader(config, {.topic = kTopic, .group = kGroup, .batch_records_max = 50});
  reader.poll_until([&] { return reader.received() >= 200; }, "some came");
  auto producer = Producer::open(config, {.topic = kTopic});
  ASSERT_TRUE(producer.ok()) << producer.error().message;
  ASSERT_TRUE(broker->set_down(-1).ok());
  for (int i = 500; i < 600; ++i) {
    for (int p = 0; p < 4; ++p) ASSERT_TRUE((*producer)->send({.key = "k", .value = "v", .partition = PartitionId{p}}));
  }
  const Result<void> early = (*producer)->flush(Millis{500});
  ASSERT_FALSE(early.ok());
  EXPECT_EQ(early.error().kind, ErrorKind::kUnavailable);
  EXPECT_EQ((*producer)->counters().under_way(), 400u);
  const auto back = std::chrono::steady_clock::now() + Millis{2'000};
  while (std::chrono::steady_clock::now() < back) reader.poll_once();
  ASSERT_TRUE(broker->set_up(-1).ok());
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE((*producer)->flush(kPatience).ok());
  EXPECT_EQ((*producer)->counters().acknowledged, 400u);
  expect_all(reader, 600);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, Millis{15'000});
}

TEST_F(Fault, FailingProduceRequestsAreRetriedInOrder) {
  broker->fail_requests(Request::kProduce, kNotEnoughReplicas, 2);
  broker->fail_requests(Request::kProduce, kRequestTimedOut, 2);
  broker->fail_requests(Request::kProduce, kNotLeader, 2);
  fill(config, 4, 300);
  Reader reader(config);
  expect_all(reader, 300);
  EXPECT_EQ(reader.values[3][299], "value 3/299");
}

TEST_F(Fault, SlowBrokersAreOnlySlow) {
  fill(config, 4, 300);
  ASSERT_TRUE(broker->set_round_trip(-1, Millis{200}).ok());
  Reader reader(config);
  expect_all(reader, 300);
  reader.leave();
}

TEST_F(Fault, AFatalErrorOfTheIdempotenceProtocolFailsWhatWasUnderWayAndGoesOn) {
  auto producer = Producer::open(config, {.topic = kTopic});
  ASSERT_TRUE(producer.ok()) << producer.error().message;
  const auto send = [&](int count) {
    for (int i = 0; i < count; ++i) {
      const Result<void> sent =
          (*producer)->send({.key = "k", .value = "private content", .partition = PartitionId{0}});
      ASSERT_TRUE(sent.ok()) << sent.error().message;
    }
    const Result<void> flushed = (*producer)->flush(kPatience);
    ASSERT_TRUE(flushed.ok()) << flushed.error().message;
  };
  send(100);
  broker->fail_requests(Request::kProduce, kOutOfOrderSequence, 1);
  send(100);
  send(100);
  const ProducerCounters& counters = (*producer)->counters();
  EXPECT_EQ(counters.sent, 300u);
  EXPECT_EQ(counters.acknowledged + counters.failed, 300u);
  EXPECT_EQ(counters.recreated, 1u);
  EXPECT_GE(counters.failed, 1u);
  EXPECT_LE(counters.failed, 100u);
  ASSERT_TRUE((*producer)->first_failure().has_value());
  EXPECT_NE((*producer)->first_failure()->message.find("topic 'telemetry'"), std::string::npos);
  EXPECT_EQ((*producer)->first_failure()->message.find("private content"), std::string::npos)
      << "an error must not show a record's value: " << (*producer)->first_failure()->message;
  Reader reader(config);
  reader.poll_until([&] { return reader.received() >= counters.acknowledged; }, "every acknowledged record came");
}

TEST_F(Fault, UnreachableBrokersEndTheOpeningInTime) {
  ASSERT_TRUE(broker->set_down(-1).ok());
  const auto begin = std::chrono::steady_clock::now();
  const auto consumer = Consumer::open(config, {.topic = kTopic, .group = kGroup, .connect_timeout = Millis{1'500}});
  ASSERT_FALSE(consumer.ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begin, Millis{15'000});
  EXPECT_EQ(consumer.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(consumer.error().message.find("gave up after 1s500ms"), std::string::npos) << consumer.error().message;
}

TEST_F(Fault, SilenceAlthoughTheLogHoldsMoreIsReportedByTheWatchdog) {
  fill(config, 4, 100);
  Reader reader(config);
  reader.poll_until([&] { return reader.received() == 400; }, "everything was read");
  EXPECT_TRUE(reader.consumer().check_progress(Millis{0}).ok()) << "nothing more to read is no silence";
  broker->fail_requests(Request::kFetch, kNotLeader, 100'000);
  fill(config, 4, 100, 100);
  const auto end = std::chrono::steady_clock::now() + Millis{1'000};
  while (std::chrono::steady_clock::now() < end) reader.poll_once();
  const Result<void> stuck = reader.consumer().check_progress(Millis{500});
  ASSERT_FALSE(stuck.ok());
  EXPECT_EQ(stuck.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(stuck.error().message.find("its log ends at 200"), std::string::npos) << stuck.error().message;
  broker->clear_failures(Request::kFetch);
  expect_all(reader, 200);
  EXPECT_TRUE(reader.consumer().check_progress(Millis{5'000}).ok());
}

}  // namespace
}  // namespace culvert::kafka
