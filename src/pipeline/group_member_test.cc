// SPDX-License-Identifier: Apache-2.0
#include "pipeline/group_member.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "decode/json_decoder.h"
#include "fakes/memory_table.h"

namespace culvert {
namespace {

using fakes::MemoryTable;

const StreamPartition kWhere{"sensors", 1, PartitionId{0}};
constexpr Claim kClaim{PartitionId{0}, AssignmentId{1}};

// Effects that wait: the test answers them one by one, in the order it likes.
class Effects final : public MemberEffects {
 public:
  void load(const Claim& claim) override { loads.push_back(claim); }
  void read_from(const Claim& claim, Offset offset) override {
    reading_from = offset;
    calls.push_back(fmt::format("read {} from {}", claim.partition.value(), offset.value()));
  }
  void load_images(const Claim&, std::vector<ItemKey> keys) override { images.push_back(std::move(keys)); }
  void flush(const Claim&, std::shared_ptr<const FlushRequest> request, const std::optional<Error>&) override {
    flushes.push_back(std::move(request));
  }
  void commit(const Claim&, Offset next) override { committed = next; }
  void pause(const Claim&) override { paused = true; }
  void resume(const Claim&) override { paused = false; }
  void drained(const Claim& claim) override { calls.push_back(fmt::format("drained {}", claim.partition.value())); }
  void fail(const Error& error) override { failure = error; }

  std::vector<Claim> loads;
  std::vector<std::vector<ItemKey>> images;
  std::vector<std::shared_ptr<const FlushRequest>> flushes;
  std::vector<std::string> calls;
  std::optional<Offset> committed;
  Offset reading_from{0};
  bool paused = false;
  std::optional<Error> failure;
};

class GroupMemberTest : public ::testing::Test {
 protected:
  GroupMember& member() {
    if (!decoder_) decoder_ = std::make_unique<JsonDecoder>(options_.pipeline.definition);
    if (!member_) {
      options_.topic = kWhere.topic;
      member_ = std::make_unique<GroupMember>(options_, *decoder_, effects_);
    }
    return *member_;
  }
  // `count` readings of device `device`, a second apart.
  void produce(std::int64_t device, int count, std::int64_t at_second = 0) {
    for (int i = 0; i < count; ++i) {
      const auto time = format_utc(EventTime{1'795'449'420'000 + (at_second + i) * 1000});
      bytes_.push_back(fmt::format(R"({{"device_id": {}, "timestamp": "{}", "temperature": 1}})", device, time));
      const auto offset = static_cast<std::int64_t>(log_.size());
      log_.push_back(Record{Offset{offset}, RecordTime{1'795'449'420'000 + offset}, {}, bytes_.back()});
    }
  }
  [[nodiscard]] std::span<const Record> records(std::size_t first, std::size_t next) const {
    return std::span<const Record>(log_).subspan(first, next - first);
  }
  void answer_load(const Claim& claim = kClaim) {
    ASSERT_FALSE(effects_.loads.empty());
    effects_.loads.erase(effects_.loads.begin());
    const auto end = Offset{static_cast<std::int64_t>(log_.size()) + 100};
    member().on_loaded(claim, *table_.load_checkpoint(kWhere), LogState{Offset{0}, end, Offset{0}, ""});
  }
  void answer_flush(const Claim& claim = kClaim) {
    ASSERT_FALSE(effects_.flushes.empty());
    const auto request = effects_.flushes.front();
    effects_.flushes.erase(effects_.flushes.begin());
    member().on_flushed(claim, table_.flush(*request));
  }
  void answer_images(const Claim& claim = kClaim) {
    ASSERT_FALSE(effects_.images.empty());
    const auto keys = effects_.images.front();
    effects_.images.erase(effects_.images.begin());
    member().on_images(claim, keys, *table_.load(keys));
  }
  void assign(const Claim& claim = kClaim) {
    member().on_assigned({&claim, 1});
    answer_load(claim);
  }
  void revoke(bool lost) { member().on_revoked({&kClaim, 1}, lost); }
  // Another owner folds [first, next) and moves the checkpoint.
  void other_owner(std::size_t first, std::size_t next) {
    Effects effects;
    GroupMember other(options_, *decoder_, effects);
    other.on_assigned({&kClaim, 1});
    other.on_loaded(kClaim, *table_.load_checkpoint(kWhere), LogState{Offset{0}, Offset{1000}, Offset{0}, ""});
    other.on_records(kClaim, records(first, next));
    other.flush_all();
    while (!effects.flushes.empty()) {
      const auto request = effects.flushes.front();
      effects.flushes.erase(effects.flushes.begin());
      other.on_flushed(kClaim, table_.flush(*request));
    }
    ASSERT_EQ((*table_.load_checkpoint(kWhere))->next, Offset{static_cast<std::int64_t>(next)});
  }

  MemoryTable table_;
  MemberOptions options_;
  Effects effects_;
  std::unique_ptr<JsonDecoder> decoder_;
  std::deque<std::string> bytes_;
  std::vector<Record> log_;
  std::unique_ptr<GroupMember> member_;
};

TEST_F(GroupMemberTest, ReadsFlushesAndCommits) {
  produce(1, 10);
  assign();
  member().on_records(kClaim, records(0, 10));
  member().flush_all();
  EXPECT_FALSE(effects_.committed);
  answer_flush();
  EXPECT_EQ(effects_.committed, Offset{10});
  EXPECT_TRUE(member().idle());
}

TEST_F(GroupMemberTest, RevokeFlushesBeforeItIsDrained) {
  produce(1, 10);
  assign();
  member().on_records(kClaim, records(0, 10));
  revoke(false);
  EXPECT_TRUE(member().owns(kClaim));
  answer_flush();
  EXPECT_FALSE(member().owns(kClaim));
  EXPECT_EQ(effects_.calls.back(), "drained 0");
  EXPECT_EQ(effects_.committed, Offset{10});
}

TEST_F(GroupMemberTest, WhatIsOnItsWayForAnOldClaimIsDropped) {
  produce(1, 10);
  assign();
  member().on_records(kClaim, records(0, 10));
  member().flush_all();
  revoke(true);
  const Claim again{PartitionId{0}, AssignmentId{2}};
  assign(again);
  answer_flush();  // of the first claim
  member().on_records(kClaim, records(5, 10));
  EXPECT_EQ(member().stats().read, 10);
  member().on_records(again, records(0, 10));
  EXPECT_EQ(member().stats().read, 20);
}

TEST_F(GroupMemberTest, RefoldWhileDrainingCountsItsRecordsOnce) {
  produce(1, 10);
  assign();
  member().on_records(kClaim, records(0, 10));
  other_owner(0, 5);
  revoke(false);
  while (member().owns(kClaim)) answer_flush();
  EXPECT_EQ(member().refolds(), 1);
  EXPECT_EQ(member().stats().read, 10);
}

TEST_F(GroupMemberTest, RefoldWhileImagesAreLoadedGoesOnReading) {
  produce(1, 8);
  produce(2, 2);
  assign();
  member().on_records(kClaim, records(0, 10));
  other_owner(0, 5);
  member().flush_all();
  while (effects_.loads.empty()) answer_flush();  // conflict: 0 to 5 are in, the rest is not
  answer_load();
  member().on_records(kClaim, records(5, 8));
  answer_images();
  member().flush_all();
  other_owner(5, 7);
  member().on_records(kClaim, records(8, 10));  // another device: its image has to be loaded first
  ASSERT_TRUE(effects_.paused);
  while (effects_.loads.empty()) answer_flush();
  answer_load();
  EXPECT_FALSE(effects_.paused);
}

TEST_F(GroupMemberTest, PositionToldWhileImagesAreLoadedIsKept) {
  produce(1, 10);
  assign();
  member().on_records(kClaim, records(0, 10));
  other_owner(0, 5);
  member().flush_all();
  while (effects_.loads.empty()) answer_flush();
  answer_load();
  member().on_records(kClaim, records(5, 10));
  member().on_position(kClaim, Offset{12});  // the end of the log is told once
  answer_images();
  EXPECT_EQ(member().view().front().read_next, Offset{12});
}

TEST_F(GroupMemberTest, RefoldDuringAReplayReplaysAgain) {
  produce(1, 10);
  options_.replay_from = Offset{0};
  (void)member();
  other_owner(0, 10);
  const ItemKey key{DeviceId{std::int64_t{1}}, EventTime{1'795'449'420'000}};
  const auto whole = *table_.load({&key, 1})->front();
  table_.expire(key);
  assign();
  EXPECT_EQ(effects_.reading_from, Offset{0});
  member().on_records(kClaim, records(0, 10));
  answer_images();
  // Somebody else brings half of it before this one is written.
  Image half;
  for (int i = 0; i < 5; ++i) half.aggregate.fold(Micro{1'000'000});
  half.fences.set(kWhere.name(), Fence{Offset{5}, {}});
  table_.flush({kWhere, {}, {ItemPut{key, EventTime{1'795'449'480'000}, half, std::nullopt}}, std::nullopt});
  member().flush_all();
  while (effects_.loads.empty()) answer_flush();
  answer_load();
  EXPECT_EQ(effects_.reading_from, Offset{0});
  member().on_records(kClaim, records(0, 10));
  answer_images();
  member().flush_all();
  answer_flush();
  EXPECT_EQ(table_.load({&key, 1})->front(), whole);
  revoke(true);
  assign(Claim{PartitionId{0}, AssignmentId{2}});
  EXPECT_EQ(effects_.reading_from, Offset{10});  // once is enough
}

TEST_F(GroupMemberTest, ImagesGiveWayBeforeReadingStops) {
  options_.memory_limit_bytes = 4000;
  assign();
  for (int device = 0; device < 100; ++device) {
    produce(device, 1);
    member().on_records(kClaim, records(log_.size() - 1, log_.size()));
    member().flush_all();
    while (!effects_.flushes.empty()) answer_flush();
    ASSERT_FALSE(effects_.paused) << device;
  }
}

TEST_F(GroupMemberTest, RefoldMakesRoomForReading) {
  options_.memory_limit_bytes = 1000;
  for (int device = 0; device < 50; ++device) produce(device, 1);
  assign();
  member().on_records(kClaim, records(0, 50));
  EXPECT_TRUE(effects_.paused);
  member().flush_all();
  options_.memory_limit_bytes = 1 << 20;
  other_owner(0, 20);
  while (effects_.loads.empty()) answer_flush();
  answer_load();
  EXPECT_FALSE(effects_.paused);
}

TEST_F(GroupMemberTest, OpenWindowsAreReadOnUpToTheMemoryLimitAndNoFurther) {
  options_.pipeline.emission = Emission::kFinal;
  options_.memory_limit_bytes = 4000;
  for (int device = 0; device < 200; ++device) produce(device, 1);
  assign();
  auto read_one = [&, at = std::size_t{0}]() mutable {
    member().on_records(kClaim, records(at, at + 1));
    ++at;
    return member().memory_bytes();
  };
  while (read_one() * 4 < options_.memory_limit_bytes * 3) {
  }
  ASSERT_FALSE(effects_.paused);
  member().flush_all();  // the first checkpoint; no window is closed
  answer_flush();
  EXPECT_FALSE(effects_.paused);
  while (!effects_.paused) read_one();
  EXPECT_FALSE(effects_.failure);
  member().flush_all();
  ASSERT_TRUE(effects_.failure);
  EXPECT_EQ(effects_.failure->kind, ErrorKind::kConfiguration);
  EXPECT_NE(effects_.failure->message.find("--memory-limit"), std::string::npos);
}

TEST_F(GroupMemberTest, LogThatEndsBelowTheCheckpointWasCutOrMadeAnew) {
  Checkpoint stored;
  stored.next = Offset{300};
  stored.topic_id = "id-1";
  stored.definition = definition_text(options_.pipeline.definition);
  const auto refusal = [&](const std::string& topic_id, std::int64_t end) {
    Effects effects;
    JsonDecoder decoder(options_.pipeline.definition);
    GroupMember member(options_, decoder, effects);
    member.on_assigned({&kClaim, 1});
    member.on_loaded(kClaim, stored, LogState{Offset{0}, Offset{end}, Offset{0}, topic_id});
    if (!effects.failure) return std::string("none");
    EXPECT_EQ(effects.failure->kind, ErrorKind::kData);
    EXPECT_FALSE(effects.failure->retriable);
    return effects.failure->message;
  };
  EXPECT_EQ(refusal("id-1", 300), "none");
  const std::string cut = refusal("id-1", 200);
  EXPECT_NE(cut.find("lost records that were folded"), std::string::npos) << cut;
  EXPECT_NE(cut.find("--generation 2 and --start"), std::string::npos) << cut;
  const std::string anew = refusal("id-2", 400);
  EXPECT_NE(anew.find("made anew"), std::string::npos) << anew;
  const std::string unknown = refusal("", 200);
  EXPECT_NE(unknown.find("made anew"), std::string::npos) << unknown;
  EXPECT_NE(unknown.find("unclean leader election"), std::string::npos) << unknown;
}

TEST_F(GroupMemberTest, WhatRetentionRemovedBeforeItWasReadIsALossAndNeverSilent) {
  Checkpoint stored;
  stored.definition = definition_text(options_.pipeline.definition);
  stored.topic_id = "id";
  const auto load = [&](Checkpoint checkpoint, std::int64_t log_start) {
    Effects effects;
    JsonDecoder decoder(options_.pipeline.definition);
    GroupMember member(options_, decoder, effects);
    member.on_assigned({&kClaim, 1});
    member.on_loaded(kClaim, checkpoint, LogState{Offset{log_start}, Offset{500}, Offset{log_start}, "id"});
    if (!effects.failure) return fmt::format("reading from {}", effects.reading_from.value());
    EXPECT_EQ(effects.failure->kind, ErrorKind::kData);
    return effects.failure->message;
  };
  stored.start = Offset{10};
  stored.next = Offset{100};
  EXPECT_EQ(load(stored, 100), "reading from 100");
  EXPECT_NE(load(stored, 140).find("removed 40 records"), std::string::npos);
  // The place to begin was stored and nothing was read yet: what came since was to be read as well.
  stored.start = stored.next;
  EXPECT_NE(load(stored, 140).find("removed 40 records"), std::string::npos);
  // A function's checkpoint begins at 0 wherever its event source did.
  stored.start = stored.next = Offset{0};
  stored.topic_id.clear();
  EXPECT_EQ(load(stored, 140), "reading from 140");
  options_.accept_loss = true;
  stored.topic_id = "id";
  stored.next = Offset{100};
  EXPECT_EQ(load(stored, 140), "reading from 140");
}

TEST_F(GroupMemberTest, AReplayOfALogWithoutItsFrontIsRefused) {
  Checkpoint stored;
  stored.definition = definition_text(options_.pipeline.definition);
  stored.topic_id = "id";
  stored.start = Offset{10};
  stored.next = Offset{100};
  options_.replay_from = Offset{0};
  const auto load = [&](std::int64_t log_start) {
    Effects effects;
    JsonDecoder decoder(options_.pipeline.definition);
    GroupMember member(options_, decoder, effects);
    member.on_assigned({&kClaim, 1});
    member.on_loaded(kClaim, stored, LogState{Offset{log_start}, Offset{500}, Offset{log_start}, "id"});
    return effects.failure ? effects.failure->message : fmt::format("reading from {}", effects.reading_from.value());
  };
  EXPECT_EQ(load(0), "reading from 10");
  EXPECT_EQ(load(10), "reading from 10");
  EXPECT_NE(load(11).find("--accept-loss"), std::string::npos);
  options_.accept_loss = true;
  EXPECT_EQ(load(11), "reading from 11");
}

// Long after it is done retention passes the place where it began, and partitions come and go.
TEST_F(GroupMemberTest, AReplayThatIsDoneNeedsItsLogNoMore) {
  produce(1, 12);
  options_.replay_from = Offset{0};
  (void)member();
  other_owner(0, 10);
  const auto load = [&](const Claim& claim, std::int64_t log_start) {
    member().on_assigned({&claim, 1});
    auto stored = *table_.load_checkpoint(kWhere);
    stored->topic_id = "id";
    member().on_loaded(claim, stored, LogState{Offset{log_start}, Offset{12}, Offset{log_start}, "id"});
  };
  load(kClaim, 0);
  EXPECT_EQ(effects_.reading_from, Offset{0});
  member().on_records(kClaim, records(0, 12));
  answer_images();
  member().flush_all();
  while (!effects_.flushes.empty()) answer_flush();
  revoke(true);
  load(Claim{PartitionId{0}, AssignmentId{2}}, 11);
  EXPECT_FALSE(effects_.failure) << effects_.failure->message;
  EXPECT_EQ(effects_.reading_from, Offset{12});
}

}  // namespace
}  // namespace culvert
