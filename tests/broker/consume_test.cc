// SPDX-License-Identifier: Apache-2.0
// Reading without faults: every record once, in order, from where it was asked for, also across seeks and pauses.
#include <fmt/format.h>

#include <random>
#include <thread>

#include "broker_fixture.h"

namespace culvert::kafka {
namespace {

class Consume : public BrokerTest {};

TEST_F(Consume, EveryRecordOnceInOrderWithKeyAndValue) {
  fill(config, 4, 2'500);
  Reader reader(config);
  reader.poll_until([&] { return reader.received() == 10'000 && reader.ends() == 4; }, "all records and ends came");
  for (int p = 0; p < 4; ++p) {
    EXPECT_EQ(reader.offsets[p], sequence(2'500));
    EXPECT_EQ(reader.values[p][17], fmt::format("value {}/17", p));
    EXPECT_EQ(reader.end_of[p], 2'500);
  }
  EXPECT_TRUE(reader.errors.empty()) << reader.errors.front().message;
  ASSERT_EQ(reader.assigned.size(), 1u);
  EXPECT_EQ(reader.assigned[0].size(), 4u);
  EXPECT_EQ(reader.consumer().counters().delivered, 10'000u);
  reader.leave();
}

TEST_F(Consume, NullAndEmptyKeysAndValuesAreToldApartAndTimestampsKept) {
  auto producer = Producer::open(config, {.topic = kTopic});
  ASSERT_TRUE(producer.ok()) << producer.error().message;
  const PartitionId first{0};
  ASSERT_TRUE((*producer)->send({.partition = first}).ok());
  ASSERT_TRUE((*producer)->send({.key = "", .value = "", .partition = first}).ok());
  const RecordTime time{1'700'000'000'123};
  ASSERT_TRUE((*producer)->send({.key = "k", .value = "v", .timestamp = time, .partition = first}).ok());
  ASSERT_TRUE((*producer)->send({.value = "v", .timestamp = time, .partition = first}).ok());
  ASSERT_TRUE((*producer)->flush(kPatience).ok());
  Reader reader(config);
  std::vector<std::string> seen;
  reader.on_run = [&](const PartitionRecords& run) {
    for (const Record& record : run.records) {
      seen.push_back(fmt::format("{} {} {}", record.key ? fmt::format("'{}'", *record.key) : "null",
                                 record.value ? fmt::format("'{}'", *record.value) : "null",
                                 record.timestamp == time ? "then" : "now"));
      EXPECT_TRUE(record.timestamp.has_value());
    }
  };
  reader.poll_until([&] { return seen.size() == 4; }, "four records came");
  EXPECT_EQ(seen, (std::vector<std::string>{"null null now", "'' '' now", "'k' 'v' then", "null 'v' then"}));
}

// Kafka's own sign of no timestamp: of producers that set none, and of logs of the first message format.
TEST_F(Consume, ATimestampOfMinusOneIsNone) {
  auto producer = Producer::open(config, {.topic = kTopic});
  ASSERT_TRUE(producer.ok()) << producer.error().message;
  ASSERT_TRUE((*producer)->send({.value = "v", .timestamp = RecordTime{-1}, .partition = PartitionId{0}}).ok());
  ASSERT_TRUE((*producer)->flush(kPatience).ok());
  Reader reader(config);
  std::vector<std::optional<RecordTime>> seen;
  reader.on_run = [&](const PartitionRecords& run) {
    for (const Record& record : run.records) seen.push_back(record.timestamp);
  };
  reader.poll_until([&] { return seen.size() == 1; }, "the record came");
  EXPECT_EQ(seen.front(), std::nullopt) << seen.front()->value();
}

TEST_F(Consume, MetadataComesBesideTheRecordsIfItIsAskedFor) {
  fill(config, 1, 50);
  Reader plain(config);
  plain.on_run = [&](const PartitionRecords& run) { EXPECT_TRUE(run.metadata.empty()); };
  plain.poll_until([&] { return plain.ends() == 4; }, "all records came");
  plain.leave();
  Reader reader(config, {.topic = kTopic, .group = "others", .with_metadata = true});
  std::size_t seen = 0;
  reader.on_run = [&](const PartitionRecords& run) {
    ASSERT_EQ(run.metadata.size(), run.records.size());
    for (const RecordMetadata& metadata : run.metadata) {
      EXPECT_EQ(metadata.timestamp_type, TimestampType::kCreateTime);
      EXPECT_TRUE(metadata.headers.empty());
      ++seen;
    }
  };
  reader.poll_until([&] { return seen == 50 && reader.ends() == 4; }, "all records came");
}

TEST_F(Consume, AnotherThreadEndsAPollThatWaits) {
  Reader reader(config);
  reader.poll_until([&] { return reader.ends() == 4; }, "the ends came");
  const auto begun = std::chrono::steady_clock::now();
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    reader.consumer().wake();
  });
  while (!std::holds_alternative<Nothing>(reader.consumer().poll(kPatience))) {
  }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kPatience / 2);
  other.join();
  // A wake that comes first is not lost.
  reader.consumer().wake();
  EXPECT_TRUE(std::holds_alternative<Nothing>(reader.consumer().poll(kPatience)));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kPatience / 2);
}

TEST_F(Consume, KeysGoToThePartitionsThatJavaProgramsChoose) {
  // murmur2 of the key, without its sign, modulo the partitions; the hashes are those of Kafka's own clients.
  const std::map<std::string, std::int32_t> expected{
      {"21", (-973932308 & 0x7fffffff) % 4}, {"foobar", (-790332482 & 0x7fffffff) % 4}, {"abc", 479470107 % 4}};
  auto producer = Producer::open(config, {.topic = kTopic});
  ASSERT_TRUE(producer.ok()) << producer.error().message;
  for (const auto& [key, partition] : expected) ASSERT_TRUE((*producer)->send({.key = key, .value = key}).ok());
  ASSERT_TRUE((*producer)->flush(kPatience).ok());
  Reader reader(config);
  reader.poll_until([&] { return reader.received() == 3; }, "three records came");
  for (const auto& [key, partition] : expected) {
    EXPECT_EQ(std::count(reader.values[partition].begin(), reader.values[partition].end(), key), 1) << key;
  }
}

TEST_F(Consume, StartsWhereItIsToldAndNotWhereTheGroupCommitted) {
  fill(config, 4, 100);
  {
    Reader reader(config);
    reader.poll_until([&] { return reader.received() == 400; }, "all came");
    reader.consumer().commit(PartitionId{2}, Offset{100});
    reader.leave();
  }
  Reader reader(config);
  reader.start_at = {{0, 10}, {1, 99}, {2, 50}, {3, 100}};
  reader.poll_until([&] { return reader.received() == 141 && reader.ends() == 4; }, "the rest came");
  EXPECT_EQ(reader.offsets[0], sequence(90, 10));
  EXPECT_EQ(reader.offsets[1], sequence(1, 99));
  EXPECT_EQ(reader.offsets[2], sequence(50, 50));
  EXPECT_TRUE(reader.offsets[3].empty());
}

TEST_F(Consume, CommittedOffsetsFollowAndAnswersAboutTheLogAreTrue) {
  fill(config, 4, 100);
  Reader reader(config);
  reader.poll_until([&] { return reader.received() == 400; }, "all came");
  const PartitionId p{1};
  Consumer& consumer = reader.consumer();
  ASSERT_TRUE(consumer.committed(p, kPatience).ok());
  EXPECT_EQ(*consumer.committed(p, kPatience), std::nullopt);
  consumer.commit(p, Offset{42});
  reader.poll_until([&] { return *consumer.committed(p, kPatience) == Offset{42}; }, "the commit arrived");
  EXPECT_EQ(*consumer.log_range(p, kPatience), (LogRange{Offset{0}, Offset{100}}));
  const auto begin = std::chrono::steady_clock::now();
  const Result<std::string> id = consumer.topic_id(kPatience);
  ASSERT_TRUE(id.ok()) << id.error().message;
  EXPECT_EQ(*id, "") << "the embedded broker has no controller to ask";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPatience / 3) << "not asked in vain to the end of patience";
  EXPECT_EQ(consumer.partition_count(), 4);
  const std::vector<PartitionStatus> status = consumer.status();
  ASSERT_EQ(status.size(), 4u);
  EXPECT_EQ(status[1].position, Offset{100});
  EXPECT_EQ(status[1].log_end, Offset{100});
  EXPECT_EQ(consumer.counters().commits_failed, 0u);
  reader.leave();
}

TEST_F(Consume, SeekInTheMidstOfABatchReadsOnFromThereWithoutGap) {
  fill(config, 4, 3'000);
  Reader reader(config);
  std::map<std::int32_t, bool> sought;
  reader.on_run = [&](const PartitionRecords& run) {
    const std::int32_t p = run.claim.partition.value();
    for (const Record& record : run.records) {
      reader.offsets[p].push_back(record.offset.value());
      if (!sought[p] && record.offset.value() == 1'000) {
        sought[p] = true;
        reader.consumer().seek(run.claim.partition, Offset{200});
        break;  // what the batch still holds was read before the seek
      }
    }
  };
  reader.poll_until([&] { return reader.received() == std::size_t{4} * (1'001 + 2'800); },
                    "all were read, part of them twice");
  std::vector<std::int64_t> expected = sequence(1'001);
  const std::vector<std::int64_t> again = sequence(2'800, 200);
  expected.insert(expected.end(), again.begin(), again.end());
  for (int p = 0; p < 4; ++p) EXPECT_EQ(reader.offsets[p], expected);
}

TEST_F(Consume, PausedPartitionsAreSilentAndResumeWithoutLossOrRepetition) {
  fill(config, 4, 2'000);
  Reader reader(config, {.topic = kTopic, .group = kGroup, .batch_records_max = 100});
  reader.poll_until([&] { return reader.received() >= 500; }, "some came");
  for (int p = 0; p < 4; ++p) reader.consumer().pause(PartitionId{p});
  const std::size_t before = reader.received();
  for (int i = 0; i < 10; ++i) reader.poll_once();
  EXPECT_EQ(reader.received(), before);
  for (const PartitionStatus& status : reader.consumer().status()) EXPECT_TRUE(status.paused);
  for (int p = 0; p < 4; ++p) reader.consumer().resume(PartitionId{p});
  reader.poll_until([&] { return reader.received() == 8'000; }, "the rest came");
  for (int p = 0; p < 4; ++p) EXPECT_EQ(reader.offsets[p], sequence(2'000));
}

// What is told waits until there are no records.  An end that a seek overtakes meanwhile would say that there is
// nothing where the seek goes.
TEST_F(Consume, AnEndOfBeforeASeekIsNotToldAfterIt) {
  fill(config, 2, 10);
  Reader reader(config, {.topic = kTopic, .group = kGroup, .batch_records_max = 20});
  reader.poll_until([&] { return reader.owned.size() == 4; }, "the partitions were assigned");
  std::this_thread::sleep_for(Millis{500});  // both are fetched to their ends,
  fill(config, 1, 2'000, 10);
  std::this_thread::sleep_for(Millis{500});  // and more of one lies behind the ends
  reader.poll_until([&] { return reader.offsets[1].size() == 10 && reader.offsets[0].size() >= 500; }, "some came");
  ASSERT_LT(reader.offsets[0].size(), 2'010u);
  ASSERT_EQ(reader.ends(), 0u);
  reader.consumer().seek(PartitionId{1}, Offset{0});
  reader.offsets[1].clear();
  reader.poll_until([&] { return reader.offsets[1].size() == 10 || reader.end_of.count(1) != 0; }, "something came");
  EXPECT_EQ(reader.offsets[1], sequence(10)) << "all of them before the end";
}

TEST_F(Consume, RandomSeeksAndPausesNeverSkipNorRepeat) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  constexpr int kRecords = 3'000;
  fill(config, 4, kRecords);
  Reader reader(config, {.topic = kTopic, .group = kGroup, .batch_records_max = 150});
  std::map<std::int32_t, std::int64_t> expected;
  std::vector<bool> paused(4, false);
  reader.on_run = [&](const PartitionRecords& run) {
    const std::int32_t p = run.claim.partition.value();
    EXPECT_FALSE(paused[static_cast<std::size_t>(p)]);
    for (const Record& record : run.records) ASSERT_EQ(record.offset.value(), expected[p]++) << "partition " << p;
  };
  const auto pick = [&](int below) { return std::uniform_int_distribution<int>(0, below - 1)(random); };
  for (int step = 0; step < 300 && !HasFatalFailure(); ++step) {
    reader.poll_once(Millis{20});
    if (reader.owned.empty()) continue;
    const PartitionId p{pick(4)};
    const auto index = static_cast<std::size_t>(p.value());
    switch (pick(4)) {
      case 0:
        expected[p.value()] = pick(kRecords);
        reader.consumer().seek(p, Offset{expected[p.value()]});
        break;
      case 1:
        reader.consumer().pause(p);
        paused[index] = true;
        break;
      default:
        reader.consumer().resume(p);
        paused[index] = false;
        break;
    }
  }
  for (int p = 0; p < 4; ++p) {
    paused[static_cast<std::size_t>(p)] = false;
    reader.consumer().resume(PartitionId{p});
  }
  const auto all_read = [&] {
    return std::all_of(expected.begin(), expected.end(), [](const auto& e) { return e.second == kRecords; });
  };
  reader.poll_until(all_read, "every partition was read to its end");
}

TEST_F(Consume, RecordsComeWithoutWaitingForABatchToFill) {
  Reader reader(config);
  reader.poll_until([&] { return reader.ends() == 4; }, "the empty partitions' ends were reached");
  fill(config, 1, 1);
  const auto begin = std::chrono::steady_clock::now();
  while (reader.received() == 0) reader.poll_once(kPatience);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, kPatience / 3) << "as soon as they are there";
}

TEST_F(Consume, FatalWhenTheStartLiesOutsideTheLog) {
  fill(config, 4, 10);
  Reader reader(config);
  reader.start_at = {{0, 11}};
  reader.poll_until([&] { return !reader.errors.empty(); }, "the error came");
  const Error& error = reader.errors.front();
  EXPECT_EQ(error.kind, ErrorKind::kData);
  EXPECT_FALSE(error.retriable);
  EXPECT_NE(error.message.find("topic 'telemetry' partition 0 at offset 11"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("--accept-loss"), std::string::npos) << error.message;
}

TEST_F(Consume, FatalWhenRetentionRemovedTheStart) {
  // More than the 5 MiB that the embedded broker keeps of a partition.
  auto producer = Producer::open(config, {.topic = kTopic});
  ASSERT_TRUE(producer.ok()) << producer.error().message;
  std::mt19937 random(1);
  std::string noise(20'000, ' ');
  for (int i = 0; i < 500; ++i) {
    for (char& c : noise) c = static_cast<char>(random());
    ASSERT_TRUE((*producer)->send({.key = "k", .value = noise, .partition = PartitionId{0}}).ok());
  }
  ASSERT_TRUE((*producer)->flush(kPatience).ok());
  Reader reader(config);
  reader.poll_until([&] { return !reader.errors.empty(); }, "the error came");
  EXPECT_EQ(reader.errors.front().kind, ErrorKind::kData);
  EXPECT_TRUE(reader.offsets[0].empty());
  EXPECT_GT(reader.consumer().log_range(PartitionId{0}, kPatience)->log_start, Offset{0});
}

TEST_F(Consume, UnknownTopicIsRefusedAtOnce) {
  const auto consumer = Consumer::open(config, {.topic = "telemtry", .group = kGroup});
  ASSERT_FALSE(consumer.ok());
  EXPECT_EQ(consumer.error().kind, ErrorKind::kConfiguration);
  EXPECT_NE(consumer.error().message.find("topic 'telemtry': does not exist"), std::string::npos);
  const auto producer = Producer::open(config, {.topic = "telemtry"});
  ASSERT_FALSE(producer.ok()) << "producing must not create topics";
  EXPECT_EQ(producer.error().kind, ErrorKind::kConfiguration);
}

}  // namespace
}  // namespace culvert::kafka
