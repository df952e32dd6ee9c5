// SPDX-License-Identifier: Apache-2.0
#include "model/json_text.h"

#include <gtest/gtest.h>

namespace culvert {
namespace {

using namespace std::string_literals;

TEST(JsonString, EscapesWhatMustBe) {
  EXPECT_EQ(json_string("a\"b\\c\n\0d\x7f"s), R"("a\"b\\c\u000a\u0000d\u007f")");
  EXPECT_EQ(json_string("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80"), "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
}

TEST(JsonString, BytesThatAreNotUtf8AreReplacedOneByOne) {
  EXPECT_EQ(json_string("a\xff\xfe"), R"("a\ufffd\ufffd")");
  EXPECT_EQ(json_string("\xc3"), R"("\ufffd")");
  EXPECT_EQ(json_string("\xc3("), R"("\ufffd(")");
}

TEST(IsUtf8, RefusesOverlongFormsSurrogatesAndCutCharacters) {
  for (const char* good : {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
                           "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(is_utf8(good)) << json_string(good);
  }
  for (const char* bad : {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
                          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xe2\x82", "a\xc3"}) {
    EXPECT_FALSE(is_utf8(bad)) << json_string(bad);
  }
}

// The vectors of RFC 4648, section 10.
TEST(Base64, MatchesTheStandardsVectors) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64("\xff\xfe\xfd\0"s), "//79AA==");
}

}  // namespace
}  // namespace culvert
