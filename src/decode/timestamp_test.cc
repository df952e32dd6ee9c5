// SPDX-License-Identifier: Apache-2.0
#include "decode/timestamp.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <memory>
#include <string>

namespace culvert {
namespace {

// Reads `text` with more of a record behind it, in which there is room for whole words.
std::string read_in_record(TimestampReader& reader, const std::string& text) {
  const std::string record = text + "\", \"temperature\": 21.5}";
  EventTime time;
  const char* const end = reader.scan(record.data(), record.data() + record.size(), time);
  return end == record.data() + text.size() ? format_utc(time) : "refused";
}

// The text is copied to memory of exactly its size, so that a sanitizer sees a read beyond it.  What stands behind the
// text and what was read before must not matter.
std::string read(std::string_view text) {
  const auto bytes = std::make_unique<char[]>(text.size());
  std::copy(text.begin(), text.end(), bytes.get());
  TimestampReader reader;
  EventTime time;
  std::string outcome = reader.read({bytes.get(), text.size()}, time) ? format_utc(time) : "refused";
  TimestampReader other;
  EXPECT_EQ(read_in_record(other, std::string(text)), outcome) << text;
  EXPECT_EQ(read_in_record(other, std::string(text)), outcome) << text << " (again)";
  return outcome;
}

std::string epoch(std::string_view text, TimestampUnit unit = TimestampUnit::kSeconds) {
  EventTime time;
  return read_epoch(text, unit, time) ? std::to_string(time.value()) : "refused";
}

TEST(TimestampText, ReadsWhatTheReferenceWrites) {
  EXPECT_EQ(read("2023-05-01T12:00:00.123456"), "2023-05-01T12:00:00.123Z");
  EXPECT_EQ(read("2023-05-01T12:00:00"), "2023-05-01T12:00:00.000Z");
}

TEST(TimestampText, TakesThreeSeparatorsAndEveryZone) {
  EXPECT_EQ(read("2023-05-01t12:00:00z"), "2023-05-01T12:00:00.000Z");
  EXPECT_EQ(read("2023-05-01 12:00:00Z"), "2023-05-01T12:00:00.000Z");
  EXPECT_EQ(read("2023-05-01T00:00:00+05:30"), "2023-04-30T18:30:00.000Z");
  EXPECT_EQ(read("2023-05-01T23:59:59.5-23:59"), "2023-05-02T23:58:59.500Z");
  EXPECT_EQ(read("2023-05-01T12:00:00-00:00"), "2023-05-01T12:00:00.000Z");
}

TEST(TimestampText, DropsWhatLiesBelowMilliseconds) {
  EXPECT_EQ(read("2023-05-01T12:00:00.1"), "2023-05-01T12:00:00.100Z");
  EXPECT_EQ(read("2023-05-01T12:00:00.12"), "2023-05-01T12:00:00.120Z");
  EXPECT_EQ(read("2023-05-01T12:00:00.129999999"), "2023-05-01T12:00:00.129Z");
  EXPECT_EQ(read("2023-05-01T12:00:00.999999999Z"), "2023-05-01T12:00:00.999Z");
  EXPECT_EQ(read("2023-05-01T12:00:00.0009"), "2023-05-01T12:00:00.000Z");
  EXPECT_EQ(read("2023-05-01T12:00:00.00012345+00:01"), "2023-05-01T11:59:00.000Z");
}

TEST(TimestampText, LeapSecondIsTheNextSecond) {
  EXPECT_EQ(read("2016-12-31T23:59:60Z"), "2017-01-01T00:00:00.000Z");
  EXPECT_EQ(read("2016-12-31T23:59:60.25Z"), "2017-01-01T00:00:00.250Z");
  EXPECT_EQ(read("2017-01-01T08:59:60+09:00"), "2017-01-01T00:00:00.000Z");
  EXPECT_EQ(read("2016-12-31T23:59:61Z"), "refused");
  EXPECT_EQ(read("2016-12-31T23:59:60.123456"), "2017-01-01T00:00:00.123Z");
  EXPECT_EQ(read("2016-12-31T23:59:61.123456"), "refused");
}

TEST(TimestampText, KnowsTheCalendar) {
  EXPECT_EQ(read("2024-02-29T00:00:00Z"), "2024-02-29T00:00:00.000Z");
  EXPECT_EQ(read("2000-02-29T00:00:00Z"), "2000-02-29T00:00:00.000Z");
  EXPECT_EQ(read("2023-02-29T00:00:00Z"), "refused");
  EXPECT_EQ(read("2100-02-29T00:00:00Z"), "refused");
  EXPECT_EQ(read("2023-04-31T00:00:00Z"), "refused");
  EXPECT_EQ(read("2023-00-01T00:00:00Z"), "refused");
  EXPECT_EQ(read("2023-13-01T00:00:00Z"), "refused");
  EXPECT_EQ(read("2023-01-00T00:00:00Z"), "refused");
}

TEST(TimestampText, BoundsHoldAfterTheZone) {
  EXPECT_EQ(read("1970-01-01T00:00:00Z"), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(read("1969-12-31T23:59:59.999Z"), "refused");
  EXPECT_EQ(read("1969-12-31T23:59:60Z"), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(read("1970-01-01T00:00:00+00:01"), "refused");
  EXPECT_EQ(read("1969-12-31T23:00:00-01:00"), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(read("9999-12-31T23:59:59.999999999Z"), "9999-12-31T23:59:59.999Z");
  EXPECT_EQ(read("9999-12-31T23:59:60Z"), "refused");
  EXPECT_EQ(read("9999-12-31T23:59:59-00:01"), "refused");
}

TEST(TimestampText, RefusesEverythingElse) {
  for (const char* text : {"",
                           "2023-05-01",
                           "2023-05-01T12:00",
                           "2023-05-01T12:00Z",
                           "20230501T120000Z",
                           "2023-05-01T12:00:00.",
                           "2023-05-01T12:00:00.Z",
                           "2023-05-01T12:00:00,5",
                           "2023-05-01T12:00:00.1234567890",
                           "2023-05-01T24:00:00Z",
                           "2023-05-01T12:60:00Z",
                           "2023-05-01T12:00:00+0530",
                           "2023-05-01T12:00:00+05",
                           "2023-05-01T12:00:00+24:00",
                           "2023-05-01T12:00:00+05:60",
                           "2023-05-01T12:00:00ZZ",
                           "2023-05-01T12:00:00 Z",
                           " 2023-05-01T12:00:00Z",
                           "2023-05-01T12:00:00Z ",
                           "2023-05-01X12:00:00Z",
                           "2023/05/01T12:00:00Z",
                           "2023-05-01T12-00-00Z",
                           "23-05-01T12:00:00Z",
                           "+2023-05-01T12:00:00Z",
                           "2023-5-1T12:00:00Z",
                           "2023-05-01T1:00:00Z",
                           "2023-05-01T12:00:00.12345678901234567890",
                           "2023-05-01T12:00:00+05:3",
                           "-023-05-01T12:00:00Z",
                           "2023-05-01T12:00:0/Z",
                           "2023-05-01T12:00:0:Z",
                           "2023-05-01T12:\xb0\xb0:00Z",
                           "202:-05-01T12:00:00Z"}) {
    EXPECT_EQ(read(text), "refused") << text;
  }
}

TEST(TimestampText, ScanStopsBehindTheTimeAndReadsNothingBeyondTheEnd) {
  const std::string text = "2023-05-01T12:00:00.123\", \"temperature\": 1}";
  TimestampReader reader;
  EventTime time;
  EXPECT_EQ(reader.scan(text.data(), text.data() + text.size(), time), text.data() + 23);
  for (std::size_t size = 0; size < 19; ++size) {
    EXPECT_EQ(reader.scan(text.data(), text.data() + size, time), nullptr) << size;
  }
}

TEST(TimestampText, AFaultyDateLeavesTheRememberedDayAlone) {
  TimestampReader reader;
  EventTime time;
  ASSERT_TRUE(reader.read("2023-05-01T00:00:01Z", time));
  EXPECT_FALSE(reader.read("2023-02-30T00:00:01Z", time));
  EXPECT_FALSE(reader.read("2023-02-30T00:00:01Z", time));
  ASSERT_TRUE(reader.read("2023-05-01T00:00:02Z", time));
  EXPECT_EQ(format_utc(time), "2023-05-01T00:00:02.000Z");
}

TEST(TimestampText, AFreshReaderRemembersNothing) {
  // The seconds are well formed; what a fresh reader holds in place of a minute must not be taken for one.
  EXPECT_EQ(read(std::string(16, '\0') + ":01.999"), "refused");
  EXPECT_EQ(read(std::string(16, '\xff') + ":01.999"), "refused");
  EXPECT_EQ(read("1970-01-01T00:00:01.999"), "1970-01-01T00:00:01.999Z");
}

// Counts days one by one, in the manner of a wall calendar: nothing in common with the code under test.
std::int64_t naive_ms(int year, int month, int day, std::int64_t in_day_ms) {
  static const auto kYearStarts = [] {
    std::array<std::int64_t, 10000> starts{};
    std::int64_t days = 0;
    for (std::size_t y = 1970; y < 10000; ++y) {
      starts.at(y) = days;
      days += (y % 4 == 0 && y % 100 != 0) || y % 400 == 0 ? 366 : 365;
    }
    return starts;
  }();
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  const std::array<int, 12> lengths{31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  std::int64_t days = kYearStarts.at(static_cast<std::size_t>(year)) + day - 1;
  for (int m = 1; m < month; ++m) days += lengths.at(static_cast<std::size_t>(m - 1));
  return days * 86'400'000 + in_day_ms;
}

RC_GTEST_PROP(TimestampTextProperty, AgreesWithACalendarCountedDayByDay, ()) {
  const int year = *rc::gen::inRange(1970, 10000);
  const int month = *rc::gen::inRange(1, 13);
  const int day = *rc::gen::inRange(1, 29);
  const int hour = *rc::gen::inRange(0, 24);
  const int minute = *rc::gen::inRange(0, 60);
  const int second = *rc::gen::inRange(0, 61);
  const int nanos = *rc::gen::inRange(0, 1'000'000'000);
  const int digits = *rc::gen::inRange(0, 10);
  const int zone_minutes = *rc::gen::inRange(-1439, 1440);
  const bool zone = *rc::gen::arbitrary<bool>();
  std::string text = fmt::format("{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}", year, month, day,
                                 *rc::gen::element('T', 't', ' '), hour, minute, second);
  const std::string fraction = fmt::format("{:09}", nanos).substr(0, static_cast<std::size_t>(digits));
  if (digits > 0) text += "." + fraction;
  const int z = zone_minutes < 0 ? -zone_minutes : zone_minutes;
  if (zone) text += fmt::format("{}{:02}:{:02}", zone_minutes < 0 ? '-' : '+', z / 60, z % 60);

  const std::int64_t ms = digits == 0 ? 0 : std::stoll((fraction + "000").substr(0, 3));
  const std::int64_t expected = naive_ms(year, month, day, ((hour * 60 + minute) * 60LL + second) * 1000 + ms) -
                                (zone ? zone_minutes * 60'000LL : 0);
  TimestampReader reader;
  EventTime time;
  const bool good = reader.read(text, time);
  RC_ASSERT(good == (expected >= 0 && expected < kEventTimeNext.value()));
  if (good) RC_ASSERT(time.value() == expected);
}

RC_GTEST_PROP(TimestampTextProperty, FormattedTimesReadBack, ()) {
  const EventTime written{*rc::gen::inRange<std::int64_t>(0, kEventTimeNext.value())};
  TimestampReader reader;
  EventTime time;
  RC_ASSERT(reader.read(format_utc(written), time));
  RC_ASSERT(time == written);
}

RC_GTEST_PROP(TimestampTextProperty, AMutatedByteNeverDependsOnTheRememberedDay, ()) {
  const EventTime written{*rc::gen::inRange<std::int64_t>(0, kEventTimeNext.value())};
  std::string text = format_utc(written);
  TimestampReader warm;
  EventTime warm_time;
  RC_ASSERT(warm.read(text, warm_time));
  text.at(*rc::gen::inRange<std::size_t>(0, text.size())) = *rc::gen::arbitrary<char>();
  TimestampReader cold;
  EventTime cold_time;
  const bool good = cold.read(text, cold_time);
  RC_ASSERT(warm.read(text, warm_time) == good);
  if (good) RC_ASSERT(warm_time == cold_time);
}

TEST(EpochNumber, ReadsSecondsAndMillisecondsExactly) {
  EXPECT_EQ(epoch("0"), "0");
  EXPECT_EQ(epoch("-0"), "0");
  EXPECT_EQ(epoch("-0.000e5"), "0");
  EXPECT_EQ(epoch("1682942400"), "1682942400000");
  EXPECT_EQ(epoch("1682942400.1239999999999999999999999"), "1682942400123");
  EXPECT_EQ(epoch("1682942400.1"), "1682942400100");
  EXPECT_EQ(epoch("1.6829424e9"), "1682942400000");
  EXPECT_EQ(epoch("16829424000000E-4"), "1682942400000");
  EXPECT_EQ(epoch("0.0009"), "0");
  EXPECT_EQ(epoch("0.001"), "1");
  EXPECT_EQ(epoch("1e-99999999999999999999"), "0");
  EXPECT_EQ(epoch("1682942400123.9", TimestampUnit::kMilliseconds), "1682942400123");
  EXPECT_EQ(epoch("0.00000000000000000000000000000000000000001682942400123e53", TimestampUnit::kMilliseconds),
            "1682942400123");
}

TEST(EpochNumber, RefusesWhatIsOutsideOf1970To9999) {
  EXPECT_EQ(epoch("253402300799.999999"), "253402300799999");
  EXPECT_EQ(epoch("253402300800"), "refused");
  EXPECT_EQ(epoch("253402300799999", TimestampUnit::kMilliseconds), "253402300799999");
  EXPECT_EQ(epoch("253402300800000", TimestampUnit::kMilliseconds), "refused");
  EXPECT_EQ(epoch("1e400"), "refused");
  EXPECT_EQ(epoch("1e99999999999999999999999"), "refused");
  EXPECT_EQ(epoch("18446744073709551616"), "refused");
  EXPECT_EQ(epoch("-0.0000000001"), "refused");  // rounds toward minus infinity: -1 ms
  EXPECT_EQ(epoch("-1"), "refused");
}

TEST(EpochNumber, RefusesWhatIsNotAJsonNumber) {
  for (const char* text : {"", "-", "+1", "01", "1.", ".5", "1e", "1 ", "NaN", "0x1"}) {
    EXPECT_EQ(epoch(text), "refused") << text;
  }
}

RC_GTEST_PROP(EpochNumberProperty, DecimalPointAndExponentMoveTogether, ()) {
  const std::int64_t micros = *rc::gen::inRange<std::int64_t>(0, kEventTimeNext.value() * 1000);
  const int shift = *rc::gen::inRange(0, 40);
  const std::string text =
      fmt::format("{}{}e-{}", micros, std::string(static_cast<std::size_t>(shift), '0'), 6 + shift);
  RC_ASSERT(epoch(text) == std::to_string(micros / 1000));
}

}  // namespace
}  // namespace culvert
