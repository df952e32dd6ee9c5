// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/open_table.h"

#include <gtest/gtest.h>

#include <string>

#include "fakes/dynamodb_fake.h"

namespace culvert::dynamodb {
namespace {

using fakes::DynamoDbFake;

class OpenTableTest : public testing::Test {
 protected:
  OpenTableTest() {
    options_.table = "telemetry";
    options_.environment = fake_.environment_reader();
    definition_.value_name = "load";
  }
  std::string refused(Tables tables) {
    const auto table = open_for_writing(options_, definition_, tables, clock_);
    return table ? std::string() : table.error().message;
  }

  DynamoDbFake fake_;
  SystemClock clock_;
  Options options_;
  Definition definition_;
};

TEST_F(OpenTableTest, WhatIsMissingIsNamedAndMadeOnlyWhenAsked) {
  const std::string missing = refused(Tables::kCheck);
  EXPECT_NE(missing.find("'telemetry', 'telemetry-checkpoints', 'telemetry-dead-letters': not found in eu-central-1"),
            std::string::npos)
      << missing;
  EXPECT_EQ(fake_.calls("CreateTable"), 0U);
  EXPECT_EQ(refused(Tables::kCreate), "");
  EXPECT_EQ(fake_.calls("CreateTable"), 3U);
  EXPECT_EQ(refused(Tables::kCheck), "");
}

TEST_F(OpenTableTest, TrustedTablesCostOneCall) {
  ASSERT_EQ(refused(Tables::kCreate), "");
  const auto described = fake_.calls("DescribeTable");
  const auto puts = fake_.calls("PutItem");
  EXPECT_EQ(refused(Tables::kTrust), "");
  EXPECT_EQ(fake_.calls("DescribeTable"), described);
  EXPECT_EQ(fake_.calls("PutItem"), puts + 1);
}

TEST_F(OpenTableTest, ReaderTakesTheDefinitionFromTheTable) {
  const auto writer = open_for_writing(options_, definition_, Tables::kCreate, clock_);
  ASSERT_TRUE(writer.ok()) << writer.error().message;
  ItemPut put;
  put.key = {DeviceId{std::int64_t{1}}, EventTime{0}};
  put.window_end = EventTime{60'000};
  put.desired.aggregate.fold(Micro{1});
  const StreamPartition where{"sensors", 1, PartitionId{0}};
  put.desired.fences.set(where.name(), Fence{Offset{1}, {}});
  ASSERT_EQ((*writer)->flush({where, {}, {put}, {}}).items[0].status, PutStatus::kStored);

  const auto reader = open_for_reading(options_, clock_);
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  EXPECT_EQ(reader->definition, definition_);
  int items = 0;
  const auto scanned = reader->table->scan_items({}, [&](const StoredItem& item) {
    EXPECT_EQ(item.image, put.desired);
    return ++items > 0;
  });
  ASSERT_TRUE(scanned.ok()) << scanned.error().message;
  EXPECT_EQ(items, 1);
}

TEST_F(OpenTableTest, NewTableHasNothingToRead) {
  fake_.create_table("telemetry", "device_id", "S", "window_start", "S");
  fake_.create_table("telemetry-checkpoints", "stream", "S", "partition", "N");
  fake_.create_table("telemetry-dead-letters", "position", "S", "offset", "N");
  const auto reader = open_for_reading(options_, clock_);
  ASSERT_FALSE(reader.ok());
  EXPECT_EQ(reader.error().kind, ErrorKind::kData);
  EXPECT_NE(reader.error().message.find("nothing has been written"), std::string::npos) << reader.error().message;
}

TEST_F(OpenTableTest, AggregatesTableHasItsModulesNeighbours) {
  options_.table = "sensors-aggregates";
  ASSERT_EQ(refused(Tables::kCreate), "");
  EXPECT_TRUE(fake_.items("sensors-dead-letters").empty());
  EXPECT_EQ(fake_.items("sensors-checkpoints").size(), 1U) << "the definition's row";
  options_.checkpoints_table = "elsewhere";
  const std::string missing = refused(Tables::kCheck);
  EXPECT_NE(missing.find("table 'elsewhere': not found"), std::string::npos) << missing;
}

TEST_F(OpenTableTest, AnotherDefinitionOrKeyIsRefused) {
  ASSERT_EQ(refused(Tables::kCreate), "");
  definition_.size = definition_.advance = Millis{30'000};
  const auto other = open_for_writing(options_, definition_, Tables::kCheck, clock_);
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().kind, ErrorKind::kData);
  definition_.key_type = KeyType::kString;
  const auto keyed = open_for_writing(options_, definition_, Tables::kCheck, clock_);
  ASSERT_FALSE(keyed.ok());
  EXPECT_EQ(keyed.error().kind, ErrorKind::kConfiguration);
  EXPECT_NE(keyed.error().message.find("--key-type number"), std::string::npos) << keyed.error().message;
}

TEST_F(OpenTableTest, MissingCredentialsAreToldBeforeAnythingElse) {
  auto environment = fake_.environment();
  environment.erase("AWS_ACCESS_KEY_ID");
  environment["AWS_EC2_METADATA_DISABLED"] = "true";
  environment["AWS_CONFIG_FILE"] = environment["AWS_SHARED_CREDENTIALS_FILE"] = "/nonexistent";
  options_.environment = [environment](const char* name) -> std::optional<std::string> {
    const auto at = environment.find(name);
    return at == environment.end() ? std::nullopt : std::optional(at->second);
  };
  const auto table = open_for_writing(options_, definition_, Tables::kCheck, clock_);
  ASSERT_FALSE(table.ok());
  EXPECT_EQ(table.error().kind, ErrorKind::kPermission);
  EXPECT_EQ(fake_.calls("DescribeTable"), 0U);
}

}  // namespace
}  // namespace culvert::dynamodb
