// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/dynamodb_table.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/json.hpp>
#include <chrono>
#include <future>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "adapters/dynamodb/dynamodb_table_test.h"

namespace culvert::dynamodb {
namespace {

TEST_F(DynamoDbTableTest, FlushStoresDeadLettersItemsAndCheckpoint) {
  FlushRequest request{
      kWhere, {dead_letter(3)}, {put_of(1, 4), put_of(2, 5)}, CheckpointPut{checkpoint_at(5), std::nullopt}};
  EXPECT_EQ(statuses(table().flush(request)), "S SS S");
  EXPECT_EQ(fake_.items("telemetry").size(), 2U);
  EXPECT_EQ(fake_.refused_signatures(), 0U);
  const std::vector<ItemKey> keys{put_of(2, 0).key, put_of(9, 0).key, put_of(1, 0).key, put_of(2, 0).key};
  const auto images = table().load(keys);
  ASSERT_TRUE(images.ok()) << images.error().message;
  EXPECT_EQ(images->at(0), request.items[1].desired);
  EXPECT_FALSE(images->at(1));
  EXPECT_EQ(images->at(2), request.items[0].desired);
  EXPECT_EQ(images->at(3), request.items[1].desired);
  EXPECT_EQ(*table().load_checkpoint(kWhere), checkpoint_at(5));
  EXPECT_EQ(*table().load_checkpoint({"sensors", 1, PartitionId{1}}), std::nullopt);
}

TEST_F(DynamoDbTableTest, FailedConditionReturnsWhatIsStoredAndHoldsTheCheckpointBack) {
  ASSERT_EQ(statuses(table().flush({kWhere, {}, {put_of(1, 4)}, {}})), "S S N");
  const auto result =
      table().flush({kWhere, {}, {put_of(1, 9), put_of(2, 9)}, CheckpointPut{checkpoint_at(9), std::nullopt}});
  EXPECT_EQ(statuses(result), "S CS N");
  EXPECT_EQ(result.items[0].current, put_of(1, 4).desired);
  EXPECT_FALSE(result.error);
  // With what came back the next put succeeds; a wrong expectation shows that the item is gone.
  EXPECT_EQ(statuses(table().flush({kWhere, {}, {put_of(1, 9, result.items[0].current->fences)}, {}})), "S S N");
  const auto absent = table().flush({kWhere, {}, {put_of(77, 9, put_of(1, 4).desired.fences)}, {}});
  EXPECT_EQ(statuses(absent), "S C N");
  EXPECT_FALSE(absent.items[0].current);
}

TEST_F(DynamoDbTableTest, CheckpointMovesOnlyFromWhatIsExpected) {
  ASSERT_EQ(statuses(table().flush({kWhere, {}, {}, CheckpointPut{checkpoint_at(5), std::nullopt}})), "S  S");
  auto result = table().flush({kWhere, {}, {}, CheckpointPut{checkpoint_at(3), std::nullopt}});
  EXPECT_EQ(statuses(result), "S  C");
  EXPECT_EQ(result.checkpoint.current, checkpoint_at(5));
  result = table().flush({kWhere, {}, {}, CheckpointPut{checkpoint_at(7), checkpoint_at(4)}});
  EXPECT_EQ(statuses(result), "S  C");
  EXPECT_EQ(statuses(table().flush({kWhere, {}, {}, CheckpointPut{checkpoint_at(7), checkpoint_at(5)}})), "S  S");
  EXPECT_EQ(**table().load_checkpoint(kWhere), checkpoint_at(7));
}

TEST_F(DynamoDbTableTest, DeadLettersAreKeptByPosition) {
  ASSERT_EQ(statuses(table().flush({kWhere, {dead_letter(3, "first")}, {}, {}})), "S  N");
  ASSERT_EQ(statuses(table().flush({kWhere, {dead_letter(3, "second"), dead_letter(1)}, {}, {}})), "S  N");
  std::vector<std::string> seen;
  ASSERT_TRUE(table()
                  .scan_dead_letters([&](const DeadLetter& d) {
                    seen.push_back(std::to_string(d.offset.value()) + " " + *d.value);
                    return true;
                  })
                  .ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"1 not json", "3 first"}));
}

TEST_F(DynamoDbTableTest, LargeDeadLetterIsWholeWhenItIsSeen) {
  const std::string value(1'200'000, 'x');
  ASSERT_EQ(statuses(table().flush({kWhere, {dead_letter(3, value), dead_letter(4)}, {}, {}})), "S  N");
  EXPECT_EQ(fake_.items("telemetry-dead-letters").size(), 7U);
  std::vector<std::size_t> sizes;
  ASSERT_TRUE(table()
                  .scan_dead_letters([&](const DeadLetter& d) {
                    sizes.push_back(d.value->size());
                    return true;
                  })
                  .ok());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{1'200'000, 8}));
}

// Every fault that leaves the outcome open, on every call at first: the flush ends stored, and once.
class FaultTest : public DynamoDbTableTest, public testing::WithParamInterface<CallFault> {};

TEST_P(FaultTest, PutIsRepeatedUntilItsOutcomeIsKnown) {
  fake_.set_faults([](const FakeCall& call) { return call.number <= 40 ? GetParam() : CallFault::kNone; });
  FlushRequest request{kWhere, {dead_letter(1)}, {}, CheckpointPut{checkpoint_at(9), std::nullopt}};
  for (int device = 0; device < 10; ++device) request.items.push_back(put_of(device, 4));
  for (int round = 0; round < 3; ++round) {
    const auto result = table().flush(request);
    ASSERT_FALSE(result.error) << result.error->message;
    bool conflict = false;
    for (std::size_t i = 0; i < result.items.size(); ++i) {
      // A reply that was lost after the put was carried out shows as a conflict with our own image.
      if (result.items[i].status == PutStatus::kConflict) {
        EXPECT_EQ(result.items[i].current, request.items[i].desired);
        request.items[i].expected = result.items[i].current->fences;
        conflict = true;
      } else {
        EXPECT_EQ(result.items[i].status, PutStatus::kStored);
      }
    }
    if (!conflict) break;
  }
  EXPECT_EQ(fake_.items("telemetry").size(), 10U);
  for (int device = 0; device < 10; ++device) {
    const ItemKey key = put_of(device, 0).key;
    EXPECT_EQ(table().load(std::vector{key})->at(0), put_of(device, 4).desired);
  }
  const auto stored = table().load_checkpoint(kWhere);
  ASSERT_TRUE(stored.ok() && *stored);
  EXPECT_EQ((*stored)->next, Offset{9});
}

INSTANTIATE_TEST_SUITE_P(All, FaultTest,
                         testing::Values(CallFault::kThrottled, CallFault::kInternalError, CallFault::kUnavailable,
                                         CallFault::kErrorAfterApply, CallFault::kRequestLost, CallFault::kReplyLost,
                                         CallFault::kReplyCut, CallFault::kAppliedLate),
                         [](const auto& param) { return "Fault" + std::to_string(static_cast<int>(param.param)); });

TEST_F(DynamoDbTableTest, LostReplyBeyondTheDeadlineIsUnknownAndNothingLaterIsTried) {
  options_.flush_deadline = milliseconds{1'000};
  fake_.set_faults(
      [](const FakeCall& call) { return call.table == "telemetry" ? CallFault::kReplyLost : CallFault::kNone; });
  const auto result = table().flush({kWhere, {}, {put_of(1, 4)}, CheckpointPut{checkpoint_at(9), std::nullopt}});
  // The first try was carried out; each further one finds its condition failed, but its reply is lost as well.
  EXPECT_EQ(result.items[0].status, PutStatus::kUnknown);
  EXPECT_EQ(result.checkpoint.status, PutStatus::kNotTried);
  ASSERT_TRUE(result.error);
  EXPECT_TRUE(result.error->retriable);
  // The deadline comes in a pause, or while an attempt is under way.
  EXPECT_TRUE(result.error->message.starts_with("table 'telemetry': PutItem: ")) << result.error->message;
  EXPECT_NE(result.error->message.find("reset by peer"), std::string::npos) << result.error->message;
  EXPECT_EQ(fake_.items("telemetry-checkpoints").size(), 0U);
}

TEST_F(DynamoDbTableTest, ThrottledBeyondTheDeadlineIsNotTried) {
  options_.flush_deadline = milliseconds{150};
  fake_.set_faults([](const FakeCall&) { return CallFault::kThrottled; });
  const auto result = table().flush({kWhere, {dead_letter(1)}, {put_of(1, 4)}, {}});
  // The deadline may end an attempt in its middle.
  EXPECT_TRUE(result.dead_letters == PutStatus::kNotTried || result.dead_letters == PutStatus::kUnknown);
  EXPECT_EQ(result.items[0].status, PutStatus::kNotTried);
  ASSERT_TRUE(result.error);
  EXPECT_TRUE(result.error->retriable);
}

TEST_F(DynamoDbTableTest, SilentServerIsLeftAfterTheTimeoutAndThePutRepeated) {
  options_.request_timeout = milliseconds{300};
  std::atomic<int> silent{3};
  fake_.set_faults([&](const FakeCall&) { return silent-- > 0 ? CallFault::kSilent : CallFault::kNone; });
  const auto result = table().flush({kWhere, {}, {put_of(1, 4)}, {}});
  EXPECT_EQ(statuses(result), "S C N");
  EXPECT_EQ(result.items[0].current, put_of(1, 4).desired);
}

// A function has no time beyond its own deadline for an attempt that began before it.
TEST_F(DynamoDbTableTest, SilentServerIsLeftAtTheDeadline) {
  options_.request_timeout = milliseconds{60'000};
  options_.flush_deadline = milliseconds{300};
  fake_.set_faults([](const FakeCall&) { return CallFault::kSilent; });
  const FlushRequest request{kWhere, {}, {put_of(1, 4)}, {}};
  DynamoDbTable& waiting = table();
  auto flushed = std::async(std::launch::async, [&] { return waiting.flush(request); });
  ASSERT_EQ(flushed.wait_for(std::chrono::seconds{20}), std::future_status::ready);
  const auto result = flushed.get();
  EXPECT_EQ(result.items[0].status, PutStatus::kUnknown);
  ASSERT_TRUE(result.error);
  EXPECT_TRUE(result.error->retriable);
  EXPECT_NE(result.error->message.find("no answer in time"), std::string::npos) << result.error->message;
}

TEST_F(DynamoDbTableTest, InterruptEndsAFlushThatWaits) {
  options_.request_timeout = milliseconds{60'000};
  options_.backoff_least = options_.backoff_most = milliseconds{60'000};
  const FlushRequest request{kWhere, {}, {put_of(1, 4)}, {}};
  const auto interrupted = [&](milliseconds delay, CallFault fault) {
    table_.reset();
    fake_.set_delay(delay);
    fake_.set_faults([fault](const FakeCall&) { return fault; });
    DynamoDbTable& waiting = table();
    const auto before = fake_.calls("PutItem");
    auto result = std::async(std::launch::async, [&] { return waiting.flush(request); });
    const auto under_way = [&] {
      if (fault == CallFault::kThrottled) return waiting.api_counters().throttled > 0;
      return fake_.calls("PutItem") > before;
    };
    while (!under_way()) std::this_thread::sleep_for(milliseconds{1});
    waiting.interrupt();
    EXPECT_EQ(result.wait_for(std::chrono::seconds{10}), std::future_status::ready);
    return result.get();
  };
  // In its pause after a throttled attempt, and waiting for an answer.
  const auto paused = interrupted(milliseconds{0}, CallFault::kThrottled);
  EXPECT_EQ(paused.items[0].status, PutStatus::kNotTried);
  ASSERT_TRUE(paused.error);
  EXPECT_TRUE(paused.error->retriable);
  const auto waiting = interrupted(milliseconds{5'000}, CallFault::kNone);
  EXPECT_EQ(waiting.items[0].status, PutStatus::kUnknown);
  EXPECT_TRUE(waiting.error && waiting.error->retriable);
}

TEST_F(DynamoDbTableTest, ClockIsCorrectedByTheServicesOwn) {
  for (const int minutes : {-60, 60, 0}) {
    fake_.set_clock_offset(std::chrono::minutes{minutes});
    const auto before = fake_.refused_signatures();
    EXPECT_EQ(statuses(table().flush({kWhere, {}, {put_of(100 + minutes, 4), put_of(500 + minutes, 4)}, {}})), "S SS N")
        << minutes;
    EXPECT_GT(fake_.refused_signatures(), before);
    const auto after = fake_.refused_signatures();
    EXPECT_EQ(statuses(table().flush({kWhere, {}, {put_of(200 + minutes, 4)}, {}})), "S S N") << minutes;
    EXPECT_EQ(fake_.refused_signatures(), after) << "the correction is kept";
  }
}

TEST_F(DynamoDbTableTest, WrongSecretIsFatalAndNotShown) {
  auto variables = fake_.environment();
  variables["AWS_SECRET_ACCESS_KEY"] = "MARKER-SECRET";
  options_.environment = [variables](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  const auto result = table().flush({kWhere, {}, {put_of(1, 4)}, {}});
  ASSERT_TRUE(result.error);
  EXPECT_FALSE(result.error->retriable);
  EXPECT_EQ(result.error->kind, ErrorKind::kPermission);
  EXPECT_EQ(result.error->message.find("MARKER-SECRET"), std::string::npos);
  EXPECT_NE(result.error->message.find("AKIDFAKE"), std::string::npos);
}

TEST_F(DynamoDbTableTest, ExpiredTokenIsFetchedAnew) {
  std::atomic<int> served{0};
  fakes::HttpFakeServer container([&](const fakes::FakeRequest&) {
    return fakes::FakeReply{.body = R"({"AccessKeyId":"AKIDFAKE","SecretAccessKey":"fake/secret+key","Token":"token-)" +
                                    std::to_string(++served) + R"(","Expiration":"2999-01-01T00:00:00Z"})"};
  });
  auto variables = fake_.environment();
  variables.erase("AWS_ACCESS_KEY_ID");
  variables.erase("AWS_SECRET_ACCESS_KEY");
  variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = container.url();
  options_.environment = [variables](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  fake_.require_session_token("token-1");
  EXPECT_EQ(statuses(table().flush({kWhere, {}, {put_of(1, 4), put_of(2, 4), put_of(3, 4)}, {}})), "S SSS N");
  fake_.require_session_token("token-2");
  EXPECT_EQ(statuses(table().flush({kWhere, {}, {put_of(4, 4), put_of(5, 4), put_of(6, 4)}, {}})), "S SSS N");
  EXPECT_EQ(served, 2);
  fake_.require_session_token("nobody's");
  const auto result = table().flush({kWhere, {}, {put_of(7, 4)}, {}});
  ASSERT_TRUE(result.error);
  EXPECT_FALSE(result.error->retriable);
}

TEST_F(DynamoDbTableTest, ForeignItemStopsTheFlushAndIsNamed) {
  fake_.put_raw("telemetry", R"({"device_id":{"N":"1"},"window_start":{"S":")" +
                                 format_utc(put_of(1, 0).key.window_start) + R"("},"avg_temp":{"N":"1"}})");
  const auto result = table().flush({kWhere, {}, {put_of(1, 4)}, CheckpointPut{checkpoint_at(4), std::nullopt}});
  ASSERT_TRUE(result.error);
  EXPECT_FALSE(result.error->retriable);
  EXPECT_EQ(result.error->kind, ErrorKind::kData);
  EXPECT_NE(result.error->message.find("device_id=1"), std::string::npos);
  EXPECT_EQ(result.checkpoint.status, PutStatus::kNotTried);
}

TEST_F(DynamoDbTableTest, MissingTableNamesTheRemedy) {
  options_.table = "elsewhere";
  const auto result = table().flush({kWhere, {}, {put_of(1, 4)}, {}});
  ASSERT_TRUE(result.error);
  EXPECT_FALSE(result.error->retriable);
  EXPECT_NE(result.error->message.find("table 'elsewhere': PutItem: not found in eu-central-1"), std::string::npos)
      << result.error->message;
  EXPECT_NE(result.error->message.find("--create-table"), std::string::npos);
  EXPECT_NE(table()
                .check_tables(KeyType::kNumber)
                .error()
                .message.find("table 'elsewhere', 'elsewhere-checkpoints', 'elsewhere-dead-letters': not found"),
            std::string::npos);
}

TEST_F(DynamoDbTableTest, TablesAreCreatedOnceAndWaitedFor) {
  options_.table = "made-here";
  options_.format.retention = std::chrono::hours{24};
  fake_.set_creating_calls(2);
  auto created = table().create_tables(KeyType::kString);
  ASSERT_TRUE(created.ok()) << created.error().message;
  EXPECT_TRUE(table().create_tables(KeyType::kString).ok());
  EXPECT_EQ(fake_.calls("CreateTable"), 3U);
  EXPECT_EQ(fake_.time_to_live("made-here"), "expires_at");
  EXPECT_TRUE(table().check_tables(KeyType::kString).ok());
  const auto other = table().check_tables(KeyType::kNumber);
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("table 'made-here': device_id is of type S, which is --key-type string"),
            std::string::npos)
      << other.error().message;
}

TEST_F(DynamoDbTableTest, TableWithAnotherKeyIsDescribed) {
  fake_.create_table("foreign", "id", "S", "at", "N");
  options_.table = "foreign";
  const auto checked = table().check_tables(KeyType::kNumber);
  ASSERT_FALSE(checked.ok());
  EXPECT_NE(
      checked.error().message.find("its partition key is id (S) and its sort key is at (N), but must be device_id (N) "
                                   "and window_start (S)"),
      std::string::npos)
      << checked.error().message;
}

TEST_F(DynamoDbTableTest, DefinitionIsClaimedByTheFirst) {
  EXPECT_EQ(*table().definition(), std::nullopt);
  Definition definition;
  ASSERT_TRUE(table().claim_definition(definition).ok());
  EXPECT_TRUE(another()->claim_definition(definition).ok());
  EXPECT_EQ(*table().definition(), definition);
  definition.allowed_lateness = Millis{1};
  const auto refused = table().claim_definition(definition);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kData);
  EXPECT_NE(refused.error().message.find("allowed_lateness"), std::string::npos);
  EXPECT_TRUE(table().checkpoints()->empty()) << "the definition's row is no checkpoint";
}

TEST_F(DynamoDbTableTest, TableOfAnotherFormatIsRefusedByWritersAndReaders) {
  const auto put_row = [&](const std::string& format, const std::string& definition) {
    fake_.put_raw("telemetry-checkpoints", R"({"stream":{"S":"culvert"},"partition":{"N":"0"},)" + format +
                                               R"("definition":{"S":")" + definition + R"("}})");
  };
  ASSERT_TRUE(table().claim_definition(Definition{}).ok());
  EXPECT_EQ(attribute(fake_.items("telemetry-checkpoints").at(0), "format", "N"), "1");
  put_row("", definition_text(Definition{}));  // as it was made before there was a number
  EXPECT_EQ(*table().definition(), Definition{});
  EXPECT_TRUE(another()->claim_definition(Definition{}).ok());
  for (const char* format : {R"("format":{"N":"2"},)", R"("format":{"S":"1"},)"}) {
    put_row(format, "what a newer one writes here");
    const auto claimed = another()->claim_definition(Definition{});
    ASSERT_FALSE(claimed.ok()) << format;
    EXPECT_EQ(claimed.error().kind, ErrorKind::kData);
    EXPECT_FALSE(claimed.error().retriable);
    EXPECT_TRUE(claimed.error().message.starts_with("table 'telemetry': its format is ")) << claimed.error().message;
    const auto read = table().definition();
    ASSERT_FALSE(read.ok()) << format;
    EXPECT_EQ(read.error().message, claimed.error().message);
  }
}

TEST_F(DynamoDbTableTest, ScansAreInOrderOverAllPages) {
  fake_.set_page_bytes(2'000);
  FlushRequest request{kWhere, {}, {}, CheckpointPut{checkpoint_at(5), std::nullopt}};
  for (const int window : {2, 0, 1}) {
    for (int device = 0; device < 40; ++device)
      request.items.push_back(put_of(device * 7 % 40, 4, std::nullopt, window));
  }
  for (int i = 0; i < 60; ++i) request.dead_letters.push_back(dead_letter(59 - i));
  ASSERT_EQ(table().flush(request).checkpoint.status, PutStatus::kStored);
  ASSERT_EQ(table()
                .flush({{"another", 2, PartitionId{1}}, {}, {}, CheckpointPut{checkpoint_at(5), std::nullopt}})
                .checkpoint.status,
            PutStatus::kStored);

  const auto scan = [&](const ItemFilter& filter) {
    std::vector<ItemKey> keys;
    const auto result = table().scan_items(filter, [&](const StoredItem& item) {
      keys.push_back(item.key);
      return true;
    });
    EXPECT_TRUE(result.ok()) << result.error().message;
    EXPECT_TRUE(std::is_sorted(keys.begin(), keys.end()));
    return keys.size();
  };
  EXPECT_EQ(scan({}), 120U);
  const EventTime second = put_of(0, 0, std::nullopt, 1).key.window_start;
  const EventTime third = put_of(0, 0, std::nullopt, 2).key.window_start;
  EXPECT_EQ(scan({.device = std::nullopt, .from = second, .to = std::nullopt}), 80U);
  EXPECT_EQ(scan({.device = std::nullopt, .from = second, .to = third}), 40U);
  EXPECT_EQ(scan({.device = DeviceId{7}, .from = std::nullopt, .to = std::nullopt}), 3U);
  EXPECT_EQ(scan({.device = DeviceId{7}, .from = second, .to = third}), 1U);
  EXPECT_EQ(scan({.device = DeviceId{7}, .from = std::nullopt, .to = third}), 2U);
  EXPECT_EQ(scan({.device = DeviceId{99}, .from = std::nullopt, .to = std::nullopt}), 0U);
  int seen = 0;
  ASSERT_TRUE(table().scan_items({}, [&](const StoredItem&) { return ++seen < 5; }).ok());
  EXPECT_EQ(seen, 5);
  std::int64_t offset = 0;
  ASSERT_TRUE(
      table().scan_dead_letters([&](const DeadLetter& letter) { return letter.offset == Offset{offset++}; }).ok());
  EXPECT_EQ(offset, 60);
  const auto checkpoints = table().checkpoints();
  ASSERT_TRUE(checkpoints.ok());
  ASSERT_EQ(checkpoints->size(), 2U);
  EXPECT_EQ(checkpoints->at(0).where.topic, "another");
}

TEST_F(DynamoDbTableTest, SortedScanHasALimitThatIsNamed) {
  options_.scan_items_most = 8;
  options_.scan_segments = 1;
  FlushRequest request{kWhere, {}, {}, {}};
  for (int device = 0; device < 9; ++device) request.items.push_back(put_of(device, 4));
  table().flush(request);
  const auto result = table().scan_items({}, [](const StoredItem&) { return true; });
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("more than 8 items"), std::string::npos);
}

TEST_F(DynamoDbTableTest, ScanTellsItsProgressAndEndsEarlyWhenTold) {
  FlushRequest request{kWhere, {}, {}, {}};
  for (int device = 0; device < 40; ++device) request.items.push_back(put_of(device, 4));
  table().flush(request);
  const auto size = table().size_estimate();
  ASSERT_TRUE(size.ok() && *size);
  EXPECT_EQ((*size)->items, 40);
  EXPECT_GT((*size)->bytes, 40 * 100);
  fake_.set_page_bytes(1);  // an item a page
  fake_.set_delay(std::chrono::milliseconds{30});
  std::vector<std::int64_t> seen;
  table().watch_scans([&](std::int64_t items) {
    seen.push_back(items);
    return items == 0;
  });
  int visited = 0;
  EXPECT_TRUE(table().scan_items({}, [&](const StoredItem&) { return ++visited > 0; }).ok());
  EXPECT_EQ(visited, 0) << "a part of a table must not look like the whole";
  ASSERT_FALSE(seen.empty());
  EXPECT_GT(seen.back(), 0);
  EXPECT_LT(seen.back(), 40);
}

TEST_F(DynamoDbTableTest, LoadsManyKeysAndAsksAgainForWhatWasNotProcessed) {
  fake_.set_batch_keys_most(30);
  FlushRequest request{kWhere, {}, {}, {}};
  std::vector<ItemKey> keys;
  for (int device = 0; device < 350; ++device) {
    if (device % 3 != 0) request.items.push_back(put_of(device, 1 + device % 5));
    keys.push_back(put_of(device, 0).key);
  }
  ASSERT_FALSE(table().flush(request).error);
  const auto images = table().load(keys);
  ASSERT_TRUE(images.ok()) << images.error().message;
  for (int device = 0; device < 350; ++device) {
    const auto& image = images->at(static_cast<std::size_t>(device));
    ASSERT_EQ(image.has_value(), device % 3 != 0) << device;
    if (image) {
      EXPECT_EQ(*image, put_of(device, 1 + device % 5).desired);
    }
  }
  EXPECT_TRUE(table().load({})->empty());
}

TEST_F(DynamoDbTableTest, OptionsAreCheckedBeforeAnythingIsSent) {
  const auto refused = [&](auto change) {
    Options options = options_;
    change(options);
    const auto opened = DynamoDbTable::open(options, clock_, resolver_);
    return opened.ok() ? std::string() : opened.error().message;
  };
  EXPECT_NE(refused([](Options& o) { o.table = "a"; }).find("3 to 255"), std::string::npos);
  EXPECT_NE(refused([](Options& o) { o.table = "has space"; }).find("3 to 255"), std::string::npos);
  EXPECT_NE(refused([](Options& o) { o.endpoint_url = "localhost:8000"; }).find("scheme"), std::string::npos);
  EXPECT_NE(refused([](Options& o) {
              o.environment = [](const char*) -> std::optional<std::string> { return std::nullopt; };
            }).find("AWS_REGION"),
            std::string::npos);
}

TEST_F(DynamoDbTableTest, UnreachableEndpointNamesItAndGivesUpAtTheDeadline) {
  options_.endpoint_url = "http://127.0.0.1:1";
  options_.flush_deadline = milliseconds{100};
  const auto result = table().flush({kWhere, {}, {put_of(1, 4)}, {}});
  // An attempt that the deadline ends in its middle may have been sent, for all that the table knows.
  EXPECT_TRUE(result.items[0].status == PutStatus::kNotTried || result.items[0].status == PutStatus::kUnknown);
  ASSERT_TRUE(result.error);
  EXPECT_TRUE(result.error->retriable);
  EXPECT_NE(result.error->message.find("http://127.0.0.1:1"), std::string::npos) << result.error->message;
}

}  // namespace
}  // namespace culvert::dynamodb
