// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/event.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace culvert::lambda {
namespace {

constexpr std::string_view kSelfManaged = R"({
  "eventSource": "SelfManagedKafka",
  "bootstrapServers": "b-1.cluster.example:9094,b-2.cluster.example:9094",
  "records": {
    "sensor-readings-0": [
      {"topic": "sensor-readings", "partition": 0, "offset": 15, "timestamp": 1682942400123,
       "timestampType": "CREATE_TIME", "key": "MQ==", "value": "eyJkZXZpY2VfaWQiOjF9",
       "headers": [{"trace": [104, -36, 0, 127, -128, 255]}, {"empty": []}]},
      {"topic": "sensor-readings", "partition": 0, "offset": 18, "timestamp": 1682942400223,
       "timestampType": "CREATE_TIME", "key": null, "value": null, "headers": []}],
    "sensor-readings-1": [
      {"topic": "sensor-readings", "partition": 1, "offset": 7, "timestamp": 1682942400323,
       "timestampType": "LOG_APPEND_TIME", "value": ""}],
    "other-3": [
      {"topic": "other", "partition": 3, "offset": 0, "timestamp": -1, "timestampType": "NO_TIMESTAMP_TYPE",
       "value": "AA=="}]
  }
})";

constexpr std::string_view kManaged = R"({
  "eventSource":"aws:kafka",
  "eventSourceArn":"arn:aws:kafka:eu-central-1:222222222222:vpc-connection/111111111111/c/e",
  "bootstrapServers":"b-1.c.kafka.eu-central-1.amazonaws.com:14001",
  "records":{"readings-2":[{
    "topic":"readings","partition":2,"offset":9223372036854775806,"timestamp":1682942400123,
    "timestampType":"CREATE_TIME","value":"/+8=","headers":[],
    "valueSchemaMetadata":{"dataFormat":"JSON","schemaId":"1"},"new":[1.5e3,{"x":true}]}]}})";

class Event {
 public:
  explicit Event(std::string_view text) : payload_(text), result_(reader_.read(payload_)) {}
  [[nodiscard]] const Result<void>& result() const { return result_; }
  [[nodiscard]] EventReader& reader() { return reader_; }
  [[nodiscard]] std::span<const EventBatch> batches() const { return reader_.batches(); }

 private:
  std::string payload_;
  EventReader reader_;
  Result<void> result_;
};

TEST(Event, OfASelfManagedSource) {
  Event event(kSelfManaged);
  ASSERT_TRUE(event.result().ok()) << event.result().error().message;
  EXPECT_EQ(event.reader().source(), EventSource::kSelfManagedKafka);
  EXPECT_EQ(event.reader().source_arn(), "");
  EXPECT_EQ(event.reader().bootstrap_servers(), "b-1.cluster.example:9094,b-2.cluster.example:9094");
  ASSERT_EQ(event.batches().size(), 3U);
  EXPECT_EQ(event.reader().record_count(), 4U);

  const EventBatch& first = event.batches()[0];
  EXPECT_EQ(first.topic, "sensor-readings");
  EXPECT_EQ(first.partition, PartitionId{0});
  ASSERT_EQ(first.records.size(), 2U);
  EXPECT_EQ(first.records[0].offset, Offset{15});
  EXPECT_EQ(first.records[0].timestamp, RecordTime{1682942400123});
  EXPECT_EQ(first.records[0].key, "1");
  EXPECT_EQ(first.records[0].value, R"({"device_id":1})");
  EXPECT_EQ(first.records[1].offset, Offset{18});
  EXPECT_FALSE(first.records[1].key);
  EXPECT_FALSE(first.records[1].value);

  // Nothing and no value are different: an empty value is no tombstone.
  ASSERT_EQ(event.batches()[1].records.size(), 1U);
  EXPECT_FALSE(event.batches()[1].records[0].key);
  EXPECT_EQ(event.batches()[1].records[0].value, "");

  EXPECT_EQ(event.batches()[2].topic, "other");
  EXPECT_EQ(event.batches()[2].partition, PartitionId{3});
  EXPECT_FALSE(event.batches()[2].records[0].timestamp);
  EXPECT_EQ(event.batches()[2].records[0].value, std::string_view("\0", 1));
}

TEST(Event, OfAManagedSource) {
  Event event(kManaged);
  ASSERT_TRUE(event.result().ok()) << event.result().error().message;
  EXPECT_EQ(event.reader().source(), EventSource::kManagedKafka);
  EXPECT_EQ(event.reader().source_arn(), "arn:aws:kafka:eu-central-1:222222222222:vpc-connection/111111111111/c/e");
  ASSERT_EQ(event.batches().size(), 1U);
  EXPECT_EQ(event.batches()[0].records[0].offset, Offset{9223372036854775806});
  EXPECT_EQ(event.batches()[0].records[0].value, "\xff\xef");
}

TEST(Event, WithoutRecordsIsEmpty) {
  EXPECT_TRUE(Event(R"({"eventSource":"aws:kafka","records":{}})").result().ok());
  Event event(R"({"records":{"t-0":[]},"eventSource":"aws:kafka"})");
  EXPECT_TRUE(event.result().ok());
  EXPECT_TRUE(event.batches().empty());
}

std::string with_record(std::string_view record) {
  return fmt::format(R"({{"eventSource":"aws:kafka","records":{{"t-0":[{}]}}}})", record);
}

std::string record(std::string_view members) {
  return with_record(fmt::format(
      R"({{"topic":"t","partition":0,"offset":1,"timestamp":5,"timestampType":"CREATE_TIME",{}}})", members));
}

TEST(Event, EscapesAreUndone) {
  // Some writers escape each slash, and base64 has them.
  Event event(record(R"("value":"\/+8\/","key":"\u004D\u0051==")"));
  ASSERT_TRUE(event.result().ok()) << event.result().error().message;
  EXPECT_EQ(event.batches()[0].records[0].value, "\xff\xef\x3f");
  EXPECT_EQ(event.batches()[0].records[0].key, "1");
  Event topic(with_record(R"({"t\u006fpic":"a\u0062","partition":0,"offset":1,"timestamp":5})"));
  ASSERT_TRUE(topic.result().ok()) << topic.result().error().message;
  EXPECT_EQ(topic.batches()[0].topic, "ab");
}

struct Malformed {
  std::string text;
  std::string_view message;
};

TEST(Event, MalformedIsRefusedWithThePlace) {
  const std::string position = R"("topic":"t","partition":0)";
  const std::vector<Malformed> cases{
      {"", "not an object"},
      {"[]", "not an object"},
      {"{}", "without eventSource"},
      {R"({"eventSource":"aws:kafka"})", "without records"},
      {R"({"eventSource":"aws:sqs","records":{}})", "neither SelfManagedKafka nor aws:kafka"},
      {R"({"eventSource":"aws:kafka","records":{}}x)", "something behind the event"},
      {R"({"eventSource":"aws:kafka","records":{},"records":{}})", "was there before"},
      {R"({"eventSource":"aws:kafka","records":[]})", "not an object"},
      {R"({"eventSource":"aws:kafka","records":{"t-0":null}})", "not an array"},
      {R"({"eventSource":"aws:kafka","records":{"t-0":[{"topic":"t")", "does not end"},
      {with_record(R"({"partition":0,"offset":1,"timestamp":5})"), "without topic, partition or offset"},
      {with_record(fmt::format(R"({{{},"offset":1}})", position)), "without timestamp"},
      {with_record(fmt::format(R"({{{},"offset":-1,"timestamp":5}})", position)), "not an offset"},
      {with_record(fmt::format(R"({{{},"offset":9223372036854775807,"timestamp":5}})", position)), "not an offset"},
      {with_record(fmt::format(R"({{{},"offset":9223372036854775808,"timestamp":5}})", position)), "too large"},
      {with_record(fmt::format(R"({{{},"offset":1.0,"timestamp":5}})", position)), "not an integer"},
      {with_record(fmt::format(R"({{{},"offset":01,"timestamp":5}})", position)), "not an integer"},
      {with_record(fmt::format(R"({{{},"offset":"1","timestamp":5}})", position)), "not an integer"},
      {with_record(R"({"topic":"t","partition":2147483648,"offset":1,"timestamp":5})"), "not a partition"},
      {with_record(R"({"topic":"a b","partition":0,"offset":1,"timestamp":5})"), "not a topic name"},
      {with_record(R"({"topic":"","partition":0,"offset":1,"timestamp":5})"), "not a topic name"},
      {record(R"("timestampType":"CREATE_TIME")"), "was there before"},
      {record(R"("value":"YQ==","value":"YQ==")"), "was there before"},
      {record(R"("value":"YQ=")"), "not base64"},
      {record(R"("value":"YQ")"), "not base64"},
      {record(R"("value":"YQ==YQ==")"), "not base64"},
      {record(R"("value":"YR==")"), "not base64"},
      {record(R"("value":"Y===")"), "not base64"},
      {record(R"("value":"====")"), "not base64"},
      {record(R"("value":"YQ-_")"), "not base64"},
      {record(R"("value":7)"), "not a string"},
      {record("\"value\":\"YW\nJj\""), "control character"},
      {record(R"("headers":[{"a":[256]}])"), "not a byte of a header"},
      {record(R"("headers":[{"a":[-129]}])"), "not a byte of a header"},
      {record(R"("headers":{"a":[1]})"), "not an array"},
      {record(R"("x":tru)"), "not a value"},
      {record(R"("x":01)"), "a wrong number"},
      {record(R"("x":"\ud800")"), "lone surrogate"},
      {record(R"("x":"\q")"), "a wrong escape"},
      {record(R"("x":)" + std::string(70, '[')), "nested too deep"},
      {with_record(R"({"topic":"t","partition":0,"offset":1,"timestamp":5,"timestampType":"SOON"})"), "timestampType"},
      {with_record(R"({"topic":"t","partition":0,"offset":2,"timestamp":5},)"
                   R"({"topic":"t","partition":0,"offset":2,"timestamp":5})"),
       "do not ascend"},
      {with_record(R"({"topic":"t","partition":0,"offset":2,"timestamp":5},)"
                   R"({"topic":"u","partition":0,"offset":3,"timestamp":5})"),
       "several partitions"},
  };
  for (const Malformed& one : cases) {
    Event event(one.text);
    ASSERT_FALSE(event.result().ok()) << one.text;
    EXPECT_NE(event.result().error().message.find(one.message), std::string::npos)
        << one.text << "\n-> " << event.result().error().message;
    EXPECT_TRUE(event.batches().empty());
    EXPECT_FALSE(event.result().error().retriable);
  }
}

TEST(Event, CutAnywhereIsMalformed) {
  for (const std::string_view whole : {kSelfManaged, kManaged}) {
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes) {
      EXPECT_FALSE(Event(whole.substr(0, bytes)).result().ok()) << bytes;
    }
  }
}

TEST(Event, MessagesHoldNothingOfThePayload) {
  Event event(record(R"("value":"c2VjcmV0!")"));
  ASSERT_FALSE(event.result().ok());
  EXPECT_EQ(event.result().error().message.find("c2VjcmV0"), std::string::npos);
}

// Encoded here by other means than the reader's.
std::string encode_base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bits;
  for (const char c : bytes) {
    for (int i = 7; i >= 0; --i)
      bits += (static_cast<unsigned char>(c) >> static_cast<unsigned>(i) & 1U) != 0 ? '1' : '0';
  }
  while (bits.size() % 6 != 0) bits += '0';
  std::string out;
  for (std::size_t i = 0; i < bits.size(); i += 6) out += kAlphabet[std::stoul(bits.substr(i, 6), nullptr, 2)];
  while (out.size() % 4 != 0) out += '=';
  return out;
}

struct Kept {
  std::int64_t offset;
  std::optional<std::string> key;
  std::optional<std::string> value;
};

class Writer {
 public:
  explicit Writer(std::uint64_t seed) : random_(seed) {}
  std::size_t draw(std::size_t next) { return std::uniform_int_distribution<std::size_t>(0, next - 1)(random_); }

  std::optional<std::string> bytes() {
    if (draw(4) == 0) return std::nullopt;
    std::string out(draw(40), '\0');
    for (char& c : out) c = static_cast<char>(draw(256));
    return out;
  }
  std::string space() { return std::string(draw(3), " \n\t\r"[draw(4)]); }

  void member(std::vector<std::string>& members, std::string_view name, const std::optional<std::string>& value) {
    if (!value && draw(2) == 0) return;
    std::string text = value ? '"' + encode_base64(*value) + '"' : "null";
    if (draw(4) == 0) {
      for (auto at = text.find('/'); at != std::string::npos; at = text.find('/', at + 2)) text.insert(at, 1, '\\');
    }
    members.push_back(fmt::format("\"{}\"{}:{}{}", name, space(), space(), text));
  }

  std::string record(const Kept& kept, int partition) {
    std::vector<std::string> members{R"("topic":"a-b")", fmt::format(R"("partition":{})", partition),
                                     fmt::format(R"("offset": {})", kept.offset), R"("timestamp":1)",
                                     R"("timestampType":"CREATE_TIME")"};
    member(members, "key", kept.key);
    member(members, "value", kept.value);
    if (draw(2) == 0) members.emplace_back(R"("headers":[{"h":[-1,0,255]}])");
    if (draw(3) == 0) members.emplace_back(R"("later":{"a":[null,true,"\n",-0.5e+1]})");
    std::shuffle(members.begin(), members.end(), random_);
    return fmt::format("{{{}{}{}}}", space(), fmt::join(members, space() + "," + space()), space());
  }

 private:
  std::mt19937_64 random_;
};

TEST(Event, AnyRecordsInAnySpellingComeBack) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  Writer writer(seed);
  for (int round = 0; round < 300; ++round) {
    std::vector<std::vector<Kept>> partitions(1 + writer.draw(3));
    std::vector<std::string> keys;
    for (std::size_t p = 0; p < partitions.size(); ++p) {
      std::int64_t offset = static_cast<std::int64_t>(writer.draw(1000));
      std::vector<std::string> records;
      for (std::size_t n = 1 + writer.draw(20); n > 0; --n) {
        partitions[p].push_back({offset, writer.bytes(), writer.bytes()});
        records.push_back(writer.record(partitions[p].back(), static_cast<int>(p)));
        offset += 1 + static_cast<std::int64_t>(writer.draw(3));
      }
      keys.push_back(fmt::format("\"a-b-{}\":[{}]", p, fmt::join(records, writer.space() + ",")));
    }
    Event event(fmt::format(R"({{"records":{{{}}},"eventSource":"SelfManagedKafka"}})", fmt::join(keys, ",")));
    ASSERT_TRUE(event.result().ok()) << event.result().error().message;
    ASSERT_EQ(event.batches().size(), partitions.size());
    for (std::size_t p = 0; p < partitions.size(); ++p) {
      const EventBatch& batch = event.batches()[p];
      ASSERT_EQ(batch.partition.value(), static_cast<int>(p));
      ASSERT_EQ(batch.records.size(), partitions[p].size());
      for (std::size_t i = 0; i < batch.records.size(); ++i) {
        const Kept& kept = partitions[p][i];
        EXPECT_EQ(batch.records[i].offset, Offset{kept.offset});
        EXPECT_EQ(batch.records[i].key, kept.key);
        EXPECT_EQ(batch.records[i].value, kept.value);
      }
    }
  }
}

}  // namespace
}  // namespace culvert::lambda
