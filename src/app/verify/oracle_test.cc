// SPDX-License-Identifier: Apache-2.0
// The oracle against the decoder: two readings of docs/semantics.md that share no code must agree on every record.
#include "app/verify/oracle.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <random>

#include "decode/json_decoder.h"
#include "window/accumulator.h"

namespace culvert::oracle {
namespace {

Record record_of(std::optional<std::string_view> value, std::optional<RecordTime> time = {}) {
  return Record{Offset{0}, time, std::nullopt, value};
}

// Both answers as text.
std::string by_oracle(const Definition& definition, const Record& record) {
  const Judgement judged = PartitionOracle(definition).judge(record);
  if (judged.refused != DeadLetterReason::kNone) return std::string(reason_name(judged.refused));
  return judged.device.to_text() + " " + format_utc(judged.time) + " " + std::to_string(judged.micro);
}

std::string by_decoder(const Definition& definition, const Record& record) {
  JsonDecoder decoder(definition);
  Reading reading;
  const DeadLetterReason reason = decoder.decode(record, reading);
  if (reason != DeadLetterReason::kNone) return std::string(reason_name(reason));
  return reading.device.to_text() + " " + format_utc(reading.event_time) + " " + std::to_string(reading.value.value());
}

std::vector<Definition> definitions() {
  Definition numbers;
  numbers.record_bytes_max = 400;
  Definition texts = numbers;
  texts.key_type = KeyType::kString;
  Definition seconds = numbers;
  seconds.timestamp_unit = TimestampUnit::kSeconds;
  Definition millis = texts;
  millis.timestamp_unit = TimestampUnit::kMilliseconds;
  return {numbers, texts, seconds, millis};
}

void expect_agreement(const std::string& text) {
  for (const Definition& definition : definitions()) {
    for (const auto& time : {std::optional<RecordTime>{}, std::optional<RecordTime>{RecordTime{1'700'000'000'000}}}) {
      const Record record = record_of(text, time);
      EXPECT_EQ(by_oracle(definition, record), by_decoder(definition, record)) << text;
    }
  }
}

std::string object(const std::string& device, const std::string& time, const std::string& value) {
  return R"({"device_id":)" + device + R"(,"timestamp":)" + time + R"(,"temperature":)" + value + "}";
}

const std::vector<std::string> kDevices{"7",
                                        "0",
                                        "-0",
                                        "-7",
                                        "1.0",
                                        "1e3",
                                        "9223372036854775807",
                                        "9223372036854775808",
                                        "-9223372036854775808",
                                        "-9223372036854775809",
                                        "99999999999999999999999",
                                        "01",
                                        "+1",
                                        "\"a\"",
                                        "\"\"",
                                        "\"\\u0000\"",
                                        "\"caf\\u00e9\"",
                                        "\"\\ud83d\\ude00\"",
                                        "\"\\ud83d\"",
                                        "\"\\ude00\"",
                                        "\"\xf0\x9f\x98\x80\"",
                                        "\"\xed\xa0\x80\"",
                                        "\"\xc0\xaf\"",
                                        "\"\xff\"",
                                        "null",
                                        "true",
                                        "[]",
                                        "{}",
                                        "\"" + std::string(256, 'x') + "\"",
                                        "\"" + std::string(257, 'x') + "\"",
                                        "\"a\tb\"",
                                        "\"a\\tb\\/\\\"\\\\\""};

const std::vector<std::string> kTimes{"\"2023-05-01T12:00:00Z\"",
                                      "\"2023-05-01 12:00:00\"",
                                      "\"2023-05-01t12:00:00z\"",
                                      "\"2023-05-01T12:00:00.1234567Z\"",
                                      "\"2023-05-01T12:00:00.123456789+05:30\"",
                                      "\"2023-05-01T12:00:00.1234567890Z\"",
                                      "\"2023-05-01T12:00:00.Z\"",
                                      "\"1970-01-01T00:00:00Z\"",
                                      "\"1970-01-01T00:00:00+00:01\"",
                                      "\"1970-01-01T00:00:00-00:01\"",
                                      "\"1969-12-31T23:59:59.999Z\"",
                                      "\"1969-12-31T23:59:59-01:00\"",
                                      "\"9999-12-31T23:59:59.999Z\"",
                                      "\"9999-12-31T23:59:60Z\"",
                                      "\"9999-12-31T23:59:59-00:01\"",
                                      "\"2023-02-29T00:00:00Z\"",
                                      "\"2024-02-29T00:00:00Z\"",
                                      "\"2023-05-01T24:00:00Z\"",
                                      "\"2023-05-01T23:60:00Z\"",
                                      "\"2023-05-01T23:59:60Z\"",
                                      "\"2023-05-01T23:59:61Z\"",
                                      "\"2023-05-01T12:00:00+23:59\"",
                                      "\"2023-05-01T12:00:00+24:00\"",
                                      "\"2023-05-01T12:00:00+05:60\"",
                                      "\"2023-05-01T12:00:00+0530\"",
                                      "\"2023-05-01T12:00:00+05\"",
                                      "\"2023-05-01T12:00Z\"",
                                      "\"2023-05-01\"",
                                      "\"\"",
                                      "\" 2023-05-01T12:00:00Z\"",
                                      "\"2023-05-01T12:00:00Z \"",
                                      "\"2023-5-1T12:00:00Z\"",
                                      "\"0000-01-01T00:00:00Z\"",
                                      "\"2023-00-01T00:00:00Z\"",
                                      "\"2023-13-01T00:00:00Z\"",
                                      "\"2023-01-00T00:00:00Z\"",
                                      "\"2023-01-32T00:00:00Z\"",
                                      "\"2023-05-01T12:00:00.5\"",
                                      "\"2023-05-01T12:00:00,5Z\"",
                                      "\"2\\u003023-05-01T12:00:00Z\"",
                                      "\"2023-05-01_12:00:00Z\"",
                                      "0",
                                      "-0",
                                      "-0.0",
                                      "-0.0001",
                                      "-1",
                                      "1682942400",
                                      "1682942400.1239",
                                      "1682942400123.999",
                                      "1.6829424e9",
                                      "1.6829424E+12",
                                      "253402300799.9999",
                                      "253402300800",
                                      "253402300799999.9",
                                      "253402300800000",
                                      "1e400",
                                      "1e-400",
                                      "16829424000000000000000e-13",
                                      "0.0000000000000000000000001",
                                      "null",
                                      "[1]"};

const std::vector<std::string> kValues{"21.5",
                                       "0",
                                       "-0",
                                       "-0.0",
                                       "0.0000005",
                                       "0.0000015",
                                       "0.00000050000000000000000001",
                                       "-0.0000005",
                                       "-0.0000015",
                                       "1e9",
                                       "1000000000.0000005",
                                       "1000000000.0000004999",
                                       "-1000000000.0000005000001",
                                       "1000000001",
                                       "1e400",
                                       "-1e400",
                                       "1e-400",
                                       "0e99999999999999999999",
                                       "1e99999999999999999999",
                                       "1e-99999999999999999999",
                                       "12345678e-8",
                                       "0.1e1",
                                       "100000000000000000000000000e-24",
                                       "0.000000000000000000000000001e27",
                                       "1.",
                                       ".5",
                                       "1e",
                                       "1e+",
                                       "--1",
                                       "NaN",
                                       "Infinity",
                                       "-Infinity",
                                       "0x10",
                                       "\"21.5\"",
                                       "null",
                                       "true",
                                       "2147483648",
                                       "9007199254740993e-7"};

TEST(OracleAgainstDecoder, EveryCombinationOfFields) {
  for (const std::string& device : kDevices) expect_agreement(object(device, "\"2023-05-01T12:00:00Z\"", "1"));
  for (const std::string& time : kTimes) {
    expect_agreement(object("7", time, "1"));
    expect_agreement(object("\"a\"", time, "1"));
  }
  for (const std::string& value : kValues) {
    expect_agreement(object("7", "\"2023-05-01T12:00:00Z\"", value));
    expect_agreement(object("7", "1682942400", value));
  }
}

TEST(OracleAgainstDecoder, PoisonTexts) {
  const std::string good = object("7", "\"2023-05-01T12:00:00Z\"", "1");
  for (const std::string& text : std::vector<std::string>{
           "",
           " ",
           "{",
           "}",
           "{}",
           "[]",
           "[",
           "null",
           "1",
           "\"a\"",
           "nul",
           "tru",
           "{\"a\"}",
           "{\"a\":}",
           "{,}",
           "{\"a\":1,}",
           "{\"a\":1 \"b\":2}",
           "[1,]",
           "[,1]",
           "{\"a\":[}]",
           good + good,
           good + " ",
           good + "x",
           " \t\r\n" + good,
           "\xef\xbb\xbf" + good,
           good + std::string(1, '\0'),
           "\v" + good,
           good.substr(0, 40),
           "{\"a\":" + std::string(300, '[') + std::string(300, ']') + "}",
           std::string(350, '['),
           std::string(500, ' '),
           R"({"device_id":1,"device_id":2,"timestamp":"2023-05-01T12:00:00Z","temperature":1})",
           R"({"device_id":1,"device\u005fid":2,"timestamp":"2023-05-01T12:00:00Z","temperature":1})",
           R"({"device\u005fid":7,"timestamp":"2023-05-01T12:00:00Z","temperature":1})",
           R"({"x":1,"x":2,"device_id":7,"timestamp":"2023-05-01T12:00:00Z","temperature":1})",
           R"({"x":{"device_id":8},"device_id":7,"timestamp":"2023-05-01T12:00:00Z","temperature":1})",
           R"({"x":1e999,"device_id":7,"timestamp":"2023-05-01T12:00:00Z","temperature":1})",
           R"({"x":"\q","device_id":7,"timestamp":"2023-05-01T12:00:00Z","temperature":1})",
           R"({"x":"\u12","device_id":7,"timestamp":"2023-05-01T12:00:00Z","temperature":1})",
           R"({"device_id":7,"timestamp":"2023-05-01T12:00:00Z"})",
           R"({"DEVICE_ID":7})"}) {
    expect_agreement(text);
  }
}

TEST(OracleAgainstDecoder, TombstoneAndFuture) {
  const Definition definition;
  EXPECT_EQ(by_oracle(definition, record_of(std::nullopt)), "tombstone");
  const std::string text = object("7", "\"2023-05-01T12:00:00.001Z\"", "1");
  const std::int64_t at = 1'682'942'400'001;
  for (const std::int64_t time : {at - 3'600'001, at - 3'600'000, at, std::int64_t{-1}, INT64_MAX, INT64_MIN}) {
    const Record record = record_of(text, RecordTime{time});
    EXPECT_EQ(by_oracle(definition, record), by_decoder(definition, record)) << time;
  }
  EXPECT_EQ(by_oracle(definition, record_of(text, RecordTime{at - 3'600'001})), "future_event_time");
}

TEST(OracleAgainstDecoder, MutatedRecords) {
  static const std::string kAlphabet = "{}[]\",:\\0123456789.eE+-Tz utfn\xc3\xa9\xff";
  const auto seed = std::random_device{}();
  std::mt19937 random{seed};
  const auto below = [&](std::size_t next) { return std::uniform_int_distribution<std::size_t>{0, next - 1}(random); };
  const auto all = definitions();
  std::map<std::string, int> seen;
  for (int i = 0; i < 50'000; ++i) {
    std::string text =
        object(kDevices.at(below(kDevices.size())), kTimes.at(below(kTimes.size())), kValues.at(below(kValues.size())));
    for (std::size_t changes = below(4); changes > 0 && !text.empty(); --changes) {
      const std::size_t at = below(text.size());
      const char with = kAlphabet[below(kAlphabet.size())];
      const std::size_t kind = below(3);
      if (kind == 0) text[at] = with;
      if (kind == 1) text.insert(at, 1, with);
      if (kind == 2) text.erase(at, 1);
    }
    const Definition& definition = all.at(below(all.size()));
    const std::string answer = by_oracle(definition, record_of(text));
    ASSERT_EQ(answer, by_decoder(definition, record_of(text))) << text << " (seed " << seed << ")";
    ++seen[answer.find(' ') == std::string::npos ? answer : "reading"];
  }
  EXPECT_GE(seen.size(), 6U) << "the records are too much alike";
}

RC_GTEST_PROP(OracleSums, MeanAndDeviationAgreeWithTheAccumulator, ()) {
  const auto values = *rc::gen::nonEmpty(rc::gen::container<std::vector<std::int64_t>>(
      rc::gen::oneOf(rc::gen::inRange<std::int64_t>(-3, 4),
                     rc::gen::inRange<std::int64_t>(-1'000'000'000'000'000, 1'000'000'000'000'001))));
  Sums sums;
  Accumulator accumulator;
  for (const std::int64_t value : values) {
    sums.add(value);
    accumulator.fold(Micro{value});
  }
  const Summary summary = summarize(accumulator);
  RC_ASSERT(mean_micro(sums) == summary.mean.value());
  RC_ASSERT(stddev_micro(sums) == summary.stddev.value());
}

TEST(OracleWindows, HoppingStartsBefore1970AndLatenessIsExclusive) {
  Definition definition;
  definition.kind = WindowKind::kHopping;
  definition.size = Millis{60'000};
  definition.advance = Millis{20'000};
  definition.out_of_orderness = Millis{0};
  definition.allowed_lateness = Millis{10'000};
  PartitionOracle oracle(definition);
  const auto judge = [&](const std::string& ms) { return oracle.judge(record_of(object("7", ms, "1"))); };
  definition.timestamp_unit = TimestampUnit::kMilliseconds;
  oracle = PartitionOracle(definition);
  const auto first = judge("0");
  ASSERT_EQ(first.folded.size(), 3U);
  EXPECT_EQ(first.folded.back(), (Window{EventTime{-40'000}, EventTime{20'000}}));
  // The watermark comes to 30 000: the window that ends at 20 000 is late by exactly nothing.
  EXPECT_TRUE(judge("30000").missed.empty());
  const auto late = judge("19999");
  EXPECT_EQ(late.missed, (std::vector<Window>{{EventTime{-40'000}, EventTime{20'000}}}));
  EXPECT_EQ(late.folded.size(), 2U);
}

}  // namespace
}  // namespace culvert::oracle
