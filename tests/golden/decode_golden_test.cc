// SPDX-License-Identifier: Apache-2.0
// Runs the cases of tests/golden/decode and tests/golden/poison.txt against the JSON decoder.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>

#include "decode/json_decoder.h"
#include "golden.h"

namespace culvert {
namespace {

std::string outcome(DeadLetterReason reason, const Reading& reading) {
  if (reason != DeadLetterReason::kNone) return std::string(reason_name(reason));
  return fmt::format("reading {} {} {}", reading.device.to_text(), format_utc(reading.event_time),
                     format_micro(reading.value));
}

class CaseRun {
 public:
  explicit CaseRun(const golden::Case& each) : case_(each) {
    for (const golden::Line& line : case_.lines) {
      if (line.keyword != "definition") continue;
      const auto definition = golden::definition_with(line.text);
      EXPECT_TRUE(definition.ok()) << case_.where(line) << ": " << definition.error().message;
      if (definition) definition_ = *definition;
    }
    decoder_.emplace(definition_);
    general_.emplace(definition_, ShapedPath::kOff);
  }

  // How many records were compared with what is expected of them.
  int run() {
    for (const golden::Line& line : case_.lines) {
      SCOPED_TRACE(case_.where(line) + " " + case_.name);
      step(line);
    }
    EXPECT_FALSE(pending_) << case_.name << ": nothing is expected of the last record";
    return compared_;
  }

 private:
  void step(const golden::Line& line) {
    if (line.keyword == "definition") return;
    if (line.keyword == "timestamp") {
      set_timestamp(line.text);
    } else if (line.keyword == "record" || line.keyword == "tombstone") {
      decode(line);
    } else if (line.keyword == "expect") {
      EXPECT_TRUE(pending_) << "no record";
      EXPECT_EQ(outcome_, line.text);
      EXPECT_EQ(general_outcome_, line.text) << "(without the shaped path)";
      pending_ = false;
      ++compared_;
    } else if (line.keyword == "detail") {
      EXPECT_EQ(decoder_->detail(), line.text);
      EXPECT_EQ(general_->detail(), line.text) << "(without the shaped path)";
    } else {
      ADD_FAILURE() << "unknown keyword " << line.keyword;
    }
  }

  void set_timestamp(const std::string& text) {
    timestamp_.reset();
    if (text == "none") return;
    const auto time = parse_utc(text);
    ASSERT_TRUE(time.has_value()) << text;
    timestamp_ = RecordTime{time->value()};
  }

  void decode(const golden::Line& line) {
    EXPECT_FALSE(pending_) << "nothing is expected of the record before";
    Record record{Offset{0}, timestamp_, std::nullopt, std::nullopt};
    if (line.keyword == "record") {
      auto bytes = golden::unescape(line.text);
      ASSERT_TRUE(bytes.ok()) << bytes.error().message;
      bytes_ = std::move(bytes).value();
      record.value = bytes_;
    }
    Reading reading;
    const DeadLetterReason reason = decoder_->decode(record, reading);
    outcome_ = outcome(reason, reading);
    const DeadLetterReason general = general_->decode(record, reading);
    general_outcome_ = outcome(general, reading);
    pending_ = true;
  }

  const golden::Case& case_;
  Definition definition_;
  std::optional<JsonDecoder> decoder_;
  std::optional<JsonDecoder> general_;
  std::optional<RecordTime> timestamp_;
  std::string bytes_;
  std::string outcome_;
  std::string general_outcome_;
  bool pending_ = false;
  int compared_ = 0;
};

void run_all(const Result<std::vector<golden::Case>>& cases) {
  ASSERT_TRUE(cases.ok()) << cases.error().message;
  int compared = 0;
  for (const golden::Case& each : *cases) {
    const int records = CaseRun(each).run();
    EXPECT_GT(records, 0) << each.name;
    compared += records;
  }
  ::testing::Test::RecordProperty("records", compared);
}

const std::filesystem::path kFolder = CULVERT_GOLDEN_FOLDER;

TEST(DecodeGolden, Cases) { run_all(golden::read_golden_folder(kFolder / "decode")); }

TEST(DecodeGolden, Poison) { run_all(golden::read_golden(kFolder / "poison.txt")); }

// One decoder reads all of the poison, each record between two good ones: what was refused must leave no trace.
TEST(DecodeGolden, PoisonLeavesNoTrace) {
  const auto cases = golden::read_golden(kFolder / "poison.txt");
  ASSERT_TRUE(cases.ok());
  const std::string good = R"({"device_id": 17, "timestamp": "2023-05-01T12:00:00.123456", "temperature": 21.5})";
  JsonDecoder decoder(Definition{});
  int records = 0;
  for (const golden::Case& each : *cases) {
    for (const golden::Line& line : each.lines) {
      if (line.keyword != "record") continue;
      const auto bytes = golden::unescape(line.text);
      ASSERT_TRUE(bytes.ok());
      Reading reading;
      decoder.decode(Record{Offset{0}, std::nullopt, std::nullopt, *bytes}, reading);
      const auto reason = decoder.decode(Record{Offset{0}, std::nullopt, std::nullopt, good}, reading);
      EXPECT_EQ(outcome(reason, reading), "reading 17 2023-05-01T12:00:00.123Z 21.5") << each.name;
      ++records;
    }
  }
  EXPECT_GT(records, 50);
}

TEST(GoldenFormat, Unescape) {
  EXPECT_EQ(golden::unescape(R"({"a\u0041\"\\":"\x41\x00"})").value(),
            std::string("{\"a\\u0041\\\"\\\\\":\"A\0\"}", 20));
  EXPECT_EQ(golden::unescape(R"(\*3(ab\x29)c\*0(x))").value(), "ab)ab)ab)c");
  for (const char* bad : {R"(\x4)", R"(\xzz)", R"(\x)", R"(\*(a))", R"(\*3)", R"(\*99999999999(a))", R"(\*-1(a))"}) {
    EXPECT_FALSE(golden::unescape(bad).ok()) << bad;
  }
}

TEST(GoldenFormat, MalformedFilesAreRefused) {
  EXPECT_TRUE(golden::parse_golden("# c\n\ncase: a\nabout: b\nrecord: c\n", "f").ok());
  for (const char* bad : {"record: c\n", "case: a\nrecord: c\n", "case: a\nabout: b\n", "case: a\nabout: b\nc\n",
                          "case: a\nabout: b\nrecord:c\n", "case: a\nabout: b\nrecord: c \n",
                          "case: a\nabout: b\nx: c\ncase: a\nabout: b\nx: c\n", "case:\nabout: b\nx: c\n"}) {
    EXPECT_FALSE(golden::parse_golden(bad, "f").ok()) << bad;
  }
  EXPECT_FALSE(golden::read_golden(kFolder / "absent.txt").ok());
  EXPECT_FALSE(golden::read_golden_folder(kFolder / "absent").ok());
}

}  // namespace
}  // namespace culvert
