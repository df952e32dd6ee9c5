// SPDX-License-Identifier: Apache-2.0
#include "model/definition.h"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(Definition, TextReadsBackIncludingAwkwardNames) {
  Definition d;
  d.kind = WindowKind::kHopping;
  d.advance = Millis{10'000};
  d.fields.value = "the value = 100%\n";
  d.timestamp_unit = TimestampUnit::kMilliseconds;
  d.key_type = KeyType::kString;
  const auto back = parse_definition(definition_text(d));
  ASSERT_TRUE(back.ok()) << back.error().message;
  EXPECT_EQ(*back, d);
}

TEST(Definition, TextIsStableBecauseItIsStored) {
  EXPECT_EQ(definition_text(Definition{}),
            "windows=tumbling size=1m advance=1m out_of_orderness=10s allowed_lateness=1h max_future=1h "
            "device_field=device_id timestamp_field=timestamp value_field=temperature timestamp_unit=text "
            "key_type=number record_bytes_max=1048576 value_name=temp");
}

TEST(Definition, DifferenceNamesThePairs) {
  Definition now;
  now.size = now.advance = Millis{30'000};
  EXPECT_EQ(definition_difference(Definition{}, now), "size: table has 1m, now 30s; advance: table has 1m, now 30s");
  EXPECT_EQ(definition_difference(now, now), "");
}

TEST(Definition, UnreadableTextIsADataError) {
  for (const std::string& text : {std::string("size=1m"), std::string("nonsense"), definition_text({}) + " new=1",
                                  std::string("%zz=1"), definition_text({}).replace(0, 16, "windows=session_")}) {
    const auto result = parse_definition(text);
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.error().kind, ErrorKind::kData);
  }
}

TEST(Definition, ValidateNamesTheOption) {
  Definition d;
  EXPECT_TRUE(validate(d).ok());
  d.advance = Millis{7'000};
  d.kind = WindowKind::kHopping;
  EXPECT_NE(validate(d).error().message.find("--advance 7s"), std::string::npos);
  d.advance = Millis{1};
  EXPECT_NE(validate(d).error().message.find("60000 windows"), std::string::npos);
  d = Definition{};
  d.fields.value = "device_id";
  EXPECT_FALSE(validate(d).ok());
  d = Definition{};
  d.value_name = "a b";
  EXPECT_FALSE(validate(d).ok());
}

}  // namespace
}  // namespace culvert
