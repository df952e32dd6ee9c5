// SPDX-License-Identifier: Apache-2.0
#include "model/time.h"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(FormatUtc, HasFixedWidthAndReadsBack) {
  EXPECT_EQ(format_utc(EventTime{0}), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_utc(EventTime{1'795'449'420'007}), "2026-11-23T15:57:00.007Z");
  EXPECT_EQ(format_utc(EventTime{253'402'300'799'999}), "9999-12-31T23:59:59.999Z");
  for (const std::int64_t ms : {0LL, 1LL, 1'795'449'420'007LL, 951'782'400'000LL, 253'402'300'799'999LL}) {
    EXPECT_EQ(parse_utc(format_utc(EventTime{ms})), EventTime{ms}) << ms;
  }
}

TEST(FormatUtc, HoppingWindowsMayStartBeforeTheEpoch) {
  EXPECT_EQ(format_utc(EventTime{-1}), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(format_utc(EventTime{-86'400'000}), "1969-12-31T00:00:00.000Z");
  EXPECT_EQ(parse_utc("1969-12-31T23:59:59.999Z"), EventTime{-1});
}

// A reading of the last minute of 9999 is one that is accepted, and its window has an end.
TEST(FormatUtc, WindowsOfTheLastReadingsEndInTheYearTenThousand) {
  EXPECT_EQ(format_utc(kEventTimeNext), "+010000-01-01T00:00:00.000Z");
  constexpr long long kSizeMost = 366LL * 86'400'000;
  for (const std::int64_t above : {0LL, 1LL, 60'000LL, kSizeMost - 1}) {
    const EventTime time{kEventTimeNext.value() + above};
    EXPECT_EQ(parse_utc(format_utc(time)), time) << format_utc(time);
  }
  EXPECT_FALSE(parse_utc("+002026-11-23T15:57:00.007Z")) << "no time has two texts";
  EXPECT_FALSE(parse_utc("+010002-01-01T00:00:00.000Z"));
  EXPECT_FALSE(parse_utc("+010000"));
  EXPECT_FALSE(parse_utc("+"));
}

TEST(ParseUtc, RefusesWhatIsNotATime) {
  EXPECT_FALSE(parse_utc(""));
  EXPECT_FALSE(parse_utc("2026-02-30T00:00:00Z"));
  EXPECT_FALSE(parse_utc("2026-01-01T24:00:00Z"));
  EXPECT_FALSE(parse_utc("2026-01-01T00:00:00+01:00"));
  EXPECT_FALSE(parse_utc("2026-01-01T00:00:00.1234Z"));
  EXPECT_FALSE(parse_utc("2026-01-01T00:00:00Zx"));
  EXPECT_TRUE(parse_utc("2026-01-01 00:00:00"));
}

TEST(Duration, ReadsUnitsAndSums) {
  EXPECT_EQ(parse_duration("250ms"), Millis{250});
  EXPECT_EQ(parse_duration("10s"), Millis{10'000});
  EXPECT_EQ(parse_duration("1h30m"), Millis{5'400'000});
  EXPECT_EQ(parse_duration("0s"), Millis{0});
  EXPECT_EQ(format_duration(Millis{90'000}), "1m30s");
  EXPECT_EQ(format_duration(Millis{0}), "0s");
  EXPECT_EQ(parse_duration(format_duration(Millis{86'461'001})), Millis{86'461'001});
}

TEST(Duration, RefusesBareNumbersSignsAndOverflow) {
  for (const char* text : {"", "10", "s", "-1s", "1.5s", "1y", "99999999999999999999s", "9000000000000h", "1s "}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

}  // namespace
}  // namespace culvert
