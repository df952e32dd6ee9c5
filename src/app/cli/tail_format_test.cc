// SPDX-License-Identifier: Apache-2.0
#include "app/cli/tail_format.h"

#include <gtest/gtest.h>

namespace culvert {
namespace {

Offset begin_at(std::string_view text, std::optional<Offset> at_time = std::nullopt) {
  return tail_offset(*parse_tail_start(text), Offset{100}, Offset{200}, at_time);
}

TEST(TailStart, EveryFormMeansAnOffset) {
  EXPECT_EQ(begin_at("beginning"), Offset{100});
  EXPECT_EQ(begin_at("end"), Offset{200});
  EXPECT_EQ(begin_at("150"), Offset{150});
  EXPECT_EQ(begin_at("-10"), Offset{190});
  EXPECT_EQ(begin_at("2026-11-23T15:57:00Z", Offset{170}), Offset{170});
  EXPECT_EQ(begin_at("2026-11-23T15:57:00Z"), Offset{200}) << "no record is that young";
  EXPECT_EQ(parse_tail_start("s@1700000000000")->time, RecordTime{1'700'000'000'000});
}

TEST(TailStart, OffsetsOutsideOfTheLogAreMovedIntoIt) {
  EXPECT_EQ(begin_at("7"), Offset{100});
  EXPECT_EQ(begin_at("300"), Offset{200});
  EXPECT_EQ(begin_at("-1000"), Offset{100});
  EXPECT_EQ(begin_at("-9223372036854775807"), Offset{100});
}

TEST(TailStart, AnythingElseIsRefused) {
  for (const char* text : {"", "first", "s@", "s@-1", "1.5", "-", "-9223372036854775808", "99999999999999999999"}) {
    EXPECT_EQ(parse_tail_start(text).has_value(), false) << text;
  }
}

TEST(FormatRecord, TextShowsPositionTimeKeyAndValue) {
  const Record record{Offset{12}, RecordTime{1'700'000'000'123}, "7", "{\"a\":1}"};
  EXPECT_EQ(format_record(RecordFormat::kText, "t", PartitionId{3}, record),
            "3:12  2023-11-14T22:13:20.123Z  7  {\"a\":1}\n");
  EXPECT_EQ(format_record(RecordFormat::kText, "t", PartitionId{3}, Record{Offset{12}, {}, {}, {}}),
            "3:12  -  (no key)  (tombstone)\n");
  EXPECT_EQ(format_record(RecordFormat::kText, "t", PartitionId{0}, Record{Offset{0}, {}, "k", "\x1b[2J"}),
            "0:0  -  k  \\x1b[2J\n")
      << "a record cannot move the cursor";
}

TEST(FormatRecord, JsonKeepsEveryByte) {
  const Record text{Offset{12}, RecordTime{5}, "7", "a\"b"};
  EXPECT_EQ(format_record(RecordFormat::kJson, "t", PartitionId{3}, text),
            R"({"topic":"t","partition":3,"offset":12,"timestamp":5,"key":"7","value":"a\"b"})"
            "\n");
  const Record bytes{Offset{12}, {}, "\xff", std::nullopt};
  EXPECT_EQ(format_record(RecordFormat::kJson, "t", PartitionId{3}, bytes),
            R"({"topic":"t","partition":3,"offset":12,"timestamp":null,"key_base64":"/w==","value":null})"
            "\n");
}

TEST(FormatRecord, ValueIsTheBareValue) {
  EXPECT_EQ(format_record(RecordFormat::kValue, "t", PartitionId{0}, Record{Offset{0}, {}, {}, "\xff\n"}), "\xff\n\n");
  EXPECT_EQ(format_record(RecordFormat::kValue, "t", PartitionId{0}, Record{Offset{0}, {}, {}, {}}), "");
}

}  // namespace
}  // namespace culvert
