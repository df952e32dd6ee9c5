// SPDX-License-Identifier: Apache-2.0
#include "app/options/values.h"

#include <gtest/gtest.h>

#include <limits>

namespace culvert {
namespace {

TEST(ParseCount, ReadsSuffixesExactly) {
  EXPECT_EQ(parse_count("0"), 0);
  EXPECT_EQ(parse_count("250"), 250);
  EXPECT_EQ(parse_count("10k"), 10'000);
  EXPECT_EQ(parse_count("1.5M"), 1'500'000);
  EXPECT_EQ(parse_count("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
}

TEST(ParseCount, RefusesFractionsOverflowAndText) {
  for (const char* text : {"", "1.5", "-1", "+1", "1e3", "9223372036854775808", "9223372036854776k", "k", ".5k", "1 k",
                           "1K", "1.0000001M"}) {
    EXPECT_EQ(parse_count(text), std::nullopt) << text;
  }
}

TEST(ParseBytes, KnowsBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_bytes("4096"), 4096);
  EXPECT_EQ(parse_bytes("64MiB"), 64 << 20);
  EXPECT_EQ(parse_bytes("64MB"), 64'000'000);
  EXPECT_EQ(parse_bytes("1.5GiB"), 3LL << 29);
  EXPECT_EQ(parse_bytes("64mib"), std::nullopt);
  EXPECT_EQ(parse_bytes("9000000TiB"), std::nullopt);
}

TEST(FormatBytes, IsReadBack) {
  for (const std::int64_t bytes : {0LL, 1LL, 1000LL, 1LL << 20, (1LL << 20) + 1, 3LL << 29, 1LL << 40}) {
    EXPECT_EQ(parse_bytes(format_bytes(bytes)), bytes) << format_bytes(bytes);
  }
  EXPECT_EQ(format_bytes(64 << 20), "64MiB");
}

TEST(ParseShare, ReadsDecimalsAndPercent) {
  EXPECT_EQ(parse_share_ppm("0.001"), 1000);
  EXPECT_EQ(parse_share_ppm("0.1%"), 1000);
  EXPECT_EQ(parse_share_ppm("1"), 1'000'000);
  EXPECT_EQ(parse_share_ppm("100%"), 1'000'000);
  for (const char* text : {"", "%", "1.1", "101%", "-0.1", "0.0000001"}) {
    EXPECT_EQ(parse_share_ppm(text), std::nullopt) << text;
  }
}

TEST(ParseTime, AppliesZoneOffsets) {
  EXPECT_EQ(parse_time("1970-01-01T00:00:01Z"), EventTime{1000});
  EXPECT_EQ(parse_time("1970-01-01T02:00:00+02:00"), EventTime{0});
  EXPECT_EQ(parse_time("1970-01-01T00:00:00.250-05:30"), EventTime{(5 * 60 + 30) * 60'000 + 250});
  EXPECT_EQ(parse_time("1970-01-01T00:00:00"), EventTime{0});
  for (const char* text : {"1970-01-01", "1970-01-01T00:00:00Z+01:00", "1970-01-01T00:00:00+1:00", "yesterday",
                           "1970-01-01T00:00:00+24:00", "1970-02-30T00:00:00Z"}) {
    EXPECT_EQ(parse_time(text), std::nullopt) << text;
  }
}

TEST(Format, GroupsDigitsAndScalesRates) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(1234), "1 234");
  EXPECT_EQ(format_count(-1234567), "-1 234 567");
  EXPECT_EQ(format_rate(12.4), "12/s");
  EXPECT_EQ(format_rate(4321.0), "4.3 k/s");
  EXPECT_EQ(format_rate(43210.0), "43 k/s");
  EXPECT_EQ(format_rate(1'234'567.0), "1.23 M/s");
}

}  // namespace
}  // namespace culvert
