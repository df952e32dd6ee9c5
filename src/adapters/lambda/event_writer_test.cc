// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/event_writer.h"

#include <gtest/gtest.h>

#include <random>

#include "adapters/lambda/event.h"

namespace culvert::lambda {
namespace {

using namespace std::string_literals;

EventWriter self_managed(const std::string& topic = "readings") {
  return EventWriter({EventSourceKind::kSelfManaged, topic, "b-1.example:9094,b-2.example:9094", {}});
}

EventRecord record_at(int partition, std::int64_t offset) {
  EventRecord record;
  record.claim.partition = PartitionId{partition};
  record.offset = Offset{offset};
  return record;
}

std::vector<const EventRecord*> pointers(const std::vector<EventRecord>& records) {
  std::vector<const EventRecord*> result;
  for (const EventRecord& record : records) result.push_back(&record);
  return result;
}

std::size_t told_bytes(const EventWriter& writer, const std::vector<EventRecord>& records) {
  std::size_t bytes = writer.frame_bytes();
  std::size_t partitions = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    bytes += writer.record_bytes(records[i]);
    if (i > 0 && records[i].claim.partition == records[i - 1].claim.partition) continue;
    bytes += writer.partition_bytes(records[i].claim.partition);
    ++partitions;
  }
  return bytes - partitions - (partitions > 0 ? 1 : 0);
}

TEST(EventWriter, OfASelfManagedSource) {
  EventRecord first = record_at(0, 15);
  first.timestamp = RecordTime{1545084650987};
  first.timestamp_type = RecordTimeType::kCreateTime;
  first.key = "recordKey";
  first.value = R"({"key":"value"})";
  first.headers = {{"headerKey", "headerValue"}};
  EXPECT_EQ(self_managed("mytopic").write(pointers({first})),
            R"({"eventSource":"SelfManagedKafka","bootstrapServers":"b-1.example:9094,b-2.example:9094",)"
            R"("records":{"mytopic-0":[{"topic":"mytopic","partition":0,"offset":15,"timestamp":1545084650987,)"
            R"("timestampType":"CREATE_TIME","key":"cmVjb3JkS2V5","value":"eyJrZXkiOiJ2YWx1ZSJ9",)"
            R"("headers":[{"headerKey":[104,101,97,100,101,114,86,97,108,117,101]}]}]}})");
}

TEST(EventWriter, OfAManagedSourceWithSeveralPartitions) {
  const EventWriter writer({EventSourceKind::kMsk, "a-b", "b-1:9098", "arn:aws:kafka:eu-central-1:1:cluster/c/x"});
  std::vector<EventRecord> records{record_at(0, 1), record_at(0, 5), record_at(12, 0)};
  records[1].timestamp = RecordTime{7};
  records[1].timestamp_type = RecordTimeType::kLogAppendTime;
  records[2].value = "";
  EXPECT_EQ(
      writer.write(pointers(records)),
      R"({"eventSource":"aws:kafka","eventSourceArn":"arn:aws:kafka:eu-central-1:1:cluster/c/x",)"
      R"("bootstrapServers":"b-1:9098","records":{"a-b-0":[)"
      R"({"topic":"a-b","partition":0,"offset":1,"timestamp":-1,"timestampType":"NO_TIMESTAMP_TYPE","headers":[]},)"
      R"({"topic":"a-b","partition":0,"offset":5,"timestamp":7,"timestampType":"LOG_APPEND_TIME","headers":[]}],)"
      R"("a-b-12":[{"topic":"a-b","partition":12,"offset":0,"timestamp":-1,)"
      R"("timestampType":"NO_TIMESTAMP_TYPE","value":"","headers":[]}]}})");
}

TEST(EventWriter, HeaderBytesAreSignedAndNamesStayText) {
  EventRecord record = record_at(0, 1);
  record.headers = {{"trace", "h\xdc\0\x7f\x80"s}, {"q\"\\\n\xff", std::nullopt}, {"", ""}};
  const std::string event = self_managed().write(pointers({record}));
  EXPECT_NE(event.find(R"("headers":[{"trace":[104,-36,0,127,-128]},{"q\"\\\u000a\ufffd":null},{"":[]}])"),
            std::string::npos)
      << event;
}

// What comes out of the reader is what went into the writer, and the sizes told before are those of the text.
TEST(EventWriter, RoundTripThroughTheReaderAndExactSizes) {
  std::random_device device;
  const std::uint32_t seed = device();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto upto = [&](int most) { return std::uniform_int_distribution<int>(0, most)(random); };
  const auto bytes = [&](int most) {
    std::string text(static_cast<std::size_t>(upto(most)), ' ');
    for (char& c : text) c = static_cast<char>(upto(255));
    return text;
  };
  const auto maybe = [&](int most) { return upto(4) == 0 ? std::nullopt : std::optional{bytes(most)}; };
  const EventWriter writer = self_managed("t-1.x_y");
  EventReader reader;
  for (int round = 0; round < 400; ++round) {
    std::vector<EventRecord> records;
    for (int partition = 0; partition < upto(4); ++partition) {
      std::int64_t offset = upto(5);
      for (int n = upto(6); n >= 0; --n, offset += 1 + upto(1000)) {
        EventRecord record = record_at(partition * 9, offset);
        if (upto(5) > 0) {
          record.timestamp = RecordTime{std::int64_t{upto(1 << 30)} << 11};
          record.timestamp_type = upto(1) == 0 ? RecordTimeType::kCreateTime : RecordTimeType::kLogAppendTime;
        }
        record.key = maybe(9);
        record.value = maybe(200);
        for (int h = upto(3); h > 0; --h) record.headers.push_back({bytes(8), maybe(20)});
        records.push_back(record);
      }
    }
    std::string event = writer.write(pointers(records));
    ASSERT_EQ(event.size(), told_bytes(writer, records));
    const Result<void> read = reader.read(event);
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(reader.source(), EventSource::kSelfManagedKafka);
    EXPECT_EQ(reader.bootstrap_servers(), writer.origin().bootstrap_servers);
    std::size_t next = 0;
    for (const EventBatch& batch : reader.batches()) {
      EXPECT_EQ(batch.topic, "t-1.x_y");
      for (const Record& record : batch.records) {
        ASSERT_LT(next, records.size());
        const EventRecord& expected = records[next++];
        EXPECT_EQ(batch.partition, expected.claim.partition);
        EXPECT_EQ(record.offset, expected.offset);
        EXPECT_EQ(record.timestamp, expected.timestamp);
        EXPECT_EQ(record.key, expected.key);
        EXPECT_EQ(record.value, expected.value);
      }
    }
    EXPECT_EQ(next, records.size());
  }
}

}  // namespace
}  // namespace culvert::lambda
