// SPDX-License-Identifier: Apache-2.0
// A table on the fake of DynamoDB, and things to put into it, for the tests of this folder.
//
// Flow    test -> [DynamoDbTableTest] -> DynamoDbTable -> DynamoDbFake.
// Owner   each test its own.
// Time    short time-outs and pauses, by the machine's clocks.
// Bounds  16 connections.
// See     tests/fakes/dynamodb_fake.h.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "adapters/dynamodb/dynamodb_table.h"
#include "fakes/dynamodb_fake.h"

namespace culvert::dynamodb {

using fakes::CallFault;
using fakes::DynamoDbFake;
using fakes::FakeCall;
using std::chrono::milliseconds;

inline const StreamPartition kWhere{"sensors", 1, PartitionId{0}};

inline ItemPut put_of(std::int64_t device, std::int64_t next, std::optional<Fences> expected = std::nullopt,
                      int window = 0) {
  ItemPut put;
  put.key = {DeviceId{device}, EventTime{1'795'000'020'000 + std::int64_t{window} * 60'000}};
  put.window_end = put.key.window_start + Millis{60'000};
  for (std::int64_t i = 0; i < next; ++i) put.desired.aggregate.fold(Micro{i});
  put.desired.fences.set(kWhere.name(), Fence{Offset{next}, {}});
  put.expected = std::move(expected);
  return put;
}

inline Checkpoint checkpoint_at(std::int64_t next) {
  Checkpoint c;
  c.next = Offset{next};
  c.progress.counts = {next, next, 0, 0};
  c.definition = definition_text(Definition{});
  return c;
}

inline DeadLetter dead_letter(std::int64_t offset, std::string value = "not json") {
  return {kWhere, Offset{offset}, RecordTime{5}, DeadLetterReason::kNotJson, "at 0", std::nullopt, std::move(value)};
}

class DynamoDbTableTest : public testing::Test {
 protected:
  DynamoDbTableTest() {
    ::signal(SIGPIPE, SIG_IGN);
    // CTest runs everything a second time without a thread of the table's own.
    options_.own_thread = std::getenv("CULVERT_TEST_WITHOUT_THREAD") == nullptr;
    options_.table = "telemetry";
    options_.environment = fake_.environment_reader();
    options_.connections_most = 16;
    // Nothing but what a test wants to be late is: a put that was repeated for slowness would show as a conflict.
    options_.request_timeout = milliseconds{10'000};
    options_.flush_deadline = milliseconds{20'000};
    options_.backoff_least = milliseconds{1};
    options_.backoff_most = milliseconds{20};
    fake_.create_table("telemetry", "device_id", "N", "window_start", "S");
    fake_.create_table("telemetry-checkpoints", "stream", "S", "partition", "N");
    fake_.create_table("telemetry-dead-letters", "position", "S", "offset", "N");
  }
  DynamoDbTable& table() {
    if (!table_) {
      auto opened = DynamoDbTable::open(options_, clock_, resolver_);
      EXPECT_TRUE(opened.ok()) << opened.error().message;
      table_ = *std::move(opened);
    }
    return *table_;
  }
  std::unique_ptr<DynamoDbTable> another() {
    auto opened = DynamoDbTable::open(options_, clock_, resolver_);
    EXPECT_TRUE(opened.ok()) << opened.error().message;
    return *std::move(opened);
  }
  static std::string statuses(const FlushResult& result) {
    std::string text;
    const auto letter = [](PutStatus status) { return "SCUN"[static_cast<int>(status)]; };
    text += letter(result.dead_letters);
    text += ' ';
    for (const auto& item : result.items) text += letter(item.status);
    text += ' ';
    text += letter(result.checkpoint.status);
    if (result.error) text += ": " + result.error->message;
    return text;
  }

  DynamoDbFake fake_;
  SystemClock clock_;
  http::DnsResolver resolver_;
  Options options_;
  std::unique_ptr<DynamoDbTable> table_;
};

}  // namespace culvert::dynamodb
