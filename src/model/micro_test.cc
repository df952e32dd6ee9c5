// SPDX-License-Identifier: Apache-2.0
#include "model/micro.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <limits>
#include <string>

namespace culvert {
namespace {

std::string read(std::string_view text) {
  Micro value;
  switch (parse_micro(text, value)) {
    case MicroParse::kOk:
      return format_micro(value);
    case MicroParse::kNotANumber:
      return "not a number";
    case MicroParse::kOutOfRange:
      return "out of range";
  }
  return "";
}

TEST(ParseMicro, KeepsSixDigitsExactly) {
  EXPECT_EQ(read("21"), "21");
  EXPECT_EQ(read("21.50"), "21.5");
  EXPECT_EQ(read("-0.000001"), "-0.000001");
  EXPECT_EQ(read("-0"), "0");
  EXPECT_EQ(read("0e999999999999999999999"), "0");
  EXPECT_EQ(read("1e3"), "1000");
  EXPECT_EQ(read("1234567e-6"), "1.234567");
  EXPECT_EQ(read("1E+9"), "1000000000");
}

TEST(ParseMicro, RoundsHalfToEven) {
  EXPECT_EQ(read("0.0000005"), "0");
  EXPECT_EQ(read("0.0000015"), "0.000002");
  EXPECT_EQ(read("0.0000025"), "0.000002");
  EXPECT_EQ(read("0.00000250000000000000000000000000001"), "0.000003");
  EXPECT_EQ(read("-0.0000015"), "-0.000002");
  EXPECT_EQ(read("5e-7"), "0");
  EXPECT_EQ(read("5.1e-7"), "0.000001");
  EXPECT_EQ(read("9e-8"), "0");
  EXPECT_EQ(read("1e-400"), "0");
}

TEST(ParseMicro, RefusesValuesBeyondAThousandMillion) {
  EXPECT_EQ(read("1000000000"), "1000000000");
  EXPECT_EQ(read("1000000000.0000005"), "1000000000");  // rounds to even, which is the limit itself
  EXPECT_EQ(read("1000000000.0000006"), "out of range");
  EXPECT_EQ(read("-1000000001"), "out of range");
  EXPECT_EQ(read("1e400"), "out of range");
  EXPECT_EQ(read("18446744073709551616"), "out of range");
  EXPECT_EQ(read("1e99999999999999999999999"), "out of range");
}

TEST(ParseMicro, RefusesWhatIsNotAJsonNumber) {
  for (const char* text : {"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "NaN", "Infinity", "0x10", "1 ", "1,5"}) {
    EXPECT_EQ(read(text), "not a number") << text;
  }
}

RC_GTEST_PROP(MicroProperty, PrintedTextReadsBack, (std::int64_t raw)) {
  const Micro value{raw % (kMicroMost.value() + 1)};
  Micro back;
  RC_ASSERT(parse_micro(format_micro(value), back) == MicroParse::kOk);
  RC_ASSERT(back == value);
}

RC_GTEST_PROP(MicroProperty, ScaledTextReadsBack, (std::int64_t high, std::uint64_t low)) {
  const Int128 value = static_cast<Int128>(high) * (Int128{1} << 62) + static_cast<Int128>(low >> 2);
  for (const int digits : {0, 6, 12, 38}) {
    RC_ASSERT(parse_scaled(format_scaled(value, digits), digits) == value);
  }
}

TEST(FormatScaled, PrintsTheExtremes) {
  const Int128 most = static_cast<Int128>(~UInt128{0} >> 1);
  EXPECT_EQ(format_scaled(most, 0), "170141183460469231731687303715884105727");
  EXPECT_EQ(format_scaled(-most - 1, 0), "-170141183460469231731687303715884105728");
  EXPECT_EQ(parse_scaled("-170141183460469231731687303715884105728", 0), -most - 1);
  EXPECT_EQ(parse_scaled("170141183460469231731687303715884105728", 0), std::nullopt);
  EXPECT_EQ(parse_scaled("1.5", 0), std::nullopt);
  EXPECT_EQ(parse_scaled("1e5", 6), std::nullopt);
}

TEST(DivideHalfEven, RoundsTiesToEvenOnBothSidesOfZero) {
  EXPECT_EQ(divide_half_even(1, 2), Int128{0});
  EXPECT_EQ(divide_half_even(3, 2), Int128{2});
  EXPECT_EQ(divide_half_even(5, 2), Int128{2});
  EXPECT_EQ(divide_half_even(-1, 2), Int128{0});
  EXPECT_EQ(divide_half_even(-3, 2), Int128{-2});
  EXPECT_EQ(divide_half_even(7, 3), Int128{2});
  EXPECT_EQ(divide_half_even(-8, 3), Int128{-3});
}

}  // namespace
}  // namespace culvert
