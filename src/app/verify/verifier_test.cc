// SPDX-License-Identifier: Apache-2.0
// Tables that the real pipeline made are found equal at any moment; every way in which they can be wrong is found.
#include "app/verify/verifier.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <random>

#include "app/verify/verify_output.h"
#include "decode/json_decoder.h"
#include "fakes/memory_table.h"
#include "fakes/older_decoder.h"
#include "pipeline/pipeline_driver.h"
#include "pipeline/redrive.h"

namespace culvert::oracle {
namespace {

using fakes::MemoryTable;

const std::string kTopic = "telemetry";
StreamPartition where_of(std::int32_t partition) { return {kTopic, 1, PartitionId{partition}}; }

// A log of one partition that keeps its bytes.
class Log {
 public:
  void append(std::string value, RecordTime time = RecordTime{1'800'000'000'000}) {
    values_.push_back(std::make_unique<std::string>(std::move(value)));
    records_.push_back(Record{Offset{next_++}, time, std::nullopt, std::string_view(*values_.back())});
  }
  void reading(std::int64_t device, std::int64_t time_ms, const std::string& value) {
    append(fmt::format(R"({{"device_id":{},"timestamp":"{}","temperature":{}}})", device,
                       format_utc(EventTime{time_ms}), value));
  }
  void gap() { next_ += 3; }
  // Compaction: some records go, and their offsets stay.
  void remove_every(std::size_t nth) {
    std::size_t at = 0;
    std::erase_if(records_, [&](const Record&) { return ++at % nth == 0; });
  }
  [[nodiscard]] std::span<const Record> records() const { return records_; }
  [[nodiscard]] LogExtent extent(std::int32_t partition) const {
    return {PartitionId{partition}, Offset{0}, Offset{next_}};
  }

 private:
  std::vector<std::unique_ptr<std::string>> values_;  // the views stay valid when the log is moved
  std::vector<Record> records_;
  std::int64_t next_ = 0;
};

constexpr std::int64_t kStart = 1'795'449'420'000;

// Disorder, late readings, broken records, gaps.
Log random_log(std::mt19937& random, int count) {
  Log log;
  for (int i = 0; i < count; ++i) {
    const std::int64_t now = kStart + std::int64_t{i} * 500;
    const auto dice = random() % 40;
    if (dice == 0) {
      log.append("{broken");
    } else if (dice == 1) {
      log.reading(static_cast<std::int64_t>(random() % 5), now - 200'000, "1.25");
    } else if (dice == 2) {
      log.gap();
    } else {
      log.reading(static_cast<std::int64_t>(random() % 5), now - static_cast<std::int64_t>(random() % 15'000),
                  fmt::format("{}.{:06d}", static_cast<int>(random() % 60) - 10, random() % 1'000'000));
    }
  }
  return log;
}

Definition small_windows(bool hopping) {
  Definition definition;
  definition.kind = hopping ? WindowKind::kHopping : WindowKind::kTumbling;
  definition.size = Millis{30'000};
  definition.advance = Millis{hopping ? 10'000 : 30'000};
  definition.out_of_orderness = Millis{5'000};
  definition.allowed_lateness = Millis{60'000};
  return definition;
}

VerifyReport verify(TableReader& table, const Definition& definition, const std::vector<const Log*>& logs,
                    Offset log_start = Offset{0}, std::optional<bool> compacted = false) {
  auto verifier = Verifier::load(table, definition, kTopic);
  CULVERT_CHECK(verifier.ok(), verifier.error().message);
  (*verifier)->log_is_compacted(compacted);
  std::vector<LogExtent> extents;
  for (std::size_t i = 0; i < logs.size(); ++i) {
    extents.push_back(logs[i]->extent(static_cast<std::int32_t>(i)));
    extents.back().log_start = log_start;
  }
  const auto plan = (*verifier)->plan(extents);
  CULVERT_CHECK(plan.ok(), plan.error().message);
  for (const auto& [partition, range] : *plan) {
    for (const Record& record : logs.at(static_cast<std::size_t>(partition.value()))->records()) {
      if (range.contains(record.offset)) (*verifier)->add(partition, {&record, 1});
    }
  }
  return (*verifier)->finish();
}

struct World {
  Definition definition;
  Emission emission = Emission::kEarly;
  MemoryTable table;
  std::vector<Log> logs;

  [[nodiscard]] std::vector<const Log*> log_list() const {
    std::vector<const Log*> list;
    for (const Log& log : logs) list.push_back(&log);
    return list;
  }
  [[nodiscard]] PipelineOptions options() const {
    PipelineOptions options;
    options.definition = definition;
    options.emission = emission;
    return options;
  }
  void fold(std::size_t partition, std::size_t count, std::size_t flush_every) {
    JsonDecoder decoder(definition);
    PipelineDriver driver(table, options(), decoder, where_of(static_cast<std::int32_t>(partition)));
    const auto records = logs.at(partition).records();
    const auto done = driver.run(records.first(std::min(count, records.size())), flush_every);
    CULVERT_CHECK(done.ok(), done.error().message);
  }
  void fold_all() {
    for (std::size_t i = 0; i < logs.size(); ++i) fold(i, SIZE_MAX, 50);
  }
  [[nodiscard]] VerifyReport verify() { return oracle::verify(table, definition, log_list()); }
};

TEST(Verifier, TablesOfThePipelineAreEqualAtAnyMoment) {
  const auto seed = std::random_device{}();
  for (std::uint32_t round = 0; round < 60; ++round) {
    SCOPED_TRACE(testing::Message() << "seed " << seed << " round " << round);
    std::mt19937 random{seed + round};
    World world;
    world.definition = small_windows(random() % 2 == 0);
    world.emission = random() % 2 == 0 ? Emission::kEarly : Emission::kFinal;
    for (int i = 0; i < 2; ++i) world.logs.push_back(random_log(random, 600));
    for (const std::size_t count : {150U, 400U, 600U}) {
      for (std::size_t i = 0; i < 2; ++i) world.fold(i, count + random() % 50, 1 + random() % 80);
      const VerifyReport report = world.verify();
      EXPECT_TRUE(report.good()) << report_text(report);
      EXPECT_EQ(report.unverifiable, 0);
      EXPECT_GT(report.equal, 0);
      EXPECT_EQ(report.equal, report.windows);
      EXPECT_EQ(report.counts.records, report.counts.folded + report.counts.late + report.counts.dead_letters);
    }
  }
}

TEST(Verifier, CountsWhatIsOpenLateAndDead) {
  World world;
  world.definition = small_windows(false);
  world.logs.resize(1);
  Log& log = world.logs.front();
  log.reading(7, kStart, "1.5");
  log.append("[]");
  log.reading(7, kStart + 200'000, "2");
  log.reading(7, kStart, "3");
  world.fold_all();
  log.reading(7, kStart + 300'000, "4");
  log.reading(7, kStart + 200'001, "4");
  const VerifyReport report = world.verify();
  EXPECT_EQ(report_summary(report),
            "verify: windows=2 equal=2 different=0 missing=0 extra=0 open=1 unverifiable=0 dead_letters=1 late=1 "
            "records=4 partitions=1 repaired=0");
}

// ---- What is wrong is found.

class Tampered : public testing::Test {
 protected:
  Tampered() {
    std::mt19937 random{7};
    world_.definition = small_windows(false);
    for (int i = 0; i < 2; ++i) world_.logs.push_back(random_log(random, 300));
    world_.fold_all();
    EXPECT_TRUE(world_.verify().good());
  }

  StoredItem some_item() {
    std::optional<StoredItem> found;
    EXPECT_TRUE(world_.table.scan_items({}, [&](const StoredItem& item) { return found = item, false; }));
    return *found;
  }
  // Replaces the item as a foreign hand would.
  void put(const StoredItem& item, std::optional<Fences> expected) {
    FlushRequest request{where_of(0), {}, {ItemPut{item.key, item.window_end, item.image, std::move(expected)}}, {}};
    EXPECT_EQ(world_.table.flush(request).items[0].status, PutStatus::kStored);
  }
  void replace(const StoredItem& item) { put(item, item.image.fences); }
  Checkpoint checkpoint() { return *world_.table.load_checkpoint(where_of(0)).value(); }
  void put(const Checkpoint& desired) {
    FlushRequest request{where_of(0), {}, {}, CheckpointPut{desired, checkpoint()}};
    EXPECT_EQ(world_.table.flush(request).checkpoint.status, PutStatus::kStored);
  }
  void expect_difference(std::string_view text) {
    const VerifyReport report = world_.verify();
    EXPECT_FALSE(report.good());
    EXPECT_NE(report_text(report).find(text), std::string::npos) << report_text(report);
  }

  World world_;
};

TEST_F(Tampered, AnyFieldOfAnItem) {
  const StoredItem good = some_item();
  const auto with = [&](auto change, std::string_view text) {
    StoredItem bad = good;
    change(bad.image.aggregate);
    replace(bad);
    expect_difference(text);
    replace(good);
  };
  with([](Accumulator& a) { a.sum += 1; }, "; sum: table ");
  with([](Accumulator& a) { a.sum_squares += 1; }, "; sumsq: table ");
  with([](Accumulator& a) { a.min = Micro{a.min.value() - 1}; }, "; min: table ");
  with([](Accumulator& a) { a.max = Micro{a.max.value() + 1}; }, "; max: table ");
  with([](Accumulator& a) { a.fold(a.min); }, "; count: table ");
  StoredItem bad = good;
  bad.window_end = bad.window_end + Millis{1};
  replace(bad);
  expect_difference("window_stop: table ");
}

TEST_F(Tampered, AReadingFoldedTwice) {
  StoredItem item = some_item();
  item.image.aggregate.merge(item.image.aggregate);
  replace(item);
  const VerifyReport report = world_.verify();
  EXPECT_EQ(report.different, 1);
  EXPECT_EQ(report.missing + report.extra, 0);
}

TEST_F(Tampered, AFenceThatDoesNotCoverWhatTheCheckpointClaims) {
  StoredItem item = some_item();
  const Fences before = item.image.fences;
  const auto entry = before.entries().front();
  item.image.fences.set(entry.name, Fence{Offset{entry.fence.next().value() - 1}, {}});
  put(item, before);
  expect_difference("is checkpointed but not in it");
}

TEST_F(Tampered, AFenceWithAHoleOverAFoldedRecord) {
  StoredItem item = some_item();
  const Fences before = item.image.fences;
  const auto entry = before.entries().front();
  item.image.fences.set(entry.name, Fence{entry.fence.next(), {{Offset{0}, entry.fence.next()}}});
  put(item, before);
  expect_difference("is checkpointed but not in it");
}

TEST_F(Tampered, AnItemThatIsGoneOrMadeUp) {
  StoredItem item = some_item();
  world_.table.expire(item.key);
  expect_difference("missing: device ");
  put(item, std::nullopt);
  EXPECT_TRUE(world_.verify().good());
  item.key.device = DeviceId{99};
  put(item, std::nullopt);
  expect_difference("extra: device 99");
}

TEST_F(Tampered, ACheckpointAheadOfTheItems) {
  Log& log = world_.logs.front();
  log.reading(3, kStart + 150'000, "5");
  Checkpoint ahead = checkpoint();
  ahead.next = log.extent(0).log_end;
  ahead.progress.counts.records += 1;
  ahead.progress.counts.folded += 1;
  put(ahead);
  const VerifyReport report = world_.verify();
  EXPECT_EQ(report.different + report.missing, 1) << report_text(report);
}

TEST_F(Tampered, AnyCounterOrMaximumOfACheckpoint) {
  const Checkpoint good = checkpoint();
  const auto with = [&](auto change, std::string_view text) {
    Checkpoint bad = good;
    change(bad.progress);
    put(bad);
    expect_difference(text);
    put(good);
  };
  with([](Progress& p) { p.counts.records += 1; }, ": records: table ");
  with([](Progress& p) { p.counts.folded -= 1; }, ": folded: table ");
  with([](Progress& p) { p.counts.late += 1; }, ": late: table ");
  with([](Progress& p) { p.counts.dead_letters += 1; }, ": dead_letters: table ");
  with([](Progress& p) { p.max_event_time = *p.max_event_time + Millis{1}; }, ": max_event_time: table ");
  with([](Progress& p) { p.max_timestamp.reset(); }, ": max_timestamp: table none");
}

// A table that passes everything on but changes the dead letters on their way.
class OtherLetters final : public TableReader {
 public:
  OtherLetters(TableReader& table, std::function<bool(DeadLetter&)> change)
      : table_(table), change_(std::move(change)) {}
  Result<void> scan_items(const ItemFilter& filter, const std::function<bool(const StoredItem&)>& visit) override {
    return table_.scan_items(filter, visit);
  }
  Result<std::vector<PartitionCheckpoint>> checkpoints() override { return table_.checkpoints(); }
  // `change` returns false to hide the letter.
  Result<void> scan_dead_letters(const std::function<bool(const DeadLetter&)>& visit) override {
    return table_.scan_dead_letters([&](const DeadLetter& letter) {
      DeadLetter other = letter;
      return !change_(other) || visit(other);
    });
  }

 private:
  TableReader& table_;
  std::function<bool(DeadLetter&)> change_;
};

TEST_F(Tampered, AnyFieldOfADeadLetter) {
  const auto with = [&](const std::function<bool(DeadLetter&)>& change, std::string_view text) {
    bool first = true;
    OtherLetters table(world_.table, [&](DeadLetter& letter) {
      return letter.reason == DeadLetterReason::kLate || !std::exchange(first, false) || change(letter);
    });
    const VerifyReport report = verify(table, world_.definition, world_.log_list());
    EXPECT_EQ(report.differences_total, 1) << text;
    EXPECT_NE(report_text(report).find(text), std::string::npos) << report_text(report);
  };
  with([](DeadLetter&) { return false; }, "missing: dead letter telemetry@1/0:");
  with([](DeadLetter& l) { return l.reason = DeadLetterReason::kTombstone, true; }, ": reason: table tombstone, log ");
  with([](DeadLetter& l) { return *l.value += "\x1b", true; }, ": value: table ");
  with([](DeadLetter& l) { return l.value.reset(), true; }, ": value: table none");
  with([](DeadLetter& l) { return l.key = "k", true; }, ": record key: table 1 bytes 'k', log none");
  with([](DeadLetter& l) { return l.timestamp.reset(), true; }, ": timestamp: table none");
}

TEST_F(Tampered, ADeadLetterThatTheLogDoesNotExplain) {
  const DeadLetter reading{where_of(0), Offset{0}, {}, DeadLetterReason::kLate, "", {}, "x"};
  const DeadLetter beyond{where_of(0), Offset{1'000'000}, {}, DeadLetterReason::kLate, "", {}, "x"};
  for (const DeadLetter& letter : {reading, beyond}) {
    static_cast<void>(world_.table.flush({where_of(0), {letter}, {}, {}}));
  }
  const VerifyReport report = world_.verify();
  EXPECT_EQ(report.dead_letters_extra, 2) << report_text(report);
}

TEST_F(Tampered, ManyDifferencesAreCountedAndTheFirstTwentyShown) {
  std::vector<StoredItem> items;
  ASSERT_TRUE(world_.table.scan_items({}, [&](const StoredItem& item) { return items.push_back(item), true; }));
  for (const StoredItem& item : items) world_.table.expire(item.key);
  const VerifyReport report = world_.verify();
  ASSERT_GT(items.size(), 20U);
  EXPECT_EQ(report.missing, static_cast<std::int64_t>(items.size()));
  EXPECT_EQ(report.differences.size(), 20U);
  EXPECT_NE(report_text(report).find(fmt::format("and {} more\n", items.size() - 20)), std::string::npos);
}

// ---- Dead letters that were redriven.

class Redriven : public testing::Test {
 protected:
  explicit Redriven(bool hopping = false) {
    std::mt19937 random{7};
    world_.definition = small_windows(hopping);
    world_.logs.push_back(random_log(random, 600));
    fakes::OlderDecoder older(world_.definition, Micro{40'000'000});
    PipelineDriver driver(world_.table, world_.options(), older, where_of(0));
    CULVERT_CHECK(driver.run(world_.logs[0].records(), 50).ok(), "the log could not be folded");
  }
  RedriveStats redrive(bool late) {
    RedriveOptions options;
    options.definition = world_.definition;
    options.late = late;
    JsonDecoder now(world_.definition);
    PartitionRedrive partition(options, now, where_of(0), *world_.table.load_checkpoint(where_of(0)));
    (void)world_.table.scan_dead_letters([&](const DeadLetter& letter) { return partition.add(letter), true; });
    CULVERT_CHECK(partition.check().ok(), "the table contradicts its checkpoint");
    const auto done = partition.run(world_.table, [](int, const Error&) { return false; });
    CULVERT_CHECK(done.ok(), done.error().message);
    return *done;
  }
  // Every item that holds redriven letters.
  std::vector<StoredItem> repaired_items() {
    std::vector<StoredItem> items;
    (void)world_.table.scan_items({}, [&](const StoredItem& item) {
      if (!(item.image.fences.at("telemetry@1/0!") == Fence{})) items.push_back(item);
      return true;
    });
    return items;
  }

  World world_;
};

class RedrivenHopping : public Redriven {
 protected:
  RedrivenHopping() : Redriven(true) {}
};

TEST_F(Redriven, LetterThatCanBeReadByNowMustBeInItsWindows) {
  VerifyReport report = world_.verify();
  EXPECT_GT(report.dead_letters_extra, 10) << report_text(report);
  EXPECT_NE(report_text(report).find("culvert dead-letters redrive"), std::string::npos);
  const RedriveStats stats = redrive(false);
  EXPECT_EQ(stats.repaired, report.dead_letters_extra);
  report = world_.verify();
  EXPECT_TRUE(report.good()) << report_text(report);
  EXPECT_EQ(report.unverifiable, 0);
  EXPECT_EQ(report.repaired, stats.repaired);
  EXPECT_EQ(report.equal, report.windows);
}

TEST_F(RedrivenHopping, LettersAreInAllOfTheirWindows) {
  const RedriveStats stats = redrive(false);
  EXPECT_GT(stats.windows, 2 * stats.repaired / 3);
  const VerifyReport report = world_.verify();
  EXPECT_TRUE(report.good()) << report_text(report);
  EXPECT_EQ(report.repaired, stats.repaired);
}

TEST_F(Redriven, LateReadingMayBeTakenAndIsCompared) {
  redrive(false);
  const VerifyReport before = world_.verify();
  const RedriveStats stats = redrive(true);
  EXPECT_GT(stats.repaired, 3);
  const VerifyReport report = world_.verify();
  EXPECT_TRUE(report.good()) << report_text(report);
  EXPECT_EQ(report.repaired, before.repaired + stats.repaired);
  EXPECT_EQ(report.counts, before.counts) << "they stay what they were when they came";
}

TEST_F(Redriven, LetterThatIsInTwiceOrNotAtAllIsFound) {
  redrive(false);
  const auto items = repaired_items();
  ASSERT_FALSE(items.empty());
  StoredItem item = items.front();
  item.image.aggregate.fold(Micro{41'000'000});
  world_.table.expire(item.key);
  world_.table.flush({where_of(0), {}, {{item.key, item.window_end, item.image, std::nullopt}}, {}});
  EXPECT_EQ(world_.verify().different, 1);
  // The fence alone, without the reading, and the reading alone, without the fence.
  item = items.front();
  item.image.fences.set("telemetry@1/0!", Fence{});
  world_.table.expire(item.key);
  world_.table.flush({where_of(0), {}, {{item.key, item.window_end, item.image, std::nullopt}}, {}});
  const VerifyReport report = world_.verify();
  EXPECT_EQ(report.different, 1) << report_text(report);
  EXPECT_GT(report.dead_letters_extra, 0);
}

// ---- What cannot be known is said.

TEST_F(Tampered, RetentionMakesWindowsUnverifiableRatherThanWrong) {
  const VerifyReport report = verify(world_.table, world_.definition, world_.log_list(), Offset{120});
  EXPECT_TRUE(report.good()) << report_text(report);
  EXPECT_GT(report.unverifiable, 0);
  EXPECT_GT(report.equal, 0);
  EXPECT_EQ(report.windows, report.equal + report.unverifiable);
  EXPECT_EQ(report.partly.size(), 2U);
  EXPECT_NE(report_text(report).find("folded from offset 0, but retention left only those from 120"),
            std::string::npos);
}

TEST_F(Tampered, CompactionMakesWindowsUnverifiableRatherThanWrong) {
  const auto verify_log = [&](std::optional<bool> compacted) {
    return verify(world_.table, world_.definition, world_.log_list(), Offset{0}, compacted);
  };
  const std::size_t before = world_.logs[0].records().size();
  for (Log& log : world_.logs) log.remove_every(3);
  const VerifyReport report = verify_log(true);
  EXPECT_TRUE(report.good()) << report_text(report);
  EXPECT_GT(report.unverifiable, 0);
  EXPECT_EQ(report.windows, report.equal + report.unverifiable);
  ASSERT_EQ(report.partly.size(), 2U);
  EXPECT_EQ(report.partly[0],
            fmt::format("telemetry@1/0: {} of the {} records that were folded are not in the log any more: "
                        "the topic is compacted",
                        before / 3, before));
  // The same log of a topic that is not compacted lost them in another way, or never had them.
  EXPECT_FALSE(verify_log(false).good());
  EXPECT_TRUE(verify_log(false).partly.empty());
  const VerifyReport unknown = verify_log(std::nullopt);
  EXPECT_FALSE(unknown.good());
  EXPECT_EQ(unknown.unverifiable, 0);
  EXPECT_NE(report_text(unknown).find("not in the log any more: is the topic compacted?"), std::string::npos);
}

TEST_F(Tampered, CompactedTopicThatLostNothingYetIsComparedAsAnyOther) {
  StoredItem item = some_item();
  item.image.aggregate.sum += 1;
  replace(item);
  const VerifyReport report = verify(world_.table, world_.definition, world_.log_list(), Offset{0}, true);
  EXPECT_EQ(report.different, 1) << report_text(report);
  EXPECT_EQ(report.unverifiable, 0);
  EXPECT_TRUE(report.partly.empty());
}

TEST_F(Tampered, WhatAnotherGenerationBroughtIsUnverifiable) {
  StoredItem item = some_item();
  const Fences before = item.image.fences;
  item.image.aggregate.fold(Micro{1});
  item.image.fences.set("telemetry@2/0", Fence{Offset{5}, {}});
  put(item, before);
  const VerifyReport report = world_.verify();
  EXPECT_TRUE(report.good()) << report_text(report);
  EXPECT_EQ(report.unverifiable, 1);
}

TEST_F(Tampered, ALogThatEndsTooEarlyIsAnotherLog) {
  auto verifier = Verifier::load(world_.table, world_.definition, kTopic);
  ASSERT_TRUE(verifier.ok());
  const std::vector<LogExtent> logs{world_.logs[0].extent(0), {PartitionId{1}, Offset{0}, Offset{20}}};
  const auto plan = (*verifier)->plan(logs);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().kind, ErrorKind::kData);
  EXPECT_NE(plan.error().message.find("telemetry@1/1"), std::string::npos) << plan.error().message;
  EXPECT_FALSE((*verifier)->plan(std::span(logs).first(1)).ok());
}

TEST_F(Tampered, ATopicThatTheTableDoesNotHoldIsNamedBesideThoseItHas) {
  const auto other = Verifier::load(world_.table, world_.definition, "other");
  ASSERT_FALSE(other.ok());
  EXPECT_NE(other.error().message.find("it has: telemetry"), std::string::npos) << other.error().message;
  Definition batch = world_.definition;
  batch.kind = WindowKind::kBatch;
  EXPECT_EQ(Verifier::load(world_.table, batch, kTopic).error().kind, ErrorKind::kData);
}

TEST(VerifyJson, IsOneObjectWithHostileTextEscaped) {
  VerifyReport report;
  report.windows = 3;
  report.different = 1;
  report.differences = {"different: device \"x\""};
  report.differences_total = 1;
  EXPECT_EQ(report_json(report),
            R"({"windows":3,"equal":0,"different":1,"missing":0,"extra":0,"open":0,"unverifiable":0,"dead_letters":0,)"
            R"("late":0,"records":0,"partitions":0,"repaired":0,"good":false,"not_fully_verifiable":[],)"
            R"("differences":["different: device \"x\""]})");
}

}  // namespace
}  // namespace culvert::oracle
