// SPDX-License-Identifier: Apache-2.0
#include "decode/json_decoder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace culvert {
namespace {

using namespace std::string_literals;

constexpr RecordTime kRecordTime{1'682'942'400'000};  // 2023-05-01T12:00:00Z

Record record_of(std::string_view value) { return Record{Offset{7}, kRecordTime, std::nullopt, value}; }

// The reading as `device time value`, or the reason, a colon and the detail.
std::string outcome(JsonDecoder& decoder, const Record& record) {
  Reading reading;
  const DeadLetterReason reason = decoder.decode(record, reading);
  if (reason != DeadLetterReason::kNone) return fmt::format("{}: {}", reason_name(reason), decoder.detail());
  return fmt::format("{} {} {}", reading.device.to_text(), format_utc(reading.event_time), format_micro(reading.value));
}

std::string decoded(std::string_view value, const Definition& definition = {}) {
  JsonDecoder decoder(definition);
  return outcome(decoder, record_of(value));
}

// A record with these three texts in the places of its values.
std::string with(std::string_view device, std::string_view timestamp = R"("2023-05-01T12:00:00")",
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

TEST(JsonDecoder, ReadsTheReferencesRecord) {
  EXPECT_EQ(decoded(R"({"device_id": 17, "timestamp": "2023-05-01T12:00:00.123456", "temperature": 21.5})"),
            "17 2023-05-01T12:00:00.123Z 21.5");
  EXPECT_EQ(decoded(R"({"device_id":17,"timestamp":"2023-05-01T12:00:00","temperature":-3})"),
            "17 2023-05-01T12:00:00.000Z -3");
}

TEST(JsonDecoder, OrderSpaceAndForeignFieldsDoNotMatter) {
  EXPECT_EQ(decoded("\n{ \"temperature\" : 1e1 ,\"x\":{\"device_id\":[]},\"timestamp\":\"2023-05-01 12:00:00Z\",\r\n"
                    "\"x\":1e400, \"x\":\"\\u0000\", \"device_id\"\t:-9223372036854775808}\n"),
            "-9223372036854775808 2023-05-01T12:00:00.000Z 10");
}

TEST(JsonDecoder, EscapedNamesAndStringsAreWhatTheyStandFor) {
  EXPECT_EQ(decoded(R"({"\u0064evice_id": 1, "time\u0073tamp": "2023-05-01T12\u003a00:00", "temperature": 2})"),
            "1 2023-05-01T12:00:00.000Z 2");
  EXPECT_EQ(decoded(with(R"("a\u00e9\/\ud83d\ude00")"), text_keys()),
            "a\xc3\xa9/\xf0\x9f\x98\x80 2023-05-01T12:00:00.000Z 21.5");
  EXPECT_EQ(decoded(R"({"\u0064evice_id": 1, "device_id": 1, "timestamp": "2023-05-01T12:00:00", "temperature": 2})"),
            "duplicate_field: field 'device_id' occurs more than once");
}

TEST(JsonDecoder, AnEscapedDeviceOutlivesAnEscapedTimestampAndName) {
  EXPECT_EQ(decoded(R"({"device_id": "\u0061b", "timestamp": "2023-05-01T12\u003a00:00", "temperatur\u0065": 2})",
                    text_keys()),
            "ab 2023-05-01T12:00:00.000Z 2");
}

TEST(JsonDecoder, TombstoneEmptyAndTooLarge) {
  JsonDecoder decoder(Definition{});
  EXPECT_EQ(outcome(decoder, Record{Offset{0}, kRecordTime, "key", std::nullopt}),
            "tombstone: the record has no value");
  EXPECT_EQ(decoded(""), "not_json: byte 0: empty text");
  EXPECT_EQ(decoded(" \n "), "not_json: byte 3: empty text");
  EXPECT_EQ(decoded(std::string(10 << 20, ' ')), "too_large: 10485760 bytes, at most 1048576 are read");
  Definition small;
  small.record_bytes_max = static_cast<std::int64_t>(with("17").size());
  EXPECT_EQ(decoded(with("17"), small), "17 2023-05-01T12:00:00.000Z 21.5");
  EXPECT_EQ(decoded(with("17") + " ", small).substr(0, 9), "too_large");
}

TEST(JsonDecoder, TenMebibytesAreReadWhereTheLimitAllows) {
  Definition large;
  large.record_bytes_max = 16 << 20;
  const std::string text = with("17");
  EXPECT_EQ(decoded(text + std::string((10 << 20) - text.size(), ' '), large), "17 2023-05-01T12:00:00.000Z 21.5");
  EXPECT_EQ(decoded("{\"x\":\"" + std::string(10 << 20, 'x') + "\"," + text.substr(1), large),
            "17 2023-05-01T12:00:00.000Z 21.5");
}

TEST(JsonDecoder, NotJson) {
  EXPECT_EQ(decoded("hello"), "not_json: byte 0: unexpected byte");
  EXPECT_EQ(decoded(with("17").substr(0, 40)), "not_json: byte 40: the text ends inside a value");
  EXPECT_EQ(decoded(with("17") + "x"), "not_json: byte 74: text after the value");
  EXPECT_EQ(decoded("\xef\xbb\xbf" + with("17")), "not_json: byte 0: byte order mark");
  EXPECT_EQ(decoded(with("17") + "\0"s), "not_json: byte 74: text after the value");
  EXPECT_EQ(decoded(with_value("NaN")), "not_json: byte 69: NaN and Infinity are not JSON");
  EXPECT_EQ(decoded(with_value("-Infinity")), "not_json: byte 69: NaN and Infinity are not JSON");
  EXPECT_EQ(decoded(with("017")), "not_json: byte 14: malformed number");
  EXPECT_EQ(decoded(with(R"("\ud800")"), text_keys()), "not_json: byte 15: lone surrogate in a string");
  EXPECT_EQ(decoded(with("\"\xff\""), text_keys()), "not_json: byte 15: invalid UTF-8 in a string");
  EXPECT_EQ(decoded(std::string(10'000, '[')), "not_json: byte 10000: the text ends inside a value");
  EXPECT_EQ(decoded(std::string(1'000'000, '[')), "not_json: byte 1000000: the text ends inside a value");
}

TEST(JsonDecoder, NotAnObject) {
  EXPECT_EQ(decoded("[" + with("17") + "]"), "not_object: an array instead of an object");
  EXPECT_EQ(decoded("null"), "not_object: null instead of an object");
  EXPECT_EQ(decoded("\"{}\""), "not_object: a string instead of an object");
  EXPECT_EQ(decoded("1e400"), "not_object: a number instead of an object");
  EXPECT_EQ(decoded("true"), "not_object: a boolean instead of an object");
  EXPECT_EQ(decoded(std::string(10'000, '[') + std::string(10'000, ']')), "not_object: an array instead of an object");
}

TEST(JsonDecoder, MissingFieldsAreNamedInOrder) {
  EXPECT_EQ(decoded("{}"), "missing_field: field 'device_id' is missing");
  EXPECT_EQ(decoded(R"({"device_id": 1})"), "missing_field: field 'timestamp' is missing");
  EXPECT_EQ(decoded(R"({"timestamp": 1, "device_id": null})"), "missing_field: field 'temperature' is missing");
  EXPECT_EQ(decoded(R"({"Device_id": 1, "timestamp": 1, "temperature": 1})"),
            "missing_field: field 'device_id' is missing");
}

TEST(JsonDecoder, WrongTypes) {
  EXPECT_EQ(decoded(with_value(R"("21.5")")), "wrong_type: field 'temperature' is a string instead of a number");
  EXPECT_EQ(decoded(with_value("null")), "wrong_type: field 'temperature' is null instead of a number");
  EXPECT_EQ(decoded(with_value("{}")), "wrong_type: field 'temperature' is an object instead of a number");
  EXPECT_EQ(decoded(with_timestamp("1682942400")), "wrong_type: field 'timestamp' is a number instead of a string");
  EXPECT_EQ(decoded(with("null")), "wrong_type: field 'device_id' is null instead of a number");
  EXPECT_EQ(decoded(with("[17]"), text_keys()), "wrong_type: field 'device_id' is an array instead of a string");
  Definition seconds;
  seconds.timestamp_unit = TimestampUnit::kSeconds;
  EXPECT_EQ(decoded(with_timestamp(R"("1682942400")"), seconds),
            "wrong_type: field 'timestamp' is a string instead of a number");
}

TEST(JsonDecoder, DeviceNumbersAreCanonicalIntegersOf64Bits) {
  EXPECT_EQ(decoded(with("9223372036854775807")).substr(0, 20), "9223372036854775807 ");
  EXPECT_EQ(decoded(with("-1")).substr(0, 3), "-1 ");
  EXPECT_EQ(decoded(with("0")).substr(0, 2), "0 ");
  for (const char* device : {"9223372036854775808", "18446744073709551616", "-9223372036854775809", "1e400", "-0",
                             "1.0", "1e3", "0.5", R"("17")"}) {
    EXPECT_EQ(decoded(with(device)), "device_type: field 'device_id' is not an integer of 64 bits") << device;
  }
}

TEST(JsonDecoder, DeviceTextsHave1To256Bytes) {
  EXPECT_EQ(decoded(with("\"" + std::string(256, 'x') + "\""), text_keys()).substr(0, 257),
            std::string(256, 'x') + " ");
  EXPECT_EQ(decoded(with("\"" + std::string(257, 'x') + "\""), text_keys()),
            "device_type: field 'device_id' has 257 bytes, 1 to 256 are taken");
  EXPECT_EQ(decoded(with(R"("")"), text_keys()), "device_type: field 'device_id' has 0 bytes, 1 to 256 are taken");
  EXPECT_EQ(decoded(with("17"), text_keys()), "device_type: field 'device_id' is not a string");
  EXPECT_EQ(decoded(with("\"" + std::string(128, '\xc3') + "\""), text_keys()).substr(0, 8), "not_json");
}

TEST(JsonDecoder, Timestamps) {
  EXPECT_EQ(decoded(with_timestamp(R"("yesterday")")),
            "bad_timestamp: field 'timestamp' is not an RFC 3339 time from 1970 to 9999");
  EXPECT_EQ(decoded(with_timestamp(R"("1969-12-31T23:59:59Z")")).substr(0, 13), "bad_timestamp");
  Definition seconds;
  seconds.timestamp_unit = TimestampUnit::kSeconds;
  EXPECT_EQ(decoded(with_timestamp("1682942400.123456"), seconds), "17 2023-05-01T12:00:00.123Z 21.5");
  EXPECT_EQ(decoded(with_timestamp("-1"), seconds),
            "bad_timestamp: field 'timestamp' is not an epoch number from 1970 to 9999");
  Definition millis;
  millis.timestamp_unit = TimestampUnit::kMilliseconds;
  EXPECT_EQ(decoded(with_timestamp("1682942400123"), millis), "17 2023-05-01T12:00:00.123Z 21.5");
}

TEST(JsonDecoder, Values) {
  EXPECT_EQ(decoded(with_value("-0")), "17 2023-05-01T12:00:00.000Z 0");
  EXPECT_EQ(decoded(with_value("1e9")), "17 2023-05-01T12:00:00.000Z 1000000000");
  EXPECT_EQ(decoded(with_value("0.1234565")), "17 2023-05-01T12:00:00.000Z 0.123456");
  EXPECT_EQ(decoded(with_value("1e400")), "out_of_range: field 'temperature' is beyond 1000000000 in magnitude");
  EXPECT_EQ(decoded(with_value("-1000000000.000001")).substr(0, 12), "out_of_range");
}

TEST(JsonDecoder, AnEventTimeFarAheadOfTheRecordIsSetAside) {
  EXPECT_EQ(decoded(with_timestamp(R"("2023-05-01T13:00:00")")), "17 2023-05-01T13:00:00.000Z 21.5");
  EXPECT_EQ(decoded(with_timestamp(R"("2023-05-01T13:00:00.001")")),
            "future_event_time: event time is 1h1ms ahead of the record's own timestamp, at most 1h is taken");
  JsonDecoder decoder(Definition{});
  const std::string value = with_timestamp(R"("9999-12-31T23:59:59")");
  EXPECT_EQ(outcome(decoder, Record{Offset{0}, std::nullopt, std::nullopt, value}), "17 9999-12-31T23:59:59.000Z 21.5");
  const RecordTime first{std::numeric_limits<std::int64_t>::min()};
  EXPECT_EQ(outcome(decoder, Record{Offset{0}, first, std::nullopt, value}).substr(0, 17), "future_event_time");
  const RecordTime last{std::numeric_limits<std::int64_t>::max()};
  EXPECT_EQ(outcome(decoder, Record{Offset{0}, last, std::nullopt, value}), "17 9999-12-31T23:59:59.000Z 21.5");
}

TEST(JsonDecoder, OfSeveralFaultsTheFirstInTheStatedOrderIsNamed) {
  const auto reason = [](std::string_view value) {
    const auto text = decoded(value);
    return text.substr(0, text.find(':'));
  };
  EXPECT_EQ(reason(R"({"device_id": null, "device_id": 1, "x": })"), "not_json");
  EXPECT_EQ(reason(R"({"temperature": 1, "temperature": 1})"), "duplicate_field");
  EXPECT_EQ(reason(R"({"device_id": null, "timestamp": null})"), "missing_field");
  EXPECT_EQ(reason(with("1.5", "null", "null")), "device_type");
  EXPECT_EQ(reason(with("1", "\"?\"", "null")), "bad_timestamp");
  EXPECT_EQ(reason(with("1", R"("9999-01-01T00:00:00")", "1e400")), "out_of_range");
}

TEST(JsonDecoder, FieldNamesAreOptions) {
  Definition definition;
  definition.fields = {"id", "at \"quoted\"",
                       "gr\xc3\xb6\xc3\x9f"
                       "e"};
  EXPECT_EQ(decoded(R"({"id": 1, "at \"quoted\"": "2023-05-01T12:00:00", "gr\u00f6\u00dfe": 3, "device_id": "x"})",
                    definition),
            "1 2023-05-01T12:00:00.000Z 3");
}

}  // namespace
}  // namespace culvert
