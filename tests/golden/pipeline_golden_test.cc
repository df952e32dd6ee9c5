// SPDX-License-Identifier: Apache-2.0
// Runs the cases of tests/golden/pipeline: records through decoder, pipeline and an in-memory table, and what must be
// in it.  The head of pipeline/windows.txt says what the lines mean.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <charconv>
#include <deque>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "decode/json_decoder.h"
#include "fakes/memory_table.h"
#include "golden.h"
#include "pipeline/function_batch.h"
#include "pipeline/pipeline_driver.h"

namespace culvert {
namespace {

using fakes::MemoryTable;

constexpr std::string_view kDay = "2023-05-01T";

// `12:00:05` or `12:00:05.250`, of the day that all cases are of.
std::string short_time(EventTime time) {
  std::string text = format_utc(time);
  if (text.starts_with(kDay)) text.erase(0, kDay.size());
  const bool whole = text.ends_with(".000Z");
  text.erase(text.size() - (whole ? 5 : 1));
  return text;
}

std::optional<EventTime> parse_short_time(const std::string& text) {
  return parse_utc(fmt::format("{}{}", kDay, text));
}

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> all;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    if (end > at) all.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return all;
}

std::int64_t number(const std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  EXPECT_TRUE(error == std::errc{} && end == text.data() + text.size()) << "'" << text << "' is no number";
  return value;
}

// One partition's log and its reader.
struct Partition {
  StreamPartition where;
  std::vector<Record> log;
  std::int64_t next = 0;
  std::unique_ptr<PipelineDriver> driver;
};

class CaseRun {
 public:
  explicit CaseRun(const golden::Case& each) : case_(each) {}

  // How many groups of expectations were compared.
  int run() {
    for (const golden::Line& line : case_.lines) {
      SCOPED_TRACE(case_.where(line) + " " + case_.name);
      if (expects(line)) {
        expected_[line.keyword == "nothing" ? "window" : line.keyword] += line.text.empty() ? "" : line.text + "\n";
        continue;
      }
      compare();
      act(line);
      if (::testing::Test::HasFatalFailure()) return compared_;
    }
    SCOPED_TRACE(case_.file + " " + case_.name);
    compare();
    return compared_;
  }

 private:
  static bool expects(const golden::Line& line) {
    return line.keyword == "window" || line.keyword == "nothing" || line.keyword == "dead-letter" ||
           line.keyword == "checkpoint";
  }

  void act(const golden::Line& line) {
    if (line.keyword == "definition") {
      auto definition = golden::definition_with(line.text);
      ASSERT_TRUE(definition.ok()) << definition.error().message;
      options_.definition = *std::move(definition);
    } else if (line.keyword == "emission") {
      ASSERT_TRUE(line.text == "early" || line.text == "final");
      options_.emission = line.text == "final" ? Emission::kFinal : Emission::kEarly;
    } else if (line.keyword == "partition") {
      at_ = static_cast<std::int32_t>(number(line.text));
    } else if (line.keyword == "timestamp") {
      const auto time = parse_short_time(line.text);
      ASSERT_TRUE(time) << line.text;
      timestamp_ = RecordTime{time->value()};
    } else if (line.keyword == "reading" || line.keyword == "record" || line.keyword == "tombstone") {
      append(line);
    } else if (line.keyword == "gap") {
      partition().next += number(line.text);
    } else if (line.keyword == "read") {
      read(partition());
    } else if (line.keyword == "flush") {
      flush(partition());
    } else if (line.keyword == "restart") {
      start(partition(), Offset{0});
    } else if (line.keyword == "function") {
      run_function(line);
    } else {
      FAIL() << "unknown keyword " << line.keyword;
    }
  }

  Decoder& decoder() {
    if (!decoder_) decoder_ = std::make_unique<JsonDecoder>(options_.definition);
    return *decoder_;
  }

  Partition& partition() {
    Partition& found = partitions_[at_];
    found.where = StreamPartition{"sensors", 1, PartitionId{at_}};
    return found;
  }

  void append(const golden::Line& line) {
    Record record{Offset{partition().next++}, timestamp_, {}, {}};
    if (line.keyword == "reading") {
      const auto parts = words(line.text);
      ASSERT_EQ(parts.size(), 3U) << "reading: DEVICE TIME VALUE";
      bytes_.push_back(fmt::format(R"({{"device_id": {}, "timestamp": "{}{}Z", "temperature": {}}})", parts[0], kDay,
                                   parts[1], parts[2]));
      record.value = bytes_.back();
    } else if (line.keyword == "record") {
      auto bytes = golden::unescape(line.text);
      ASSERT_TRUE(bytes.ok()) << bytes.error().message;
      bytes_.push_back(*std::move(bytes));
      record.value = bytes_.back();
    }
    partition().log.push_back(record);
  }

  void start(Partition& p, Offset load_before) {
    p.driver = std::make_unique<PipelineDriver>(table_, options_, decoder(), p.where);
    const auto started = p.driver->start({}, load_before);
    ASSERT_TRUE(started.ok()) << started.error().message;
  }

  void read(Partition& p) {
    if (!p.driver) start(p, Offset{0});
    std::vector<Record> unread;
    for (const Record& record : p.log) {
      if (record.offset >= p.driver->pipeline().read_next()) unread.push_back(record);
    }
    const auto piped = p.driver->pipe(unread);
    ASSERT_TRUE(piped.ok()) << piped.error().message;
  }

  // As a daemon does: when others have folded some of it, everything since the checkpoint is read again.
  void flush(Partition& p) {
    for (int attempt = 0; attempt < 10; ++attempt) {
      read(p);
      const auto flushed = p.driver->flush();
      ASSERT_TRUE(flushed.ok()) << flushed.error().message;
      if (*flushed) return;
      start(p, p.driver->pipeline().read_next());
    }
    FAIL() << "a flush did not end";
  }

  void run_function(const golden::Line& line) {
    const auto parts = words(line.text);
    ASSERT_EQ(parts.size(), 2U) << "function: FIRST NEXT";
    std::vector<Record> batch;
    for (const Record& record : partition().log) {
      if (record.offset >= Offset{number(parts[0])} && record.offset < Offset{number(parts[1])})
        batch.push_back(record);
    }
    ASSERT_FALSE(batch.empty());
    const auto stats = fold_function_batch(table_, options_, decoder(), partition().where, batch,
                                           [](int attempt, const Error&) { return attempt < 10; });
    ASSERT_TRUE(stats.ok()) << stats.error().message;
  }

  void compare() {
    if (expected_.empty()) return;
    EXPECT_EQ(windows(), expected_["window"]);
    EXPECT_EQ(dead_letters(), expected_["dead-letter"]);
    EXPECT_EQ(checkpoints(), expected_["checkpoint"]);
    expected_.clear();
    ++compared_;
  }

  std::string windows() {
    std::string text;
    const auto scanned = table_.scan_items({}, [&](const StoredItem& item) {
      const Accumulator& a = item.image.aggregate;
      const Summary summary = summarize(a);
      text += fmt::format("{} {} {} count={} sum={} mean={} min={} max={} stddev={}\n", item.key.device.to_text(),
                          short_time(item.key.window_start), short_time(item.window_end), a.count,
                          format_scaled(a.sum, 6), format_micro(summary.mean), format_micro(a.min), format_micro(a.max),
                          format_micro(summary.stddev));
      return true;
    });
    EXPECT_TRUE(scanned.ok());
    return text;
  }

  std::string dead_letters() {
    std::string text;
    const auto scanned = table_.scan_dead_letters([&](const DeadLetter& letter) {
      text += fmt::format("{} {} {} {}\n", letter.where.partition.value(), letter.offset.value(),
                          reason_name(letter.reason), letter.detail);
      return true;
    });
    EXPECT_TRUE(scanned.ok());
    return text;
  }

  std::string checkpoints() {
    std::string text;
    const auto stored = table_.checkpoints();
    for (const auto& [where, checkpoint] : *stored) {
      const Counts& c = checkpoint.progress.counts;
      const auto& newest = checkpoint.progress.max_event_time;
      text += fmt::format("{} next={} records={} folded={} late={} dead={} newest={}", where.partition.value(),
                          checkpoint.next.value(), c.records, c.folded, c.late, c.dead_letters,
                          newest ? short_time(*newest) : "none");
      const char* separator = " ranges=";
      for (const CoveredRange& range : checkpoint.ranges) {
        text += fmt::format("{}{}-{}", separator, range.offsets.first.value(), range.offsets.next.value());
        separator = ",";
      }
      text += '\n';
    }
    return text;
  }

  const golden::Case& case_;
  PipelineOptions options_;
  MemoryTable table_;
  std::unique_ptr<JsonDecoder> decoder_;
  std::map<std::int32_t, Partition> partitions_;
  std::int32_t at_ = 0;
  std::optional<RecordTime> timestamp_;
  std::deque<std::string> bytes_;
  std::map<std::string, std::string> expected_;
  int compared_ = 0;
};

TEST(PipelineGolden, Cases) {
  const auto cases = golden::read_golden_folder(std::filesystem::path(CULVERT_GOLDEN_FOLDER) / "pipeline");
  ASSERT_TRUE(cases.ok()) << cases.error().message;
  for (const golden::Case& each : *cases) EXPECT_GT(CaseRun(each).run(), 0) << each.name << " expects nothing";
  EXPECT_GE(cases->size(), 20U);
}

}  // namespace
}  // namespace culvert
