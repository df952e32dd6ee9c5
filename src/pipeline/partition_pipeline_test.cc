// SPDX-License-Identifier: Apache-2.0
#include "pipeline/partition_pipeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "decode/json_decoder.h"
#include "fakes/memory_table.h"
#include "pipeline/function_batch.h"
#include "pipeline/pipeline_driver.h"

namespace culvert {
namespace {

using fakes::MemoryTable;
using fakes::WriteFault;
using fakes::WriteKind;

const StreamPartition kWhere{"sensors", 1, PartitionId{0}};

// A log whose bytes live as long as it does.
class Log {
 public:
  Log& reading(int device, int second, const std::string& value) {
    return text(fmt::format(R"({{"device_id": {}, "timestamp": "{}", "temperature": {}}})", device,
                            format_utc(EventTime{kStart + std::int64_t{second} * 1000}), value));
  }
  Log& text(const std::string& value) {
    bytes_.push_back(value);
    records_.push_back(Record{Offset{next_}, RecordTime{kStart + next_}, {}, std::string_view{bytes_.back()}});
    ++next_;
    return *this;
  }
  Log& gap(std::int64_t offsets) {
    next_ += offsets;
    return *this;
  }
  [[nodiscard]] std::span<const Record> all() const { return records_; }
  [[nodiscard]] std::span<const Record> part(std::size_t first, std::size_t next) const {
    return all().subspan(first, next - first);
  }
  static constexpr std::int64_t kStart = 1'795'449'420'000;  // 2026-11-23T15:57:00Z

 private:
  std::deque<std::string> bytes_;
  std::vector<Record> records_;
  std::int64_t next_ = 0;
};

// `device@second: count sum` of each item, second being the window's start behind Log::kStart.
std::vector<std::string> items(MemoryTable& table) {
  std::vector<std::string> lines;
  const auto scanned = table.scan_items({}, [&](const StoredItem& item) {
    lines.push_back(fmt::format("{}@{}: {} {}", item.key.device.to_text(),
                                (item.key.window_start.value() - Log::kStart) / 1000, item.image.aggregate.count,
                                format_scaled(item.image.aggregate.sum, 6)));
    return true;
  });
  EXPECT_TRUE(scanned.ok());
  return lines;
}

std::vector<std::string> dead_letters(MemoryTable& table) {
  std::vector<std::string> lines;
  const auto scanned = table.scan_dead_letters([&](const DeadLetter& letter) {
    lines.push_back(fmt::format("{}: {}", letter.offset.value(), reason_name(letter.reason)));
    return true;
  });
  EXPECT_TRUE(scanned.ok());
  return lines;
}

class PipelineTest : public ::testing::Test {
 protected:
  PipelineDriver driver() { return PipelineDriver(table_, options_, decoder(), kWhere); }
  Decoder& decoder() {
    if (!decoder_) decoder_ = std::make_unique<JsonDecoder>(options_.definition);
    return *decoder_;
  }
  Checkpoint checkpoint() { return **table_.load_checkpoint(kWhere); }
  void function(std::span<const Record> records) {
    const auto stats = fold_function_batch(table_, options_, decoder(), kWhere, records,
                                           [](int attempt, const Error&) { return attempt < 50; });
    ASSERT_TRUE(stats.ok()) << stats.error().message;
  }
  void hop(std::int64_t size_s, std::int64_t advance_s) {
    options_.definition.kind = WindowKind::kHopping;
    options_.definition.size = Millis{size_s * 1000};
    options_.definition.advance = Millis{advance_s * 1000};
  }

  MemoryTable table_;
  PipelineOptions options_;
  std::unique_ptr<JsonDecoder> decoder_;
};

TEST_F(PipelineTest, ReadingsBecomeWindowsAndTheCheckpointFollows) {
  Log log;
  log.reading(1, 0, "20").reading(2, 1, "5.5").reading(1, 59, "22").reading(1, 60, "1").text("not json");
  auto d = driver();
  ASSERT_TRUE(d.run(log.all(), 2).ok());
  EXPECT_EQ(items(table_), (std::vector<std::string>{"1@0: 2 42", "1@60: 1 1", "2@0: 1 5.5"}));
  EXPECT_EQ(dead_letters(table_), (std::vector<std::string>{"4: not_json"}));
  EXPECT_EQ(checkpoint().next, Offset{5});
  EXPECT_EQ(checkpoint().progress.counts, (Counts{5, 4, 0, 1}));
  EXPECT_EQ(checkpoint().progress.max_event_time, EventTime{Log::kStart + 60'000});
}

TEST_F(PipelineTest, InitialCheckpointIsStoredBeforeAnyRecord) {
  auto d = driver();
  ASSERT_TRUE(d.start(Offset{7}).ok());
  EXPECT_TRUE(d.pipeline().dirty());
  ASSERT_TRUE(d.flush().ok());
  EXPECT_FALSE(d.pipeline().dirty());
  EXPECT_TRUE(table_.load_checkpoint(kWhere)->has_value());
}

TEST_F(PipelineTest, ReplyLostAfterApplyIsNotFoldedAgain) {
  Log log;
  log.reading(1, 0, "20").reading(1, 1, "21");
  table_.set_faults([&](const fakes::Write& w) {
    return w.kind == WriteKind::kItem && w.number <= 3 ? WriteFault::kReplyLost : WriteFault::kNone;
  });
  auto d = driver();
  ASSERT_TRUE(d.run(log.all(), 1).ok());
  EXPECT_EQ(items(table_), (std::vector<std::string>{"1@0: 2 41"}));
}

TEST_F(PipelineTest, CrashBetweenItemsAndCheckpointIsFoldedOnce) {
  Log log;
  log.reading(1, 0, "20").reading(1, 1, "21").reading(2, 2, "7").reading(1, 3, "1");
  auto first = driver();
  ASSERT_TRUE(first.start().ok());
  ASSERT_TRUE(first.pipe(log.part(0, 3)).ok());
  table_.set_faults(
      [](const fakes::Write& w) { return w.kind == WriteKind::kCheckpoint ? WriteFault::kLost : WriteFault::kNone; });
  auto step = first.pipeline().begin_flush();
  ASSERT_TRUE(step.ok());
  (void)table_.flush(*step->request);
  first.crash();
  table_.set_faults({});
  auto second = driver();
  ASSERT_TRUE(second.run(log.all(), 10).ok());  // device 1 straddles: 0 and 1 are in, 3 is not
  EXPECT_EQ(items(table_), (std::vector<std::string>{"1@0: 3 42", "2@0: 1 7"}));
}

TEST_F(PipelineTest, ZombieMeetsTheNewOwnersFences) {
  Log log;
  for (int i = 0; i < 20; ++i) log.reading(i % 3, i, "1");
  auto zombie = driver();
  ASSERT_TRUE(zombie.start().ok());
  ASSERT_TRUE(zombie.pipe(log.part(0, 12)).ok());
  auto owner = driver();
  ASSERT_TRUE(owner.run(log.all(), 5).ok());
  const auto before = items(table_);
  const auto late = zombie.flush();
  ASSERT_TRUE(late.ok()) << late.error().message;
  EXPECT_EQ(items(table_), before);
  EXPECT_EQ(checkpoint().next, Offset{20});
}

TEST_F(PipelineTest, LateReadingsAreDeadLettersAndLatenessIsExclusive) {
  options_.definition.out_of_orderness = Millis{0};
  options_.definition.allowed_lateness = Millis{60'000};
  Log log;
  log.reading(1, 0, "1").reading(1, 119, "1").reading(1, 1, "1");  // watermark 119 s: window [0, 60) + 60 s not passed
  log.reading(1, 120, "1").reading(1, 2, "1").reading(2, 60, "1");
  auto d = driver();
  ASSERT_TRUE(d.run(log.all(), 1).ok());
  EXPECT_EQ(items(table_), (std::vector<std::string>{"1@0: 2 2", "1@60: 1 1", "1@120: 1 1", "2@60: 1 1"}));
  EXPECT_EQ(dead_letters(table_), (std::vector<std::string>{"4: late"}));
  EXPECT_EQ(checkpoint().progress.counts, (Counts{6, 5, 1, 0}));
}

TEST_F(PipelineTest, WatermarkContinuesAfterARestart) {
  options_.definition.out_of_orderness = Millis{0};
  options_.definition.allowed_lateness = Millis{0};
  Log log;
  log.reading(1, 300, "1").reading(1, 0, "1");
  auto first = driver();
  ASSERT_TRUE(first.run(log.part(0, 1), 1).ok());
  auto second = driver();
  ASSERT_TRUE(second.run(log.all(), 1).ok());
  EXPECT_EQ(dead_letters(table_), (std::vector<std::string>{"1: late"}));
}

TEST_F(PipelineTest, HoppingReadingMayBeLateForSomeOfItsWindows) {
  hop(60, 20);
  options_.definition.out_of_orderness = Millis{0};
  options_.definition.allowed_lateness = Millis{0};
  Log log;
  log.reading(1, 45, "1").reading(1, 10, "1");  // watermark 45: of -40, -20 and 0 only -40..20 and -20..40 are over
  auto d = driver();
  ASSERT_TRUE(d.run(log.all(), 1).ok());
  EXPECT_EQ(items(table_), (std::vector<std::string>{"1@0: 2 2", "1@20: 1 1", "1@40: 1 1"}));
  EXPECT_EQ(dead_letters(table_), (std::vector<std::string>{"1: late"}));
  EXPECT_EQ(checkpoint().progress.counts, (Counts{2, 2, 0, 0}));
}

TEST_F(PipelineTest, FunctionBatchesInAnyCutGiveTheSameTable) {
  Log log;
  for (int i = 0; i < 30; ++i) log.reading(i % 4, i * 3, fmt::format("{}.5", i));
  auto d = driver();
  ASSERT_TRUE(d.run(log.all(), 7).ok());
  const auto expected = items(table_);
  MemoryTable other;
  for (const auto& [first, next] : std::vector<std::pair<std::size_t, std::size_t>>{
           {0, 10}, {0, 10}, {5, 15}, {14, 16}, {20, 30}, {0, 20}, {0, 30}}) {
    const auto stats = fold_function_batch(other, options_, decoder(), kWhere, log.part(first, next),
                                           [](int attempt, const Error&) { return attempt < 50; });
    ASSERT_TRUE(stats.ok()) << stats.error().message;
  }
  EXPECT_EQ(items(other), expected);
  EXPECT_EQ(**other.load_checkpoint(kWhere), checkpoint());
}

TEST_F(PipelineTest, DiscardedBatchLeavesAHoleThatTheRedriveFills) {
  Log log;
  for (int i = 0; i < 12; ++i) log.reading(i % 2, i, "1");
  function(log.part(0, 4));
  function(log.part(8, 12));
  EXPECT_EQ(checkpoint().next, Offset{4});
  EXPECT_EQ(checkpoint().ranges.size(), 1U);
  function(log.part(4, 8));
  function(log.part(4, 8));
  EXPECT_EQ(items(table_), (std::vector<std::string>{"0@0: 6 6", "1@0: 6 6"}));
  EXPECT_EQ(checkpoint().next, Offset{12});
  EXPECT_EQ(checkpoint().progress.counts.records, 12);
}

TEST_F(PipelineTest, DaemonAndFunctionOnOneTable) {
  Log log;
  for (int i = 0; i < 40; ++i) log.reading(i % 3, i, "1");
  auto daemon = driver();
  ASSERT_TRUE(daemon.start().ok());
  ASSERT_TRUE(daemon.pipe(log.part(0, 10)).ok());
  function(log.part(5, 20));
  const auto flushed = daemon.flush();
  ASSERT_TRUE(flushed.ok()) << flushed.error().message;
  ASSERT_FALSE(*flushed);  // 5..10 were folded by the function
  ASSERT_TRUE(daemon.run(log.all(), 10).ok());
  function(log.part(30, 40));
  EXPECT_EQ(items(table_), (std::vector<std::string>{"0@0: 14 14", "1@0: 13 13", "2@0: 13 13"}));
  EXPECT_EQ(checkpoint().next, Offset{40});
  EXPECT_EQ(checkpoint().progress.counts.records, 40);
}

TEST_F(PipelineTest, KnownImageIsNotReplacedByALaterAnswer) {
  Log log;
  log.reading(1, 0, "1").reading(1, 1, "2").reading(1, 2, "4");
  auto owner = driver();
  ASSERT_TRUE(owner.start({}, Offset{3}).ok());
  ASSERT_TRUE(owner.pipe(log.part(0, 2)).ok());  // compared with the image of now: absent
  function(log.part(0, 3));
  const ItemKey key{DeviceId{std::int64_t{1}}, EventTime{Log::kStart}};
  owner.pipeline().provide_images({&key, 1}, *table_.load({&key, 1}));
  const auto flushed = owner.flush();
  ASSERT_TRUE(flushed.ok()) << flushed.error().message;
  EXPECT_EQ(items(table_), std::vector<std::string>{"1@0: 3 7"});
}

TEST_F(PipelineTest, GapsBetweenBatchesCloseIfTheEventSourceNeverDiscards) {
  Log log;
  for (int i = 0; i < 200; ++i) log.reading(1, 0, "1").gap(1);  // as after transactions of one record
  options_.gaps_are_empty = true;
  for (std::size_t i = 0; i < 200; ++i) function(log.part(i, i + 1));
  EXPECT_EQ(items(table_), std::vector<std::string>{"1@0: 200 200"});
  EXPECT_EQ(checkpoint().next, Offset{399});
  EXPECT_TRUE(checkpoint().ranges.empty());
}

TEST_F(PipelineTest, BatchWindowThatWasWrittenInPartIsFoldedRecordByRecord) {
  options_.definition.kind = WindowKind::kBatch;
  Log log;
  log.reading(1, 0, "1").reading(1, 1, "2").reading(2, 2, "4").reading(1, 3, "8");
  auto crashed = driver();
  ASSERT_TRUE(crashed.start().ok());
  ASSERT_TRUE(crashed.pipe(log.part(0, 2)).ok());
  auto step = crashed.pipeline().begin_flush();
  MemoryTable::Slices slices{table_, *step->request};
  ASSERT_TRUE(slices.step());  // the item, not the checkpoint
  auto next = driver();
  ASSERT_TRUE(next.run(log.all(), 10).ok());
  EXPECT_EQ(items(table_), (std::vector<std::string>{"1@0: 3 11", "2@0: 1 4"}));
}

TEST_F(PipelineTest, ReplayAfterAFullRunChangesNothing) {
  options_.definition.allowed_lateness = Millis{0};
  Log log;
  log.reading(1, 0, "1").text("{}").reading(1, 200, "2").reading(1, 1, "3").gap(5).reading(2, 210, "4");
  auto first = driver();
  ASSERT_TRUE(first.run(log.all(), 2).ok());
  const auto before = items(table_);
  const auto letters = dead_letters(table_);
  const auto stored = checkpoint();
  auto again = driver();
  ASSERT_TRUE(again.run(log.all(), 3, Offset{0}).ok());
  EXPECT_EQ(items(table_), before);
  EXPECT_EQ(dead_letters(table_), letters);
  EXPECT_EQ(checkpoint(), stored);
  const auto stats = again.pipeline().stats();
  EXPECT_EQ(stats.read, 5);
  EXPECT_EQ(stats.read, stats.filtered + stats.generation + stats.held + stats.adopted + stats.durable.records);
}

TEST_F(PipelineTest, TopicMadeAnewIsNotSwallowedSilently) {
  Log log;
  log.reading(1, 0, "1").reading(1, 1, "2");
  auto d = driver();
  ASSERT_TRUE(d.run(log.all(), 2).ok());
  Log anew;
  anew.reading(1, 0, "9");
  std::vector<Record> records(anew.all().begin(), anew.all().end());
  records[0].timestamp = RecordTime{Log::kStart + 1'000'000};
  function(records);
  EXPECT_EQ(dead_letters(table_), (std::vector<std::string>{"0: generation"}));
}

TEST_F(PipelineTest, OtherDefinitionStopsBeforeAnythingIsWritten) {
  Log log;
  log.reading(1, 0, "1");
  auto d = driver();
  ASSERT_TRUE(d.run(log.all(), 1).ok());
  options_.definition.size = options_.definition.advance = Millis{30'000};
  const auto refused = driver().start();
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kData);
  EXPECT_NE(refused.error().message.find("size: table has 1m, now 30s"), std::string::npos);
}

TEST_F(PipelineTest, FinalEmissionWritesOnlyClosedWindowsAndTrails) {
  options_.emission = Emission::kFinal;
  options_.definition.out_of_orderness = Millis{0};
  Log log;
  log.reading(1, 0, "1").reading(1, 70, "2").reading(1, 5, "4").reading(1, 130, "8").reading(1, 75, "16");
  auto d = driver();
  ASSERT_TRUE(d.start().ok());
  ASSERT_TRUE(d.pipe(log.part(0, 1)).ok());
  ASSERT_TRUE(*d.flush());
  EXPECT_TRUE(items(table_).empty());
  ASSERT_TRUE(d.pipe(log.part(1, 3)).ok());
  ASSERT_TRUE(*d.flush());
  EXPECT_EQ(items(table_), (std::vector<std::string>{"1@0: 2 5"}));
  EXPECT_EQ(checkpoint().next, Offset{1});
  d.crash();
  auto again = driver();
  ASSERT_TRUE(again.run(log.all(), 1).ok());
  EXPECT_EQ(items(table_), (std::vector<std::string>{"1@0: 2 5", "1@60: 2 18"}));
  EXPECT_EQ(checkpoint().next, Offset{3});
}

TEST_F(PipelineTest, FinalEmissionCorrectsAHoppingWindowOnce) {
  hop(60, 20);
  options_.emission = Emission::kFinal;
  options_.definition.out_of_orderness = Millis{0};
  Log log;
  log.reading(1, 25, "1").reading(1, 65, "2").reading(1, 30, "4").reading(1, 200, "8");
  MemoryTable early_table;
  PipelineOptions early = options_;
  early.emission = Emission::kEarly;
  PipelineDriver expected(early_table, early, decoder(), kWhere);
  ASSERT_TRUE(expected.run(log.all(), 1).ok());
  auto d = driver();
  ASSERT_TRUE(d.run(log.all(), 1).ok());
  auto closed = items(early_table);
  std::erase_if(closed, [](const std::string& line) {  // the watermark, 200 s, is past none of these
    return line.starts_with("1@160:") || line.starts_with("1@180:") || line.starts_with("1@200:");
  });
  EXPECT_EQ(items(table_), closed);
}

TEST_F(PipelineTest, WhatFinalEmissionHasWrittenTakesNoMemory) {
  options_.emission = Emission::kFinal;
  options_.definition.key_type = KeyType::kString;
  Log log;
  for (int window = 0; window < 50; ++window) {
    for (int device = 0; device < 4; ++device) {
      log.text(fmt::format(R"({{"device_id": "{}{}", "timestamp": "{}", "temperature": 1}})", std::string(200, 'x'),
                           device, format_utc(EventTime{Log::kStart + std::int64_t{window} * 60'000})));
    }
  }
  auto d = driver();
  ASSERT_TRUE(d.start().ok());
  std::size_t settled = 0;
  for (std::size_t i = 0; i < 200; i += 4) {
    ASSERT_TRUE(d.pipe(log.part(i, i + 4)).ok());
    ASSERT_TRUE(*d.flush());
    if (i == 40) settled = d.pipeline().memory_bytes();
  }
  EXPECT_EQ(d.pipeline().memory_bytes(), settled);
}

TEST_F(PipelineTest, EveryRecordIsInExactlyOneGroupAtAnyMoment) {
  Log log;
  for (int i = 0; i < 50; ++i) {
    if (i % 7 == 3) {
      log.text("{");
    } else {
      log.reading(i % 5, i * 11, "1");
    }
  }
  auto d = driver();
  ASSERT_TRUE(d.start().ok());
  for (std::size_t i = 0; i < 50; i += 5) {
    ASSERT_TRUE(d.pipe(log.part(i, i + 5)).ok());
    if (i % 3 == 0) {
      ASSERT_TRUE(*d.flush());
    }
    const auto s = d.pipeline().stats();
    EXPECT_EQ(s.read, s.filtered + s.generation + s.held + s.adopted + s.durable.records);
    EXPECT_EQ(s.durable.records, s.durable.folded + s.durable.late + s.durable.dead_letters);
  }
}

}  // namespace
}  // namespace culvert
