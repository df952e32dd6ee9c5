// SPDX-License-Identifier: Apache-2.0
// Reading without a group: ranges, ends, following.
#include "adapters/kafka/reader.h"

#include "adapters/kafka/admin.h"
#include "broker_fixture.h"

namespace culvert::kafka {
namespace {

constexpr int kOffsetOutOfRange = 1;

class Ranges : public BrokerTest {
 protected:
  void SetUp() override {
    BrokerTest::SetUp();
    fill(config, 4, 1'000);
    auto opened = PartitionReader::open(config, {.topic = kTopic, .batch_records_max = 300});
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    reader = *std::move(opened);
  }

  void poll_once() {
    const Polled polled = reader->poll(Millis{50});
    if (const auto* records = std::get_if<Records>(&polled)) {
      for (const PartitionRecords& run : records->runs) {
        for (const Record& record : run.records) {
          offsets[run.claim.partition.value()].push_back(record.offset.value());
        }
      }
    } else if (const auto* end = std::get_if<EndReached>(&polled)) {
      ends[end->claim.partition.value()].push_back(end->next.value());
    } else if (const auto* failed = std::get_if<Failed>(&polled)) {
      errors.push_back(failed->error);
    }
  }

  void poll_until(const std::function<bool()>& done, const std::string& what) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited in vain until " << what;
      poll_once();
    }
  }

  std::unique_ptr<PartitionReader> reader;
  std::map<std::int32_t, std::vector<std::int64_t>> offsets;
  std::map<std::int32_t, std::vector<std::int64_t>> ends;
  std::vector<Error> errors;
};

TEST_F(Ranges, ExactlyTheRangeIsReadAndItsEndIsToldOnce) {
  const std::vector<ReadRange> ranges{{PartitionId{0}, Offset{0}, Offset{1'000}},
                                      {PartitionId{1}, Offset{250}, Offset{750}},
                                      {PartitionId{2}, Offset{500}, Offset{500}},
                                      {PartitionId{3}, Offset{999}, Offset{1'000}}};
  EXPECT_EQ(reader->partition_count(), 4);
  ASSERT_TRUE(reader->start(ranges).ok());
  poll_until([&] { return reader->done(); }, "all ranges were read");
  EXPECT_EQ(offsets[0], sequence(1'000));
  EXPECT_EQ(offsets[1], sequence(500, 250));
  EXPECT_TRUE(offsets[2].empty());
  EXPECT_EQ(offsets[3], sequence(1, 999));
  for (const ReadRange& range : ranges) {
    EXPECT_EQ(ends[range.partition.value()], std::vector<std::int64_t>{range.next->value()});
  }
  EXPECT_TRUE(errors.empty());
  EXPECT_TRUE(reader->check_progress(Millis{0}).ok());
}

TEST_F(Ranges, FollowingGoesOnWithNewRecords) {
  ASSERT_TRUE(reader->start(std::vector<ReadRange>{{PartitionId{0}, Offset{990}}}).ok());
  poll_until([&] { return !ends[0].empty(); }, "the end of the log was reached");
  EXPECT_FALSE(reader->done());
  EXPECT_TRUE(reader->check_progress(Millis{0}).ok()) << "nobody promised that more would come";
  fill(config, 1, 5, 1'000);
  poll_until([&] { return offsets[0].size() == 15; }, "the new records came");
  EXPECT_EQ(offsets[0], sequence(15, 990));
}

TEST_F(Ranges, ARangeOutsideOfTheLogIsADataError) {
  ASSERT_TRUE(reader->start(std::vector<ReadRange>{{PartitionId{0}, Offset{2'000}, Offset{3'000}}}).ok());
  poll_until([&] { return !errors.empty(); }, "the error came");
  EXPECT_EQ(errors.front().kind, ErrorKind::kData);
}

// As by a leader that has just started: the position is refused although the log holds it.
TEST_F(Ranges, ARefusedPositionIsAskedForAgainBeforeItIsBelieved) {
  broker->fail_requests(Request::kFetch, kOffsetOutOfRange, 3);
  ASSERT_TRUE(reader
                  ->start(std::vector<ReadRange>{{PartitionId{0}, Offset{0}, Offset{1'000}},
                                                 {PartitionId{1}, Offset{100}, Offset{1'000}},
                                                 {PartitionId{2}, Offset{200}}})
                  .ok());
  poll_until([&] { return offsets[0].size() == 1'000 && offsets[1].size() == 900 && offsets[2].size() == 800; },
             "all ranges were read");
  broker->fail_requests(Request::kFetch, kOffsetOutOfRange, 2);
  fill(config, 4, 500, 1'000);
  poll_until([&] { return offsets[2].size() == 1'300; }, "the partition was followed");
  EXPECT_EQ(offsets[0], sequence(1'000));
  EXPECT_EQ(offsets[1], sequence(900, 100));
  EXPECT_EQ(offsets[2], sequence(1'300, 200));
  EXPECT_TRUE(errors.empty()) << errors.front().message;
}

TEST_F(Ranges, SilenceBeforeTheEndIsReported) {
  ASSERT_TRUE(broker->set_down(-1).ok());
  ASSERT_TRUE(reader->start(std::vector<ReadRange>{{PartitionId{0}, Offset{0}, Offset{1'000}}}).ok());
  poll_until([&] { return !reader->check_progress(Millis{500}).ok(); }, "the silence was noticed");
  EXPECT_EQ(reader->check_progress(Millis{500}).error().kind, ErrorKind::kUnavailable);
  ASSERT_TRUE(broker->set_up(-1).ok());
  poll_until([&] { return reader->done(); }, "the range was read");
  EXPECT_EQ(offsets[0], sequence(1'000));
}

TEST_F(Ranges, AdminDescribesTheTopic) {
  auto admin = Admin::open(config);
  ASSERT_TRUE(admin.ok()) << admin.error().message;
  const auto topic = (*admin)->wait_for_topic(kTopic, kPatience);
  ASSERT_TRUE(topic.ok()) << topic.error().message;
  EXPECT_EQ(topic->partitions.size(), 4u);
  EXPECT_EQ(topic->brokers.size(), 3u);
  const auto cluster = (*admin)->cluster(kPatience);
  ASSERT_TRUE(cluster.ok()) << cluster.error().message;
  EXPECT_EQ(cluster->brokers.front().host, "127.0.0.1");
  EXPECT_EQ(*(*admin)->log_range(kTopic, PartitionId{3}, kPatience), (LogRange{Offset{0}, Offset{1'000}}));
  const auto missing = (*admin)->topic("elsewhere", kPatience);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind, ErrorKind::kConfiguration);
}

}  // namespace
}  // namespace culvert::kafka
