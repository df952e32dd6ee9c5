// SPDX-License-Identifier: Apache-2.0
// Dead letters of a decoder that could not read some records, redriven with one that can: each once, whatever happens.
#include "pipeline/redrive.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "decode/json_decoder.h"
#include "fakes/memory_table.h"
#include "fakes/older_decoder.h"
#include "pipeline/late_detail.h"
#include "pipeline/pipeline_driver.h"

namespace culvert {
namespace {

using fakes::MemoryTable;
using fakes::OlderDecoder;
using fakes::WriteFault;

const StreamPartition kWhere{"sensors", 1, PartitionId{0}};
const WaitForRetry kPatient = [](int attempt, const Error&) { return attempt < 10'000; };

Definition definition(bool hopping = false) {
  Definition d;
  d.kind = hopping ? WindowKind::kHopping : WindowKind::kTumbling;
  d.advance = Millis{10};
  d.size = Millis{hopping ? 30 : 10};
  d.allowed_lateness = Millis{1'000'000};
  d.timestamp_unit = TimestampUnit::kMilliseconds;
  return d;
}

struct Entry {
  std::int64_t device;
  std::int64_t time;
  std::int64_t value;
  bool poison = false;
};

class Log {
 public:
  explicit Log(const std::vector<Entry>& entries) {
    for (const Entry& e : entries) {
      bytes_.push_back(e.poison ? "{"
                                : fmt::format(R"({{"device_id": {}, "timestamp": {}, "temperature": {}}})", e.device,
                                              e.time, e.value));
      const auto offset = static_cast<std::int64_t>(records_.size());
      records_.push_back(Record{Offset{offset}, RecordTime{offset}, {}, bytes_.back()});
    }
  }
  [[nodiscard]] std::span<const Record> all() const { return records_; }

 private:
  std::deque<std::string> bytes_;
  std::vector<Record> records_;
};

std::string aggregates(MemoryTable& table) {
  std::string text;
  (void)table.scan_items({}, [&](const StoredItem& item) {
    const Accumulator& a = item.image.aggregate;
    text += fmt::format("{} {} {} {} {}\n", item.key.device.to_text(), item.key.window_start.value(), a.count,
                        format_scaled(a.sum, 6), format_scaled(a.sum_squares, 12));
    return true;
  });
  return text;
}

std::string fences(MemoryTable& table) {
  std::string text;
  (void)table.scan_items({}, [&](const StoredItem& item) {
    text += fences_text(item.image.fences) + "\n";
    return true;
  });
  return text;
}

void consume(MemoryTable& table, const Definition& d, Decoder& decoder, std::span<const Record> log) {
  PipelineOptions options;
  options.definition = d;
  PipelineDriver driver(table, options, decoder, kWhere);
  const auto done = driver.run(log, 7);
  CULVERT_CHECK(done.ok(), done.error().message);
}

// What a decoder makes of the whole log at once.
std::string fresh(const Definition& d, Decoder& decoder, std::span<const Record> log) {
  MemoryTable table;
  consume(table, d, decoder, log);
  return aggregates(table);
}

Result<RedriveStats> redrive(MemoryTable& table, const RedriveOptions& options, Decoder& decoder, bool check = true) {
  auto checkpoint = table.load_checkpoint(kWhere);
  CULVERT_CHECK(checkpoint.ok(), "no checkpoint");
  PartitionRedrive redrive(options, decoder, kWhere, *checkpoint);
  (void)table.scan_dead_letters([&](const DeadLetter& letter) {
    redrive.add(letter);
    return true;
  });
  if (check) {
    if (auto good = redrive.check(); !good) return good.error();
  }
  return redrive.run(table, kPatient);
}

RedriveOptions options_of(const Definition& d) {
  RedriveOptions options;
  options.definition = d;
  options.items_at_once = 3;
  return options;
}

std::vector<Entry> mixed(int count) {
  std::vector<Entry> entries;
  for (int i = 0; i < count; ++i) {
    entries.push_back({i % 3, i, i * 7 % 20, i % 11 == 0});
  }
  return entries;
}

TEST(Redrive, RepairedLettersAreInTheirWindowsAndASecondTimeChangesNothing) {
  for (const bool hopping : {false, true}) {
    const Definition d = definition(hopping);
    const Log log(mixed(200));
    OlderDecoder older(d, Micro{10'000'000});
    JsonDecoder now(d);
    MemoryTable table;
    consume(table, d, older, log.all());
    ASSERT_NE(aggregates(table), fresh(d, now, log.all()));
    const auto first = redrive(table, options_of(d), now);
    ASSERT_TRUE(first.ok()) << first.error().message;
    EXPECT_GT(first->repaired, 50);
    EXPECT_EQ(first->broken, 19) << "every eleventh";
    EXPECT_EQ(first->letters, first->repaired + first->broken);
    EXPECT_EQ(aggregates(table), fresh(d, now, log.all()));
    const std::string before = fences(table);
    const auto second = redrive(table, options_of(d), now);
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(second->repaired, 0);
    EXPECT_EQ(second->held, first->repaired);
    EXPECT_EQ(second->windows, 0);
    EXPECT_EQ(fences(table), before);
  }
}

TEST(Redrive, ManyRepairedLettersNeedNoHoles) {
  const Definition d = definition();
  std::vector<Entry> entries;
  for (int i = 0; i < 1'000; ++i) entries.push_back({i % 2, 5, i % 2 == 0 ? 15 : 1});
  const Log log(entries);
  OlderDecoder older(d, Micro{10'000'000});
  JsonDecoder now(d);
  MemoryTable table;
  consume(table, d, older, log.all());
  ASSERT_TRUE(redrive(table, options_of(d), now).ok());
  EXPECT_EQ(fences(table), "sensors@1/0!:999\nsensors@1/0:1000\n");
}

TEST(Redrive, LettersThatAreStillBrokenKeepTheirHole) {
  const Definition d = definition();
  const Log log({{1, 5, 15}, {1, 6, 25}, {1, 7, 15}, {1, 8, 25}});
  OlderDecoder oldest(d, Micro{10'000'000});
  OlderDecoder older(d, Micro{20'000'000});
  JsonDecoder now(d);
  MemoryTable table;
  consume(table, d, oldest, log.all());
  auto done = redrive(table, options_of(d), older);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->repaired, 2);
  EXPECT_EQ(fences(table), "sensors@1/0!:3[1-2]\n");
  done = redrive(table, options_of(d), now);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->repaired, 2);
  EXPECT_EQ(done->held, 2);
  EXPECT_EQ(fences(table), "sensors@1/0!:4\n");
  EXPECT_EQ(aggregates(table), fresh(d, now, log.all()));
}

TEST(Redrive, OnlyWhatACheckpointCoversTakesPart) {
  const Definition d = definition();
  const Log log(mixed(60));
  OlderDecoder older(d, Micro{10'000'000});
  JsonDecoder now(d);
  MemoryTable table;
  consume(table, d, older, log.all().first(30));
  ASSERT_EQ(
      table.flush({kWhere, {{kWhere, Offset{40}, {}, DeadLetterReason::kNotJson, "", {}, "{"}}, {}, {}}).dead_letters,
      PutStatus::kStored);
  const auto done = redrive(table, options_of(d), now);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->open, 1);
  EXPECT_EQ(aggregates(table), fresh(d, now, log.all().first(30)));
}

TEST(Redrive, ContradictionWithTheCheckpointIsRefused) {
  const Definition d = definition();
  const Log log(mixed(30));
  OlderDecoder older(d, Micro{10'000'000});
  JsonDecoder now(d);
  MemoryTable table;
  consume(table, d, older, log.all());
  // Written by a version that could not read it, ended before its checkpoint; then a newer one folded the record.
  table.flush({kWhere, {{kWhere, Offset{1}, {}, DeadLetterReason::kNotJson, "", {}, "{"}}, {}, {}});
  const std::string before = aggregates(table);
  const auto refused = redrive(table, options_of(d), now);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kData);
  EXPECT_EQ(aggregates(table), before);
}

TEST(Redrive, LateReadingsOnlyWhenAskedFor) {
  Definition d = definition();
  d.out_of_orderness = d.allowed_lateness = Millis{0};
  const Log log({{1, 5, 1}, {1, 500, 1}, {1, 7, 2}, {1, 510, 1}});
  JsonDecoder now(d);
  MemoryTable table;
  consume(table, d, now, log.all());
  auto options = options_of(d);
  auto done = redrive(table, options, now);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->late, 1);
  options.late = true;
  done = redrive(table, options, now);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->repaired, 1);
  d.allowed_lateness = Millis{1'000};
  EXPECT_EQ(aggregates(table), fresh(d, now, log.all()));
}

// With hopping windows a reading may be late for the first of its windows and in the others: only those that it missed
// take it.
TEST(Redrive, LateReadingsGoIntoTheHoppingWindowsThatTheyMissed) {
  Definition d = definition(true);
  d.out_of_orderness = d.allowed_lateness = Millis{0};
  const Log log({{1, 5, 1}, {1, 62, 1}, {1, 45, 2}, {1, 7, 3}, {1, 38, 4}, {1, 500, 1}, {1, 62, 5}});
  JsonDecoder now(d);
  MemoryTable table;
  consume(table, d, now, log.all());
  auto options = options_of(d);
  auto done = redrive(table, options, now);
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(done->late, 4);
  EXPECT_EQ(done->windows, 0);
  options.late = true;
  done = redrive(table, options, now);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->repaired, 4);
  Definition patient = d;
  patient.allowed_lateness = Millis{1'000};
  EXPECT_EQ(aggregates(table), fresh(patient, now, log.all()));
  done = redrive(table, options, now);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->held, 4);
  EXPECT_EQ(done->windows, 0);
  EXPECT_EQ(aggregates(table), fresh(patient, now, log.all()));
}

TEST(Redrive, TheDetailOfALateLetterSaysHowManyWindowsItMissed) {
  const Assigner assigner(definition(true));
  std::vector<Window> missed;
  for (std::int64_t i = 0; i < 200; ++i) {
    missed.push_back(assigner.window_at(EventTime{i * 10}));
    EXPECT_EQ(windows_missed(late_detail(missed, EventTime{10'000})), i + 1);
  }
  for (const char* text :
       {"", "window", "late", "and 3 more windows; x", "and x more windows", "and -1 more windows"}) {
    EXPECT_EQ(windows_missed(text), 0) << text;
  }
}

TEST(Redrive, ExpiredWindowDoesNotComeBack) {
  const Definition d = definition();
  const Log log({{1, 5, 15}, {1, 100'000, 1}, {1, 99'995, 15}});
  OlderDecoder older(d, Micro{10'000'000});
  JsonDecoder now(d);
  MemoryTable table;
  consume(table, d, older, log.all());
  auto options = options_of(d);
  options.expire_after = Millis{50'000};
  const auto done = redrive(table, options, now);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->expired, 1);
  EXPECT_EQ(done->repaired, 1);
  EXPECT_EQ(aggregates(table).find("1 0 "), std::string::npos);
}

// Versions that can read more and more, a daemon that goes on meanwhile, batches out of order, and a table that loses,
// delays, repeats and throttles: in the end everything that can be read is in, once.
RC_GTEST_PROP(RedriveProperty, EveryOrderAndEveryFaultGivesTheTableOfTheBestDecoder, ()) {
  const Definition d = definition(*rc::gen::arbitrary<bool>());
  const auto entries = *rc::gen::container<std::vector<Entry>>(rc::gen::construct<Entry>(
      rc::gen::inRange<std::int64_t>(1, 4), rc::gen::inRange<std::int64_t>(0, 60),
      rc::gen::inRange<std::int64_t>(0, 40), rc::gen::weightedElement<bool>({{9, false}, {1, true}})));
  const Log log(entries);
  // The workers never change their decoder: see PartitionRedrive::check.
  OlderDecoder oldest(d, Micro{10'000'000});
  OlderDecoder older(d, Micro{20'000'000});
  OlderDecoder old(d, Micro{30'000'000});
  JsonDecoder now(d);
  MemoryTable table{*rc::gen::element(MemoryTable::Shape::kOneByOne, MemoryTable::Shape::kTransactions)};
  const auto faults = *rc::gen::container<std::vector<WriteFault>>(
      rc::gen::element(WriteFault::kNone, WriteFault::kNone, WriteFault::kLost, WriteFault::kReplyLost,
                       WriteFault::kDelayed, WriteFault::kThrottled, WriteFault::kRepeated, WriteFault::kEchoed));
  std::size_t write = 0;
  table.set_faults([&](const fakes::Write&) { return write < faults.size() ? faults[write++] : WriteFault::kNone; });
  PipelineOptions options;
  options.definition = d;
  const auto steps = *rc::gen::container<std::vector<std::pair<int, std::size_t>>>(
      rc::gen::pair(rc::gen::inRange(0, 6), rc::gen::inRange<std::size_t>(0, 100)));
  for (const auto& [step, number] : steps) {
    Decoder* decoders[] = {&older, &old, &now};
    switch (step) {
      case 0: {  // a function's batch from anywhere
        const std::size_t first = number % (log.all().size() + 1);
        const auto batch = log.all().subspan(first, std::min<std::size_t>(log.all().size() - first, 5));
        if (batch.empty()) break;
        RC_ASSERT(fold_function_batch(table, options, oldest, kWhere, batch, kPatient).ok());
        break;
      }
      case 1: {
        PipelineDriver driver(table, options, oldest, kWhere);
        RC_ASSERT(driver.run(log.all().first(number % (log.all().size() + 1)), 3).ok());
        break;
      }
      case 2:
        table.release_delayed();
        break;
      default:
        RC_ASSERT(redrive(table, options_of(d), *decoders[step - 3]).ok());
    }
  }
  consume(table, d, oldest, log.all());
  RC_ASSERT(redrive(table, options_of(d), **rc::gen::element<Decoder*>(&older, &old)).ok());
  RC_ASSERT(redrive(table, options_of(d), now).ok());
  table.release_delayed();
  RC_ASSERT(aggregates(table) == fresh(d, now, log.all()));
  const std::string before = fences(table);
  const auto again = redrive(table, options_of(d), now);
  RC_ASSERT(again.ok());
  RC_ASSERT(again->repaired == 0);
  RC_ASSERT(fences(table) == before);
}

}  // namespace
}  // namespace culvert
