// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/item_codec.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json.hpp>
#include <random>
#include <string>

#include "adapters/dynamodb/base64.h"

namespace culvert::dynamodb {
namespace {

const TableNames kNames{"telemetry", "telemetry-checkpoints", "telemetry-dead-letters"};

boost::json::object parse(const std::string& text) {
  boost::json::error_code failed;
  auto value = boost::json::parse(text, failed);
  EXPECT_FALSE(failed) << text;
  return failed ? boost::json::object() : value.as_object();
}

boost::json::object item_of(const std::string& body) { return parse(body).at("Item").as_object(); }

std::string number(const boost::json::object& item, const char* name) {
  return std::string(item.at(name).at("N").as_string());
}

ItemPut example() {
  ItemPut put;
  put.key = {DeviceId{17}, *parse_utc("2026-11-23T15:57:00.000Z")};
  put.window_end = *parse_utc("2026-11-23T15:58:00.000Z");
  for (const std::int64_t micro : {21'500'000, 22'000'000, 22'250'001}) put.desired.aggregate.fold(Micro{micro});
  put.desired.fences.set("sensors@1/0", Fence{Offset{120}, {{Offset{10}, Offset{20}}, {Offset{40}, Offset{41}}}});
  put.desired.fences.set("sensors@1/1", Fence{Offset{7}, {}});
  return put;
}

TEST(ItemCodec, ItemHoldsTheReferencesAttributesAndTheExactState) {
  const auto body = parse(item_put(kNames, {}, example()));
  const auto& item = body.at("Item").as_object();
  EXPECT_EQ(body.at("TableName").as_string(), "telemetry");
  EXPECT_EQ(number(item, "device_id"), "17");
  EXPECT_EQ(item.at("window_start").at("S").as_string(), "2026-11-23T15:57:00.000Z");
  EXPECT_EQ(item.at("window_stop").at("S").as_string(), "2026-11-23T15:58:00.000Z");
  EXPECT_EQ(number(item, "avg_temp"), "21.916667");
  EXPECT_EQ(number(item, "min_temp"), "21.5");
  EXPECT_EQ(number(item, "max_temp"), "22.250001");
  EXPECT_EQ(number(item, "sum_temp"), "65.750001");
  EXPECT_EQ(number(item, "stddev_temp"), "0.311805");
  EXPECT_EQ(number(item, "count"), "3");
  EXPECT_EQ(number(item, "sumsq"), "1441.312544500001");
  EXPECT_FALSE(item.contains("expires_at"));
  const auto& fences = item.at("fences").at("M").as_object();
  EXPECT_EQ(
      boost::json::serialize(fences.at("sensors@1/0")),
      R"({"M":{"next":{"N":"120"},"holes":{"L":[{"L":[{"N":"10"},{"N":"20"}]},{"L":[{"N":"40"},{"N":"41"}]}]}}})");
  EXPECT_EQ(body.at("ConditionExpression").as_string(), "attribute_not_exists(device_id)");
  EXPECT_EQ(body.at("ReturnValuesOnConditionCheckFailure").as_string(), "ALL_OLD");
}

TEST(ItemCodec, ExpectedFencesBecomeTheCondition) {
  ItemPut put = example();
  put.expected = put.desired.fences;
  const auto body = parse(item_put(kNames, {}, put));
  EXPECT_EQ(body.at("ConditionExpression").as_string(), "fences = :f");
  EXPECT_EQ(body.at("ExpressionAttributeValues").at(":f"), body.at("Item").at("fences"));
}

TEST(ItemCodec, ExpiryIsFromTheWindowsEndAndRoundsUp) {
  ItemPut put = example();
  const ItemFormat format{"temp", std::chrono::hours{24}};
  EXPECT_EQ(number(item_of(item_put(kNames, format, put)), "expires_at"), "1795535880");
  put.window_end = put.window_end + Millis{1};
  EXPECT_EQ(number(item_of(item_put(kNames, format, put)), "expires_at"), "1795535881");
}

TEST(ItemCodec, TheLastWindowsReadBack) {
  ItemPut put = example();
  put.key.window_start = EventTime{kEventTimeNext.value() - 60'000};
  put.window_end = kEventTimeNext;
  const auto stored = read_item(item_of(item_put(kNames, {}, put)), kNames.items, "temp");
  ASSERT_TRUE(stored.ok()) << stored.error().message;
  EXPECT_EQ(stored->key, put.key);
  EXPECT_EQ(stored->window_end, put.window_end);
}

TEST(ItemCodec, ValueNameAndTextDevices) {
  ItemPut put = example();
  put.key.device = DeviceId{std::string_view("pump \"7\"\n\xff")};
  const auto item = item_of(item_put(kNames, {"pressure", {}}, put));
  EXPECT_TRUE(item.contains("avg_pressure"));
  EXPECT_EQ(item.at("device_id").at("S").as_string(), "pump \"7\"\n\xef\xbf\xbd");
}

RC_GTEST_PROP(ItemCodecProperty, ItemsReadBack, ()) {
  ItemPut put;
  if (*rc::gen::arbitrary<bool>()) {
    put.key.device = DeviceId{*rc::gen::arbitrary<std::int64_t>()};
  } else {
    put.key.device =
        DeviceId{std::string_view(*rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::inRange<char>(1, 127))))
                     .substr(0, 256)};
  }
  put.key.window_start = EventTime{*rc::gen::inRange<std::int64_t>(-86'400'000, kEventTimeNext.value())};
  put.window_end = put.key.window_start + Millis{*rc::gen::inRange(1, 1'000'000)};
  const std::int64_t most = kMicroMost.value();
  for (const auto& v :
       *rc::gen::nonEmpty(rc::gen::container<std::vector<std::int64_t>>(rc::gen::inRange(-most, most + 1)))) {
    put.desired.aggregate.fold(Micro{v});
  }
  const std::int64_t first = *rc::gen::inRange<std::int64_t>(0, 1'000'000);
  put.desired.fences.set("a@1/0", Fence{Offset{first + 10}, {{Offset{first}, Offset{first + 3}}}});
  const auto back = read_item(item_of(item_put(kNames, {}, put)), "telemetry", "temp");
  RC_ASSERT(back.ok());
  RC_ASSERT(back->key == put.key);
  RC_ASSERT(back->window_end == put.window_end);
  RC_ASSERT(back->image == put.desired);
}

TEST(ItemCodec, LargestSumsNeedNoMoreThan38Digits) {
  const auto digits_of = [](std::string text) {
    std::erase_if(text, [](char c) { return c < '0' || c > '9'; });
    text.erase(0, text.find_first_not_of('0'));
    text.erase(text.find_last_not_of('0') + 1);
    return text.size();
  };
  ItemPut put = example();
  Accumulator& a = put.desired.aggregate;
  const Int128 square = static_cast<Int128>(kMicroMost.value()) * kMicroMost.value();
  a = {kCountMost, static_cast<Int128>(kCountMost) * kMicroMost.value(), kCountMost * square, kMicroMost, kMicroMost};
  auto item = item_of(item_put(kNames, {}, put));
  EXPECT_EQ(number(item, "sumsq"), "100000000000000000000000000");
  EXPECT_EQ(read_item(item, "t", "temp")->image, put.desired);
  // One reading off by a millionth: as many digits as there can be.
  a.sum -= 1;
  a.sum_squares -= 2 * static_cast<Int128>(kMicroMost.value()) - 1;
  a.min = Micro{kMicroMost.value() - 1};
  item = item_of(item_put(kNames, {}, put));
  EXPECT_EQ(digits_of(number(item, "sumsq")), 38U) << number(item, "sumsq");
  EXPECT_EQ(read_item(item, "t", "temp")->image, put.desired);
}

TEST(ItemCodec, NumbersMayComeWithAnExponent) {
  EXPECT_EQ(parse_number("1E+26", 12), parse_scaled("100000000000000000000000000", 12));
  EXPECT_EQ(parse_number("1.5e2", 0), Int128{150});
  EXPECT_EQ(parse_number("-12E-1", 1), Int128{-12});
  EXPECT_EQ(parse_number("5E-7", 6), std::nullopt);
  EXPECT_EQ(parse_number("0E+100", 0), Int128{0});
  for (const char* text :
       {"", "E5", "1E", "1E+", "1E999999999999", "1E131", "1.2.3E1", "1E40", "x", "+1", "1E1x", "--1E1"}) {
    EXPECT_EQ(parse_number(text, 6), std::nullopt) << text;
  }
}

TEST(ItemCodec, ForeignItemsAreNamedNotBelieved) {
  const std::string good = boost::json::serialize(item_of(item_put(kNames, {}, example())));
  ASSERT_TRUE(read_item(parse(good), "telemetry", "temp").ok());
  const auto broken = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const auto at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    return read_item(parse(text), "telemetry", "temp");
  };
  const auto missing = broken("\"fences\":", "\"fences_\":");
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind, ErrorKind::kData);
  EXPECT_NE(missing.error().message.find("table 'telemetry': item device_id=17 window_start=2026-11-23T15:57:00.000Z: "
                                         "attribute 'fences'"),
            std::string::npos)
      << missing.error().message;
  EXPECT_FALSE(broken("\"count\":{\"N\":\"3\"}", "\"count\":{\"N\":\"0\"}").ok());
  EXPECT_FALSE(broken("\"count\":{\"N\":\"3\"}", "\"count\":{\"N\":\"3.5\"}").ok());
  EXPECT_FALSE(broken("\"count\":{\"N\":\"3\"}", "\"count\":{\"S\":\"3\"}").ok());
  EXPECT_FALSE(broken("\"sumsq\":{\"N\":\"1441", "\"sumsq\":{\"N\":\"1440").ok()) << "contradicts the sum";
  EXPECT_FALSE(broken("[{\"N\":\"10\"},{\"N\":\"20\"}]", "[{\"N\":\"20\"},{\"N\":\"10\"}]").ok());
  EXPECT_FALSE(broken("{\"N\":\"120\"}", "{\"N\":\"40\"}").ok()) << "a hole above next";
  EXPECT_FALSE(broken("2026-11-23T15:58", "2026-13-23T15:58").ok());
}

Checkpoint checkpoint() {
  Checkpoint c;
  c.start = Offset{5};
  c.next = Offset{100};
  c.progress = {EventTime{1'700'000'000'000}, std::nullopt, {95, 90, 3, 2}};
  c.ranges = {{{Offset{110}, Offset{120}}, {EventTime{1}, RecordTime{2}, {10, 10, 0, 0}}}};
  c.definition = definition_text(Definition{});
  c.emission = Emission::kFinal;
  c.topic_id = "Zm9v";
  return c;
}

TEST(ItemCodec, CheckpointsReadBack) {
  const StreamPartition where{"odd.topic-name_1", 3, PartitionId{12}};
  const auto body = parse(checkpoint_put(kNames, where, {checkpoint(), std::nullopt}));
  EXPECT_EQ(body.at("TableName").as_string(), kNames.checkpoints);
  EXPECT_EQ(body.at("ConditionExpression").as_string(), "attribute_not_exists(#stream)");
  EXPECT_FALSE(body.at("Item").as_object().contains("max_timestamp"));
  const auto back = read_checkpoint(body.at("Item").as_object(), kNames.checkpoints);
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(back->where, where);
  EXPECT_EQ(back->checkpoint, checkpoint());
}

TEST(ItemCodec, CheckpointConditionIsNextAndRanges) {
  const auto body = parse(checkpoint_put(kNames, {"t", 1, PartitionId{0}}, {checkpoint(), checkpoint()}));
  EXPECT_EQ(body.at("ConditionExpression").as_string(), "#next = :next AND #ranges = :ranges");
  EXPECT_EQ(body.at("ExpressionAttributeValues").at(":next").at("N").as_string(), "100");
  EXPECT_EQ(body.at("ExpressionAttributeValues").at(":ranges").at("S").as_string(), ranges_text(checkpoint().ranges));
}

DeadLetter letter(std::size_t key_bytes, std::size_t value_bytes) {
  std::mt19937 random(1);
  const auto bytes = [&](std::size_t count) {
    std::string text(count, '\0');
    for (char& c : text) c = static_cast<char>(random() & 0xff);
    return text;
  };
  return {{"t", 1, PartitionId{3}}, Offset{77},       RecordTime{9},     DeadLetterReason::kNotJson,
          "not \"JSON\"",           bytes(key_bytes), bytes(value_bytes)};
}

TEST(ItemCodec, DeadLettersReadBackWithAllTheirBytes) {
  DeadLetter original = letter(3, 256);
  for (int i = 0; i < 3; ++i) {
    const auto back = read_dead_letter(item_of(dead_letter_put(kNames, original)), kNames.dead_letters);
    ASSERT_TRUE(back.ok()) << back.error().message;
    EXPECT_EQ(back->parts, 0U);
    EXPECT_EQ(back->letter.where, original.where);
    EXPECT_EQ(back->letter.offset, original.offset);
    EXPECT_EQ(back->letter.timestamp, original.timestamp);
    EXPECT_EQ(back->letter.reason, original.reason);
    EXPECT_EQ(back->letter.detail, original.detail);
    EXPECT_EQ(back->letter.key, original.key);
    EXPECT_EQ(back->letter.value, original.value);
    if (i == 0) original.value.reset();
    if (i == 1) original.key = "";
  }
}

TEST(ItemCodec, LargeDeadLettersAreCutIntoPartsThatJoin) {
  for (const auto& [key_bytes, value_bytes] :
       {std::pair<std::size_t, std::size_t>{10, 1 << 20}, {300'000, 300'000}, {600'000, 0}}) {
    const DeadLetter original = letter(key_bytes, value_bytes);
    const std::size_t parts = dead_letter_parts(original);
    ASSERT_GT(parts, 1U);
    const std::string head = dead_letter_put(kNames, original);
    EXPECT_LT(head.size(), 2'000U);
    auto stored = read_dead_letter(item_of(head), kNames.dead_letters);
    ASSERT_TRUE(stored.ok()) << stored.error().message;
    EXPECT_EQ(stored->parts, parts);
    std::string joined;
    for (std::size_t i = 0; i < parts; ++i) {
      const std::string body = dead_letter_part_put(kNames, original, i);
      EXPECT_LT(body.size(), 350'000U);
      EXPECT_EQ(item_of(body).at("position").at("S").as_string(), "t@1/3+77");
      joined += *read_dead_letter_part(item_of(body), kNames.dead_letters);
    }
    ASSERT_TRUE(join_parts(*stored, joined, "t").ok());
    EXPECT_EQ(stored->letter.key, original.key);
    EXPECT_EQ(stored->letter.value, original.value);
    joined.pop_back();
    EXPECT_FALSE(join_parts(*stored, joined, "t").ok());
  }
}

TEST(ItemCodec, PositionsReadBackAndOthersDoNot) {
  EXPECT_EQ(parse_position("a@b@2/7"), (StreamPartition{"a@b", 2, PartitionId{7}}));
  for (const char* text :
       {"", "t", "t@1", "t@0/1", "t@x/1", "@1/0", "t@1/-1", "t@1/99999999999", "t@01/1", "t@1/1+5"}) {
    EXPECT_FALSE(parse_position(text)) << text;
  }
}

TEST(JsonString, EscapesWhatMustBeAndReplacesWhatIsNotUtf8) {
  const auto escaped = [](std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
  };
  EXPECT_EQ(escaped("a\"\\\b\x1f/"), "\"a\\\"\\\\\\u0008\\u001f/\"");
  EXPECT_EQ(escaped("ü€😀"), "\"ü€😀\"");
  for (const char* bad : {"\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff", "\xc3"}) {
    const std::string out = escaped(bad);
    boost::json::error_code failed;
    boost::json::parse(out, failed);
    EXPECT_FALSE(failed) << out;
    EXPECT_NE(out.find("\xef\xbf\xbd"), std::string::npos);
  }
}

RC_GTEST_PROP(Base64Property, ReadsBack, (const std::string& bytes)) {
  std::string text;
  append_base64(text, bytes);
  RC_ASSERT(text.size() == (bytes.size() + 2) / 3 * 4);
  RC_ASSERT(decode_base64(text) == bytes);
}

TEST(Base64, RefusesWhatIsNot) {
  for (const char* text : {"a", "ab", "abc", "ab=c", "====", "a===", "ab c", "ab\n=", "äbc"}) {
    EXPECT_FALSE(decode_base64(text)) << text;
  }
  EXPECT_EQ(decode_base64("Zm8="), "fo");
}

}  // namespace
}  // namespace culvert::dynamodb
