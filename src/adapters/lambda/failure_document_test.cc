// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/failure_document.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace culvert::lambda {
namespace {

const EventWriter kWriter({EventSourceKind::kSelfManaged, "readings", "b:9092", {}});
constexpr RecordTime kNow{1'795'000'000'123};

EventRecord record() {
  EventRecord record;
  record.offset = Offset{42};
  record.timestamp = RecordTime{1'700'000'000'000};
  record.timestamp_type = RecordTimeType::kCreateTime;
  record.value = "\"x\"";
  return record;
}

TEST(FailureDocument, OfABatchThatFailedTooOften) {
  const EventRecord first = record();
  const Discard discard{
      BatchId{7}, {&first}, DiscardReason::kRetriesExhausted, 3, DeliveryFailure{"ignored", 200, "Unhandled"}};
  const std::string event = kWriter.write(discard.records);
  const boost::json::value parsed =
      boost::json::parse(failure_document(kWriter, discard, "arn:aws:lambda:r:1:function:f", "id-1", kNow));
  const boost::json::value expected = {
      {"requestContext",
       {{"requestId", "id-1"},
        {"functionArn", "arn:aws:lambda:r:1:function:f"},
        {"condition", "RetryAttemptsExhausted"},
        {"approximateInvokeCount", 3}}},
      {"responseContext", {{"statusCode", 200}, {"executedVersion", "$LATEST"}, {"functionError", "Unhandled"}}},
      {"version", "1.0"},
      {"timestamp", "2026-11-18T11:06:40.123Z"},
      {"KafkaBatchInfo",
       {{"batchSize", 1},
        {"eventSourceArn", nullptr},
        {"bootstrapServers", "b:9092"},
        {"payloadSize", event.size()},
        {"recordInfo", {{"offset", "42"}, {"timestamp", "2023-11-14T22:13:20.000Z"}}}}},
      {"payload", event}};
  EXPECT_EQ(parsed, expected) << boost::json::serialize(parsed);
}

TEST(FailureDocument, OfRecordsThatWereTooOldToBeSent) {
  EventRecord first = record();
  first.timestamp.reset();
  const Discard discard{BatchId{7}, {&first}, DiscardReason::kRecordAge, 0, std::nullopt};
  const boost::json::value parsed = boost::json::parse(failure_document(kWriter, discard, "arn", "id-2", kNow));
  EXPECT_EQ(parsed.at("requestContext").at("condition"), "RecordAgeExceeded");
  EXPECT_EQ(parsed.at("requestContext").at("approximateInvokeCount"), 0);
  EXPECT_TRUE(parsed.at("responseContext").is_null());
  EXPECT_TRUE(parsed.at("KafkaBatchInfo").at("recordInfo").at("timestamp").is_null());
}

}  // namespace
}  // namespace culvert::lambda
