// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/mapping.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

namespace culvert::lambda {
namespace {

using std::chrono::milliseconds;

const EventWriter kWriter({EventSourceKind::kSelfManaged, "t", "b:9092", {}});
const DeliveryFailure kUnhandled{"id", 200, "Unhandled"};

// A mapping, its clock, and texts for what it does: `0:1 0:2 1:7` is a batch of partition 0's and 1's records.
class World {
 public:
  explicit World(MappingOptions options) : mapping_(options, kWriter) {
    for (int p = 0; p < 4; ++p) mapping_.assign(claim(p), Offset{0});
  }

  static Claim claim(int partition) { return Claim{PartitionId{partition}, AssignmentId{1}}; }

  void add(int partition, std::int64_t offset, std::size_t value_bytes = 10,
           std::optional<RecordTime> timestamp = std::nullopt) {
    EventRecord record;
    record.claim = claim(partition);
    record.offset = Offset{offset};
    record.value = std::string(value_bytes, 'x');
    record.timestamp = timestamp;
    mapping_.add(record, now.steady);
  }
  void add_all(int partition, std::int64_t first, std::int64_t next) {
    for (std::int64_t offset = first; offset < next; ++offset) add(partition, offset);
  }
  void move(milliseconds by) {
    now.steady += by;
    now.wall = now.wall + by;
  }
  void move_to_due() {
    const auto due = mapping_.due();
    ASSERT_TRUE(due.has_value());
    if (*due > now.steady) move(std::chrono::ceil<milliseconds>(*due - now.steady));
  }

  // The next batch, as text; empty: none.
  std::string next() {
    auto delivery = mapping_.next_delivery(now);
    if (!delivery) return {};
    last = *delivery;
    return text(delivery->records);
  }
  static std::string text(const std::vector<const EventRecord*>& records) {
    std::string out;
    for (const EventRecord* record : records) {
      out += fmt::format("{}{}:{}", out.empty() ? "" : " ", record->claim.partition.value(), record->offset.value());
    }
    return out;
  }
  std::string succeed(std::string_view response = {}) { return mapping_.succeeded(last.batch, response, now); }
  void fail() { mapping_.failed(last.batch, kUnhandled, now); }
  std::string commits() {
    std::string out;
    for (const PositionToCommit& it : mapping_.take_commits()) {
      out += fmt::format("{}{}:{}", out.empty() ? "" : " ", it.claim.partition.value(), it.next.value());
    }
    return out;
  }
  // Fails or succeeds batch after batch until nothing is left: fails those that hold `poison`.
  void run(const std::string& poison = "none") {
    while (mapping_.under_way() > 0 || mapping_.due()) {
      while (auto discard = mapping_.next_discard()) {
        discards.push_back(text(discard->records));
        mapping_.discarded(discard->batch);
      }
      if (!mapping_.due()) break;
      move_to_due();
      const std::string batch = next();
      if (batch.empty()) continue;
      sent.push_back(batch);
      if ((batch + " ").find(poison + " ") == std::string::npos) {
        EXPECT_EQ(succeed(), "");
      } else {
        fail();
      }
    }
  }

  Mapping& operator*() { return mapping_; }
  Mapping* operator->() { return &mapping_; }

  MappingTime now{std::chrono::steady_clock::time_point{} + std::chrono::hours(1), RecordTime{1'700'000'000'000}};
  Delivery last;
  std::vector<std::string> sent;
  std::vector<std::string> discards;

 private:
  Mapping mapping_;
};

using Texts = std::vector<std::string>;

TEST(Mapping, SendsABatchThatIsFullAtOnceAndTheRestWhenTheWindowEnds) {
  World world({.batch_records_most = 3, .window = milliseconds(500)});
  world.add_all(0, 0, 5);
  EXPECT_EQ(world.next(), "0:0 0:1 0:2");
  EXPECT_EQ(world.next(), "") << "one batch at a time";
  EXPECT_EQ(world.succeed(), "");
  EXPECT_EQ(world.next(), "") << "not full, and the window is open";
  EXPECT_EQ(world->due(), world.now.steady + milliseconds(500));
  world.move(milliseconds(499));
  EXPECT_EQ(world.next(), "");
  world.move(milliseconds(1));
  EXPECT_EQ(world.next(), "0:3 0:4");
  EXPECT_EQ(world->due(), std::nullopt);
}

TEST(Mapping, AWindowOfZeroSendsWhatIsThere) {
  World world({.batch_records_most = 100, .window = milliseconds(0)});
  world.add(0, 7);
  EXPECT_EQ(world.next(), "0:7");
}

TEST(Mapping, OneEventHoldsTheRecordsOfSeveralPartitionsGrouped) {
  World world({.batch_records_most = 5});
  world.add(1, 10);
  world.add(0, 3);
  world.add(1, 12);
  world.add(3, 1);
  world.add(0, 4);
  EXPECT_EQ(world.next(), "0:3 0:4 1:10 1:12 3:1");
}

TEST(Mapping, PartitionsAreDealtToPollersAndEachHasOneBatchUnderWay) {
  World world({.pollers = 2, .batch_records_most = 2});
  for (int p = 0; p < 4; ++p) world.add_all(p, 0, 4);
  EXPECT_EQ(world.next(), "0:0 0:1");
  const Delivery first = world.last;
  EXPECT_EQ(world.next(), "1:0 1:1");
  EXPECT_EQ(world.next(), "");
  EXPECT_EQ(world->under_way(), 2u);
  EXPECT_TRUE(world->under_way(World::claim(0)));
  EXPECT_FALSE(world->under_way(World::claim(2)));
  EXPECT_EQ(world->succeeded(first.batch, {}, world.now), "");
  EXPECT_EQ(world.next(), "0:2 0:3") << "the other poller's batch does not hold this one up";
}

TEST(Mapping, CutsAtSixMegabytesExactly) {
  // As many records of a size as fit into the payload, to the byte.
  EventRecord probe;
  probe.claim = World::claim(0);
  probe.offset = Offset{100};
  probe.value = std::string(999, 'x');
  const std::size_t record = kWriter.record_bytes(probe);
  const std::size_t most = kWriter.frame_bytes() + kWriter.partition_bytes(PartitionId{0}) - 1 + 3 * record - 1;
  for (const std::size_t less : {std::size_t{0}, std::size_t{1}}) {
    World world({.batch_records_most = 100, .batch_bytes_most = most - less});
    for (int i = 100; i < 104; ++i) world.add(0, i, 999);
    EXPECT_EQ(world.next(), less == 0 ? "0:100 0:101 0:102" : "0:100 0:101");
    EXPECT_EQ(world.last.event_bytes, kWriter.write(world.last.records).size());
    EXPECT_LE(world.last.event_bytes, most - less);
  }
}

TEST(Mapping, ARecordThatIsTooLargeByItselfIsSentAlone) {
  World world({.batch_records_most = 100, .batch_bytes_most = 1'000, .window = milliseconds(0)});
  world.add(0, 1);
  world.add(0, 2, 5'000);
  world.add(0, 3);
  EXPECT_EQ(world.next(), "0:1");
  EXPECT_EQ(world.succeed(), "");
  EXPECT_EQ(world.next(), "0:2");
  EXPECT_GT(world.last.event_bytes, 1'000u);
}

TEST(Mapping, CommitsOnlyWhatIsDealtWithAndGapsWithIt) {
  World world({.batch_records_most = 2});
  world.add(0, 5);
  world.add(0, 9);
  world.add(0, 10);
  EXPECT_EQ(world.next(), "0:5 0:9");
  EXPECT_EQ(world.commits(), "");
  EXPECT_EQ(world.succeed(), "");
  EXPECT_EQ(world.commits(), "0:10");
  EXPECT_EQ(world.commits(), "") << "told once";
  world->reach(World::claim(0), Offset{20});
  EXPECT_EQ(world.commits(), "") << "offset 10 is not dealt with";
  world.move(milliseconds(500));
  EXPECT_EQ(world.next(), "0:10");
  EXPECT_EQ(world.succeed(), "");
  EXPECT_EQ(world.commits(), "0:20") << "the log holds nothing between 11 and 20";
}

TEST(Mapping, OnDemandRetriesTheSameBatchForEver) {
  World world({.batch_records_most = 2});
  world.add_all(0, 0, 4);
  for (int i = 1; i <= 100; ++i) {
    world.move_to_due();
    ASSERT_EQ(world.next(), "0:0 0:1");
    EXPECT_EQ(world.last.invocation, i);
    world.fail();
  }
  EXPECT_EQ(world->next_discard().has_value(), false);
  world.move_to_due();
  EXPECT_EQ(world.next(), "0:0 0:1");
  EXPECT_EQ(world.succeed(), "");
  EXPECT_EQ(world.next(), "0:2 0:3") << "and there is no back-off after a success";
  EXPECT_EQ(world->counters().retries, 100);
  EXPECT_EQ(world->counters().failures, 100);
}

TEST(Mapping, BacksOffLongerAndLongerUpToALimit) {
  World world({.batch_records_most = 1, .backoff_first = milliseconds(100), .backoff_most = milliseconds(1'000)});
  world.add(0, 0);
  std::vector<milliseconds> waits;
  for (int i = 0; i < 200; ++i) {
    world.move_to_due();
    ASSERT_EQ(world.next(), "0:0");
    world.fail();
    waits.push_back(std::chrono::duration_cast<milliseconds>(*world->due() - world.now.steady));
  }
  EXPECT_LE(waits[0], milliseconds(100));
  EXPECT_LE(waits[1], milliseconds(200));
  EXPECT_LE(*std::max_element(waits.begin(), waits.end()), milliseconds(1'000));
  EXPECT_GT(*std::max_element(waits.begin(), waits.end()), milliseconds(700));
}

TEST(Mapping, GivesUpAfterTheRetriesAndCommitsOnlyOnceTheDestinationHasIt) {
  World world({.batch_records_most = 2, .retries_most = 2});
  world.add_all(0, 0, 4);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(world->next_discard().has_value());
    world.move_to_due();
    ASSERT_EQ(world.next(), "0:0 0:1");
    world.fail();
  }
  const auto discard = world->next_discard();
  ASSERT_TRUE(discard.has_value());
  EXPECT_EQ(World::text(discard->records), "0:0 0:1");
  EXPECT_EQ(discard->reason, DiscardReason::kRetriesExhausted);
  EXPECT_EQ(discard->invocations, 3);
  ASSERT_TRUE(discard->last.has_value());
  EXPECT_EQ(discard->last->function_error, "Unhandled");
  EXPECT_FALSE(world->next_discard().has_value()) << "told once";
  EXPECT_EQ(world.next(), "") << "the next batch waits until the destination has this one";
  EXPECT_EQ(world.commits(), "");
  world->discarded(discard->batch);
  EXPECT_EQ(world.commits(), "0:2");
  EXPECT_EQ(world.next(), "0:2 0:3");
  EXPECT_EQ(world->counters().discarded_records, 2);
}

TEST(Mapping, BisectingIsolatesOneBadRecordAndCostsNoAttempt) {
  World world({.batch_records_most = 8, .retries_most = 1, .bisect = true});
  world.add_all(0, 0, 8);
  world.run("0:5");
  EXPECT_EQ(world.discards, Texts{"0:5"});
  EXPECT_EQ(world.sent, (Texts{"0:0 0:1 0:2 0:3 0:4 0:5 0:6 0:7", "0:0 0:1 0:2 0:3", "0:4 0:5 0:6 0:7", "0:4 0:5",
                               "0:4", "0:5", "0:5", "0:6 0:7"}));
  EXPECT_EQ(world.commits(), "0:8");
  EXPECT_EQ(world->counters().bisects, 3);
}

TEST(Mapping, PartialFailureSendsFromTheFirstFailedRecordOfEachPartition) {
  World world({.batch_records_most = 6, .report_item_failures = true});
  world.add_all(0, 0, 3);
  world.add_all(2, 5, 8);
  EXPECT_EQ(world.next(), "0:0 0:1 0:2 2:5 2:6 2:7");
  EXPECT_EQ(world.succeed(R"({"batchItemFailures":[{"itemIdentifier":{"partition":"t-2","offset":6}},)"
                          R"({"itemIdentifier":{"partition":"t-2","offset":7}}]})"),
            "");
  EXPECT_EQ(world.commits(), "0:3 2:6");
  world.move_to_due();
  EXPECT_EQ(world.next(), "2:6 2:7");
  EXPECT_EQ(world.succeed(R"({"batchItemFailures":[]})"), "");
  EXPECT_EQ(world.commits(), "2:8");
  EXPECT_EQ(world->counters().partial_failures, 1);
}

TEST(Mapping, AnUnknownIdentifierOrAMalformedResponseBringsTheWholeBatchAgain) {
  World world({.batch_records_most = 3, .report_item_failures = true});
  world.add_all(0, 0, 3);
  const char* one_unknown = R"({"batchItemFailures":[{"itemIdentifier":{"partition":"t-0","offset":1}},)"
                            R"({"itemIdentifier":{"partition":"t-0","offset":99}}]})";
  for (const char* response :
       {R"({"batchItemFailures":[{"itemIdentifier":{"partition":"t-0","offset":3}}]})",
        R"({"batchItemFailures":[{"itemIdentifier":{"partition":"t-1","offset":1}}]})",
        R"({"batchItemFailures":[{"itemIdentifier":{"partition":"t","offset":1}}]})", one_unknown, "ok",
        R"({"batchItemFailures":[{"itemIdentifier":{"partition":"t-0","offset":0}}]})"}) {
    world.move_to_due();
    ASSERT_EQ(world.next(), "0:0 0:1 0:2");
    EXPECT_NE(world.succeed(response), "") << response;
    EXPECT_EQ(world.commits(), "") << response;
  }
}

TEST(Mapping, WithoutTheReportTypeAResponseIsNotRead) {
  World world({.batch_records_most = 1});
  world.add(0, 0);
  EXPECT_EQ(world.next(), "0:0");
  EXPECT_EQ(world.succeed(R"({"batchItemFailures":[{"itemIdentifier":{"partition":"t-0","offset":0}}]})"), "");
  EXPECT_EQ(world.commits(), "0:1");
}

TEST(Mapping, AttemptsBeginAnewWhenABatchMovedOn) {
  World world({.batch_records_most = 2, .retries_most = 1, .report_item_failures = true});
  world.add_all(0, 0, 2);
  EXPECT_EQ(world.next(), "0:0 0:1");
  world.fail();
  world.move_to_due();
  EXPECT_EQ(world.next(), "0:0 0:1");
  EXPECT_EQ(world.succeed(R"({"batchItemFailures":[{"itemIdentifier":{"partition":"t-0","offset":1}}]})"), "");
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(world->next_discard().has_value());
    world.move_to_due();
    EXPECT_EQ(world.next(), "0:1");
    world.fail();
  }
  EXPECT_EQ(World::text(world->next_discard()->records), "0:1");
}

TEST(Mapping, RecordsThatAreTooOldAreDiscardedUnsentAndTheirNeighboursSent) {
  World world({.batch_records_most = 3, .record_age_most = milliseconds(60'000)});
  world.add(0, 0, 10, world.now.wall - milliseconds(60'001));
  world.add(0, 1, 10, world.now.wall - milliseconds(60'000));
  world.add(0, 2, 10, std::nullopt);
  EXPECT_EQ(world.next(), "");
  const auto discard = world->next_discard();
  ASSERT_TRUE(discard.has_value());
  EXPECT_EQ(World::text(discard->records), "0:0");
  EXPECT_EQ(discard->reason, DiscardReason::kRecordAge);
  EXPECT_EQ(discard->invocations, 0);
  EXPECT_FALSE(discard->last.has_value());
  world->discarded(discard->batch);
  EXPECT_EQ(world.next(), "0:1 0:2");
  world.fail();
  world.move(milliseconds(1'000));
  EXPECT_EQ(world.next(), "");
  EXPECT_EQ(World::text(world->next_discard()->records), "0:1") << "it grew too old while its batch was retried";
}

TEST(Mapping, WhatIsRevokedIsForgottenAndItsOutcomeIgnored) {
  World world({.batch_records_most = 2});
  world.add_all(0, 0, 4);
  world.add_all(1, 0, 1);
  EXPECT_EQ(world.next(), "0:0 0:1");
  world->revoke(World::claim(0));
  EXPECT_FALSE(world->owns(World::claim(0)));
  const Claim again{PartitionId{0}, AssignmentId{2}};
  world->assign(again, Offset{0});
  world.add(0, 4);  // of the claim that is gone
  EXPECT_EQ(world.next(), "") << "the old batch is still under way: no second one of the same partition";
  EXPECT_EQ(world.succeed(), "");
  EXPECT_EQ(world.commits(), "");
  EXPECT_EQ(world->position(again), Offset{0});
  world.move(milliseconds(500));
  EXPECT_EQ(world.next(), "1:0");
}

TEST(Mapping, AFailedBatchComesAgainWithoutTheRevokedPartition) {
  World world({.batch_records_most = 4});
  world.add_all(0, 0, 2);
  world.add_all(1, 0, 2);
  EXPECT_EQ(world.next(), "0:0 0:1 1:0 1:1");
  world->revoke(World::claim(0));
  world.fail();
  world.move_to_due();
  EXPECT_EQ(world.next(), "1:0 1:1");
}

TEST(Mapping, HoldsBackWhileItIsDrained) {
  World world({.batch_records_most = 1});
  world.add_all(0, 0, 2);
  EXPECT_EQ(world.next(), "0:0");
  world->hold();
  EXPECT_EQ(world.succeed(), "");
  EXPECT_EQ(world.next(), "");
  EXPECT_EQ(world->due(), std::nullopt);
  EXPECT_EQ(world->under_way(), 0u);
  EXPECT_EQ(world.commits(), "0:1");
  world->release();
  EXPECT_EQ(world.next(), "0:1");
}

TEST(Mapping, BacklogCountsWhatWaitsAndWhatComesAgain) {
  World world({.batch_records_most = 4, .bisect = true});
  world.add_all(0, 0, 6);
  EXPECT_EQ(world->backlog(World::claim(0)).records, 6u);
  EXPECT_EQ(world.next(), "0:0 0:1 0:2 0:3");
  EXPECT_EQ(world->backlog(World::claim(0)).records, 2u);
  world.fail();
  EXPECT_EQ(world->backlog(World::claim(0)).records, 6u);
  EXPECT_GT(world->backlog(World::claim(0)).bytes, 6u * 60);
}

TEST(Chaos, SentTwiceNeedsTwoAnswers) {
  World world({.batch_records_most = 1, .chaos = {.duplicate = true}, .seed = 5});
  world.add_all(0, 0, 100);
  std::int64_t twice = 0;
  std::int64_t sent = 0;
  while (!world.next().empty()) {
    ++sent;
    if (world.last.twice) {
      ++twice;
      world.fail();  // the first answer is not the last
      EXPECT_EQ(world.next(), "");
    }
    EXPECT_EQ(world.succeed(), "");
  }
  EXPECT_GT(twice, 3);
  EXPECT_GT(sent, 103) << "some came once more after they had succeeded";
  EXPECT_EQ(world->counters().duplicated, twice + sent - 100);
  EXPECT_EQ(world.commits(), "0:100");
}

TEST(Chaos, ReversedHalvesCommitOnlyTogether) {
  World world({.batch_records_most = 4, .chaos = {.reverse_halves = true}, .seed = 3});
  world.add_all(0, 0, 400);
  std::int64_t reversed = 0;
  std::int64_t dealt_with = 0;
  while (true) {
    const std::string batch = world.next();
    if (batch.empty()) break;
    const bool second_half = world.last.records.front()->offset.value() != dealt_with;
    EXPECT_EQ(world.succeed(), "");
    if (second_half) {
      ++reversed;
      EXPECT_EQ(world.commits(), "");
      EXPECT_EQ(world.next(), fmt::format("0:{} 0:{}", dealt_with, dealt_with + 1));
      EXPECT_EQ(world.succeed(), "");
    }
    dealt_with += 4;
    EXPECT_EQ(world.commits(), fmt::format("0:{}", dealt_with));
  }
  EXPECT_EQ(dealt_with, 400);
  EXPECT_GT(reversed, 5);
  EXPECT_EQ(world->counters().reversed, reversed);
}

TEST(Chaos, ADroppedReplyIsNoAttemptThatCounts) {
  World world({.batch_records_most = 2, .retries_most = 0, .chaos = {.drop_reply = true}, .seed = 9});
  world.add_all(0, 0, 200);
  world.run();
  EXPECT_GT(world->counters().replies_dropped, 5);
  EXPECT_EQ(world->counters().deliveries, 100 + world->counters().replies_dropped);
  EXPECT_TRUE(world.discards.empty());
  EXPECT_EQ(world.commits(), "0:200");
}

TEST(Chaos, RecutBringsTheSameRecordsInOtherBatches) {
  World world({.batch_records_most = 10, .chaos = {.recut = true, .drop_reply = true}, .seed = 11});
  world.add_all(0, 0, 500);
  world.run();
  std::map<std::string, std::set<std::string>> batches_of;  // by their first record
  for (const std::string& batch : world.sent) batches_of[batch.substr(0, batch.find(' '))].insert(batch);
  const auto recut =
      std::count_if(batches_of.begin(), batches_of.end(), [](const auto& it) { return it.second.size() > 1; });
  EXPECT_GT(recut, 3);
  EXPECT_EQ(world.commits(), "0:500");
}

}  // namespace
}  // namespace culvert::lambda
