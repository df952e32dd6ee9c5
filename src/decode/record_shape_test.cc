// SPDX-License-Identifier: Apache-2.0
#include "decode/record_shape.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <vector>

#include "decode/json_decoder.h"

namespace culvert {
namespace {

constexpr RecordTime kRecordTime{1'682'942'400'000};  // 2023-05-01T12:00:00Z

// Decodes a copy that has exactly the value's size, so that a sanitizer sees a read beyond it.
std::string outcome(JsonDecoder& decoder, std::string_view value) {
  const auto bytes = std::make_unique<char[]>(value.size());
  std::copy(value.begin(), value.end(), bytes.get());
  const Record record{Offset{0}, kRecordTime, std::nullopt, std::string_view{bytes.get(), value.size()}};
  Reading reading;
  const DeadLetterReason reason = decoder.decode(record, reading);
  if (reason != DeadLetterReason::kNone) return fmt::format("{}: {}", reason_name(reason), decoder.detail());
  return fmt::format("{} {} {}", reading.device.to_text(), format_utc(reading.event_time), format_micro(reading.value));
}

// Reads `first` in general and then `second`; whether the shaped path took the second, which must change nothing.
bool shaped(std::string_view first, std::string_view second, const Definition& definition = {}) {
  JsonDecoder decoder(definition);
  JsonDecoder general(definition, ShapedPath::kOff);
  outcome(decoder, first);
  const auto before = decoder.general_count();
  EXPECT_EQ(outcome(decoder, second), outcome(general, second)) << second;
  return second.size() <= static_cast<std::size_t>(definition.record_bytes_max) && decoder.general_count() == before;
}

std::string with(std::string_view device, std::string_view timestamp = R"("2023-05-01T12:00:00.123456")",
                 std::string_view value = "21.5") {
  return fmt::format(R"({{"device_id": {}, "timestamp": {}, "temperature": {}}})", device, timestamp, value);
}

std::string with_timestamp(std::string_view timestamp) { return with("17", timestamp); }
std::string with_value(std::string_view value) { return with("17", R"("2023-05-01T12:00:00")", value); }

Definition text_keys() {
  Definition definition;
  definition.key_type = KeyType::kString;
  return definition;
}

Definition epoch(TimestampUnit unit) {
  Definition definition;
  definition.timestamp_unit = unit;
  return definition;
}

TEST(RecordShape, TakesTheReferencesRecords) {
  EXPECT_TRUE(shaped(with("17"), with("1", R"("2023-04-30T23:59:59")", "-0.25")));
  EXPECT_TRUE(shaped(R"({"device_id":17,"timestamp":"2023-05-01T12:00:00","temperature":21.5})",
                     R"({"device_id":123456789,"timestamp":"2023-05-01T12:00:00.000001","temperature":1234567})"));
}

TEST(RecordShape, TakesEveryOrderOfTheFieldsAndConstantNeighbours) {
  std::array<std::string_view, 3> order{R"("device_id":)", R"("temperature":)", R"("timestamp":)"};
  const auto text = [&](bool second) {
    std::string made = "{\"v\":[1,{\"a\":\"\\u0041\"}]";
    for (const std::string_view name : order) {
      made += ",";
      made += name;
      if (name[1] == 'd') made += second ? "2" : "12345678";
      if (name[2] == 'i') made += second ? "\"2023-05-01 11:00:00.1+01:00\"" : "\"2023-05-01T12:00:00Z\"";
      if (name[2] == 'e' && name[1] == 't') made += second ? "-7" : "0.123456789";
    }
    return made + "} \n";
  };
  int orders = 0;
  do {
    EXPECT_TRUE(shaped(text(false), text(true))) << text(true);
    EXPECT_TRUE(shaped(text(true), text(false))) << text(false);
    ++orders;
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(orders, 6);
}

TEST(RecordShape, TakesTextDevicesOfPlainAscii) {
  for (const char* device : {"\"a\"", "\"sensor-17\"", "\"eight888\"", "\"exactly sixteen!\"", "\"\x7f\""}) {
    EXPECT_TRUE(shaped(with("\"x\""), with(device), text_keys())) << device;
  }
  EXPECT_TRUE(shaped(with("\"x\""), with("\"" + std::string(256, 'y') + "\""), text_keys()));
  for (const char* device :
       {R"("")", R"("\u0041")", "\"\xc3\xa9\"", "\"\x01\"", "\"\xff\"", "17", "\"ab", "\"a\"b\""}) {
    EXPECT_FALSE(shaped(with("\"x\""), with(device), text_keys())) << device;
  }
  EXPECT_FALSE(shaped(with("\"x\""), with("\"" + std::string(257, 'y') + "\""), text_keys()));
}

TEST(RecordShape, TakesEpochNumbers) {
  for (const char* number : {"0", "1682942400", "1682942400.1", "1682942400.12", "1682942400.123456789", "0.0009"}) {
    EXPECT_TRUE(shaped(with_timestamp("1"), with_timestamp(number), epoch(TimestampUnit::kSeconds))) << number;
  }
  for (const char* number : {"1682942400123", "1682942400123.9"}) {
    EXPECT_TRUE(shaped(with_timestamp("1"), with_timestamp(number), epoch(TimestampUnit::kMilliseconds))) << number;
  }
  for (const char* number : {"-0", "-1", "01", "1.", "1e3", "253402300800", "9223372036854775", "9999999999999999",
                             "18446744073709551", "99999999999999999999", "\"1\"", ""}) {
    EXPECT_FALSE(shaped(with_timestamp("1"), with_timestamp(number), epoch(TimestampUnit::kSeconds))) << number;
  }
}

TEST(RecordShape, ReadsDevicesOf64Bits) {
  for (const char* device : {"0", "-1", "12345678", "123456789", "1234567890123456", "12345678901234567",
                             "-1234567890123456789", "9223372036854775807", "-9223372036854775807"}) {
    EXPECT_TRUE(shaped(with("1"), with(device))) << device;
  }
  for (const char* device :
       {"-0", "00", "01", "-01", "--1", "-", "", "1.0", "1e3", "9223372036854775808", "-9223372036854775808",
        "9999999999999999999", "18446744073709551616", "18446744073709551617", "100000000000000000000000000000000",
        "0123456789", "+1", " 1", "1 "}) {
    EXPECT_FALSE(shaped(with("1"), with(device))) << device;
  }
}

// Nothing of a record is left to chance by where it ends: the last value may be of any kind.
TEST(RecordShape, ReadsEveryKindOfValueAtTheEndOfTheRecord) {
  for (const char* device : {"1", "-12", "1234567", "12345678", "123456789", "1234567890123456789"}) {
    const auto text = [](std::string_view last) {
      return fmt::format(R"({{"temperature":1,"timestamp":"2023-05-01T12:00:00","device_id":{}}})", last);
    };
    EXPECT_TRUE(shaped(text("7"), text(device))) << device;
  }
  for (const char* number : {"1", "1.5", "1234567", "1682942400", "1682942400.5", "1682942400.123456789012"}) {
    const auto text = [](std::string_view last) {
      return fmt::format(R"({{"temperature":1,"device_id":1,"timestamp":{}}})", last);
    };
    EXPECT_TRUE(shaped(text("7"), text(number), epoch(TimestampUnit::kSeconds))) << number;
  }
}

TEST(RecordShape, ReadsAndRoundsValuesOfAnyFraction) {
  for (const char* value : {"0", "-0", "-0.0", "9999999", "-9999999.9999999", "0.0000005", "0.0000015", "0.00000151",
                            "0.000001500000000", "0.0000015000000001", "0.0000025", "21.473829103847562", "1.12345678",
                            "1.123456500", "1.1234565000000000000000000000000000001", "1.9999999", "-0.0000005"}) {
    EXPECT_TRUE(shaped(with_value("1"), with_value(value))) << value;
  }
  for (const char* value :
       {"", "-", "01", "00", "1.", ".5", "1e1", "1.5E1", "12345678", "--1", "NaN", "\"1\"", "null", "1.x", "1..5"}) {
    EXPECT_FALSE(shaped(with_value("1"), with_value(value))) << value;
  }
}

TEST(RecordShape, ADifferentByteAroundTheValuesIsLeftToTheGeneralPath) {
  const std::string text = with("17");
  JsonDecoder general(Definition{}, ShapedPath::kOff);
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (int c = 0; c < 256; ++c) {
      std::string changed = text;
      changed[at] = static_cast<char>(c);
      JsonDecoder decoder(Definition{});
      outcome(decoder, text);
      ASSERT_EQ(outcome(decoder, changed), outcome(general, changed)) << changed;
    }
  }
  EXPECT_FALSE(shaped(text, text + " "));
  EXPECT_FALSE(shaped(text + " ", text));
  EXPECT_FALSE(shaped(text, text.substr(0, text.size() - 1)));
  EXPECT_FALSE(shaped(text, ""));
}

TEST(RecordShape, TwoShapesMayAlternate) {
  JsonDecoder decoder(Definition{});
  const std::string spaced = with("17");
  const std::string compact = R"({"temperature":21.5,"timestamp":"2023-05-01T12:00:00","device_id":17})";
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(outcome(decoder, spaced), "17 2023-05-01T12:00:00.123Z 21.5");
    EXPECT_EQ(outcome(decoder, compact), "17 2023-05-01T12:00:00.000Z 21.5");
  }
  EXPECT_EQ(decoder.general_count(), 2U);
}

TEST(RecordShape, ARefusedRecordIsNotRemembered) {
  EXPECT_FALSE(shaped(with("1.5"), with("1")));
  EXPECT_FALSE(shaped(R"({"device_id": 1, "timestamp": "2023-05-01T12:00:00", "temperature": "x"})", with("1")));
}

TEST(RecordShape, ASkeletonBeyondItsLimitIsNotRemembered) {
  const auto padded = [](std::size_t pad) {
    return "{\"pad\":\"" + std::string(pad, 'x') + "\"," + with("17").substr(1);
  };
  EXPECT_TRUE(shaped(padded(900), padded(900)));
  EXPECT_FALSE(shaped(padded(1024), padded(1024)));
}

TEST(RecordShape, LimitsHoldOnTheShapedPath) {
  Definition small;
  small.record_bytes_max = 74;
  EXPECT_FALSE(shaped(with_value("21.5"), with_value("21.55555"), small));              // too large
  EXPECT_FALSE(shaped(with_value("21.5"), with_timestamp("\"9999-01-01T00:00:00\"")));  // future_event_time
}

std::string mutate(std::string text) {
  const int mutations = *rc::gen::inRange(0, 3);
  for (int i = 0; i < mutations && !text.empty(); ++i) {
    const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
    const char with =
        *rc::gen::oneOf(rc::gen::arbitrary<char>(), rc::gen::elementOf(std::string("0123456789.-+eE:,{}[]\"\\ TZtz")));
    switch (*rc::gen::inRange(0, 4)) {
      case 0:
        text[at] = with;
        break;
      case 1:
        text.insert(at, 1, with);
        break;
      case 2:
        text.erase(at, 1);
        break;
      default:
        text.resize(at);
    }
  }
  return text;
}

// A value near the edges of what the shaped path reads.
std::string number_text() {
  const auto digits = *rc::gen::container<std::string>(*rc::gen::inRange<std::size_t>(1, 20),
                                                       rc::gen::elementOf(std::string("0123456789059")));
  const auto point = *rc::gen::inRange<std::size_t>(1, 24);
  const std::string sign = *rc::gen::element<std::string>("", "", "-");
  return point < digits.size() ? sign + digits.substr(0, point) + "." + digits.substr(point) : sign + digits;
}

RC_GTEST_PROP(RecordShapeProperty, BothPathsGiveTheSameAnswer, ()) {
  Definition definition;
  definition.key_type = *rc::gen::element(KeyType::kNumber, KeyType::kString);
  definition.timestamp_unit = *rc::gen::element(TimestampUnit::kText, TimestampUnit::kText, TimestampUnit::kSeconds,
                                                TimestampUnit::kMilliseconds);
  const bool compact = *rc::gen::arbitrary<bool>();
  const auto record = [&] {
    const std::string device = definition.key_type == KeyType::kNumber
                                   ? *rc::gen::element(std::string("17"), number_text())
                                   : "\"" + *rc::gen::container<std::string>(rc::gen::inRange<char>(' ', 127)) + "\"";
    const EventTime time{kRecordTime.value() + *rc::gen::inRange(-100'000'000, 5'000'000)};
    std::string timestamp = definition.timestamp_unit == TimestampUnit::kText
                                ? "\"" + format_utc(time).substr(0, *rc::gen::inRange<std::size_t>(17, 25)) + "\""
                                : *rc::gen::element(std::to_string(time.value() / 1000), number_text());
    std::string text = with(device, timestamp, number_text());
    if (compact) std::erase(text, ' ');
    return text;
  };
  JsonDecoder decoder(definition);
  JsonDecoder general(definition, ShapedPath::kOff);
  const auto first = fmt::format(R"({{"device_id":{0}1{0}, "timestamp":{1}, "temperature":1}})",
                                 definition.key_type == KeyType::kString ? "\"" : "",
                                 definition.timestamp_unit == TimestampUnit::kText ? "\"2023-05-01T12:00:00\"" : "5");
  outcome(decoder, first);
  for (int i = 0; i < 4; ++i) {
    const std::string text = mutate(record());
    RC_ASSERT(outcome(decoder, text) == outcome(general, text));
  }
}

}  // namespace
}  // namespace culvert
