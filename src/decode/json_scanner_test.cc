// SPDX-License-Identifier: Apache-2.0
#include "decode/json_scanner.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "json_judge.h"

namespace culvert {
namespace {

using namespace std::string_literals;

// Scans all of a copy that has exactly the text's size, so that a sanitizer sees a read beyond it.
JsonFault fault_of(std::string_view text, std::size_t* at = nullptr) {
  const auto bytes = std::make_unique<char[]>(text.size());
  std::copy(text.begin(), text.end(), bytes.get());
  JsonScanner scanner;
  if (scanner.start({bytes.get(), text.size()}) && scanner.root() == JsonKind::kObject) {
    JsonString name;
    JsonValue value;
    while (scanner.next_member(name, value)) {
    }
  }
  if (at != nullptr) *at = scanner.fault_at();
  return scanner.fault();
}

std::string unescaped(std::string_view raw) {
  std::string out;
  unescape_json({raw, true}, out);
  return out;
}

TEST(JsonScanner, AcceptsTheGrammar) {
  for (const char* text : {"{}",
                           "[]",
                           " [ ] ",
                           "{ }",
                           "null",
                           "true",
                           "false",
                           "0",
                           "-0",
                           "-0.0e-0",
                           "1e400",
                           "1E+5",
                           "123456789012345678901",
                           R"("")",
                           R"("a\"\\\/\b\f\n\r\t")",
                           R"("\u0000")",
                           R"("\ud83d\ude00")",
                           "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
                           "\"\x7f\"",
                           R"({"a":[1,{"b":[[],{}]},"x"],"a":null})",
                           "\t\r\n {\"a\" : 1 , \"b\" : [ 1 , 2 ] } \n",
                           "[[[[[[[[[[[[[[[[{}]]]]]]]]]]]]]]]]"}) {
    EXPECT_EQ(fault_of(text), JsonFault::kNone) << text;
  }
}

struct Refusal {
  std::string text;
  JsonFault fault;
  std::size_t at;
};

TEST(JsonScanner, RefusesEverythingElseAndSaysWhere) {
  const std::vector<Refusal> refusals{
      {"", JsonFault::kEmpty, 0},
      {" \n\t\r", JsonFault::kEmpty, 4},
      {"\xef\xbb\xbf{}", JsonFault::kByteOrderMark, 0},
      {"\0"s, JsonFault::kUnexpected, 0},
      {"{}\0"s, JsonFault::kTrailing, 2},
      {"{\"a\":1\0}"s, JsonFault::kUnexpected, 6},
      {"{} {}", JsonFault::kTrailing, 3},
      {"1 2", JsonFault::kTrailing, 2},
      {"{", JsonFault::kTruncated, 1},
      {"{\"a\"", JsonFault::kTruncated, 4},
      {"{\"a\":", JsonFault::kTruncated, 5},
      {"{\"a\":1", JsonFault::kTruncated, 6},
      {"{\"a\":1,", JsonFault::kTruncated, 7},
      {"{\"a\":tru", JsonFault::kTruncated, 8},
      {"{\"a\":[1", JsonFault::kTruncated, 7},
      {"{\"a\":[{\"b\"", JsonFault::kTruncated, 10},
      {"\"abc", JsonFault::kTruncated, 4},
      {"\"abc\\", JsonFault::kTruncated, 5},
      {"\"\\u12", JsonFault::kTruncated, 5},
      {"\"\xc3", JsonFault::kTruncated, 2},
      {"-", JsonFault::kTruncated, 1},
      {"1.", JsonFault::kTruncated, 2},
      {"1e+", JsonFault::kTruncated, 3},
      {"{,}", JsonFault::kUnexpected, 1},
      {"{\"a\":1,}", JsonFault::kUnexpected, 7},
      {"{\"a\":1 \"b\":2}", JsonFault::kUnexpected, 7},
      {"{\"a\" 1}", JsonFault::kUnexpected, 5},
      {"{a:1}", JsonFault::kUnexpected, 1},
      {"{'a':1}", JsonFault::kUnexpected, 1},
      {"{\"a\":}", JsonFault::kUnexpected, 5},
      {"[1,]", JsonFault::kUnexpected, 3},
      {"[1}", JsonFault::kUnexpected, 2},
      {"[{\"a\":1]", JsonFault::kUnexpected, 7},
      {"[{1:1}]", JsonFault::kUnexpected, 2},
      {"[{\"a\"}]", JsonFault::kUnexpected, 5},
      {"]", JsonFault::kUnexpected, 0},
      {"truE", JsonFault::kUnexpected, 3},
      {"/**/1", JsonFault::kUnexpected, 0},
      {"+1", JsonFault::kUnexpected, 0},
      {".5", JsonFault::kUnexpected, 0},
      {"\v1", JsonFault::kUnexpected, 0},
      {"\xc2\xa0"
       "1",
       JsonFault::kUnexpected, 0},
      {"NaN", JsonFault::kNotFinite, 0},
      {"{\"a\":Infinity}", JsonFault::kNotFinite, 5},
      {"[-Infinity]", JsonFault::kNotFinite, 1},
      {"01", JsonFault::kNumber, 0},
      {"-x", JsonFault::kNumber, 1},
      {"1.e5", JsonFault::kNumber, 2},
      {"1ex", JsonFault::kNumber, 2},
      {"0x10", JsonFault::kTrailing, 1},
      {"1_000", JsonFault::kTrailing, 1},
      {"\"a\nb\"", JsonFault::kControlByte, 2},
      {"\"\0\""s, JsonFault::kControlByte, 1},
      {"\"12345678\x1f\"", JsonFault::kControlByte, 9},
      {R"("\x41")", JsonFault::kEscape, 1},
      {R"("\u12g4")", JsonFault::kEscape, 5},
      {R"("\U0041")", JsonFault::kEscape, 1},
      {R"("\ud800")", JsonFault::kLoneSurrogate, 1},
      {R"("\ud800x")", JsonFault::kLoneSurrogate, 1},
      {R"("\ud800\n")", JsonFault::kLoneSurrogate, 1},
      {R"("\ud800\ud800")", JsonFault::kLoneSurrogate, 1},
      {R"("a\udc00")", JsonFault::kLoneSurrogate, 2},
      {"\"\x80\"", JsonFault::kUtf8, 1},
      {"\"\xc0\x80\"", JsonFault::kUtf8, 1},
      {"\"\xc3(\"", JsonFault::kUtf8, 1},
      {"\"\xe0\x80\x80\"", JsonFault::kUtf8, 1},
      {"\"\xed\xa0\x80\"", JsonFault::kUtf8, 1},
      {"\"\xf0\x80\x80\x80\"", JsonFault::kUtf8, 1},
      {"\"\xf4\x90\x80\x80\"", JsonFault::kUtf8, 1},
      {"\"\xff\"", JsonFault::kUtf8, 1},
      {"{\"\xff\":1}", JsonFault::kUtf8, 2},
  };
  for (const Refusal& refusal : refusals) {
    std::size_t at = 0;
    const auto fault = fault_of(refusal.text, &at);
    EXPECT_EQ(json_fault_text(fault), json_fault_text(refusal.fault)) << refusal.text;
    EXPECT_EQ(at, refusal.at) << refusal.text;
  }
}

TEST(JsonScanner, NestingCostsNoStack) {
  for (const std::size_t depth : {10'000U, 1'000'000U, 10'000'000U}) {
    const std::string open(depth, '[');
    EXPECT_EQ(fault_of(open), JsonFault::kTruncated) << depth;
    EXPECT_EQ(fault_of(open + std::string(depth, ']')), JsonFault::kNone) << depth;
    EXPECT_EQ(fault_of(open + std::string(depth - 1, ']') + "}"), JsonFault::kUnexpected) << depth;
  }
  std::string objects;
  for (int i = 0; i < 100'000; ++i) objects += i % 3 == 0 ? "[" : "{\"a\":";
  EXPECT_EQ(fault_of(objects), JsonFault::kTruncated);
  objects += "0";
  for (int i = 99'999; i >= 0; --i) objects += i % 3 == 0 ? "]" : "}";
  EXPECT_EQ(fault_of(objects), JsonFault::kNone);
}

TEST(JsonScanner, HandsOutMembersInOrderWithTheTextOfNumbers) {
  JsonScanner scanner;
  JsonString name;
  JsonValue value;
  ASSERT_TRUE(scanner.start(R"( {"a":-1.50e+3,"\u0062":"x\ty","c":[{"a":2}],"a":null} )"));
  ASSERT_TRUE(scanner.next_member(name, value));
  EXPECT_EQ(name.raw, "a");
  EXPECT_EQ(value.number, "-1.50e+3");
  ASSERT_TRUE(scanner.next_member(name, value));
  EXPECT_TRUE(name.escaped);
  EXPECT_EQ(unescaped(name.raw), "b");
  EXPECT_EQ(unescaped(value.string.raw), "x\ty");
  ASSERT_TRUE(scanner.next_member(name, value));
  EXPECT_EQ(value.kind, JsonKind::kArray);
  ASSERT_TRUE(scanner.next_member(name, value));
  EXPECT_EQ(name.raw, "a");
  EXPECT_FALSE(name.escaped);
  EXPECT_EQ(value.kind, JsonKind::kNull);
  EXPECT_FALSE(scanner.next_member(name, value));
  EXPECT_EQ(scanner.fault(), JsonFault::kNone);
}

TEST(JsonScanner, EscapesBecomeUtf8) {
  EXPECT_EQ(unescaped(R"(\"\\\/\b\f\n\r\t)"), "\"\\/\b\f\n\r\t");
  EXPECT_EQ(unescaped(R"(\u0041\u00e9\u20AC\ud83d\uDE00|)"), "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80|");
  EXPECT_EQ(unescaped(R"(\u0000)"), "\0"s);
  EXPECT_EQ(unescaped(R"(\udbff\udfff)"), "\xf4\x8f\xbf\xbf");
}

rc::Gen<std::string> json_text(int depth) {
  auto scalar = rc::gen::element<std::string>(
      "null", "true", "false", "0", "-0", "12.5", "-1e5", "1E-7", "123456789012345678", R"("")", R"("plain text")",
      R"("\u0041\n")", R"("\ud83d\ude00")", "\"\xc3\xa9\xe2\x82\xac\"", R"("eight bytes and more\\")");
  if (depth == 0) return scalar;
  const auto items = rc::gen::resize(4, rc::gen::container<std::vector<std::string>>(json_text(depth - 1)));
  return rc::gen::oneOf(scalar, rc::gen::apply(
                                    [](const std::vector<std::string>& values, bool object) {
                                      std::string text = object ? "{" : "[";
                                      for (std::size_t i = 0; i < values.size(); ++i) {
                                        if (i > 0) text += i % 2 == 0 ? "," : " , ";
                                        if (object) text += "\"k" + std::to_string(i) + "\": ";
                                        text += values[i];
                                      }
                                      return text + (object ? "}" : "]");
                                    },
                                    items, rc::gen::arbitrary<bool>()));
}

RC_GTEST_PROP(JsonScannerProperty, AgreesWithRapidJsonOnMutatedTexts, ()) {
  std::string text = *json_text(3);
  RC_ASSERT(fault_of(text) == JsonFault::kNone);
  const int mutations = *rc::gen::inRange(0, 4);
  for (int i = 0; i < mutations && !text.empty(); ++i) {
    const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
    const char with = *rc::gen::oneOf(rc::gen::arbitrary<char>(), rc::gen::elementOf("{}[]\",:\\ue0189.-+ \n\t"s));
    switch (*rc::gen::inRange(0, 3)) {
      case 0:
        text[at] = with;
        break;
      case 1:
        text.insert(at, 1, with);
        break;
      default:
        text.erase(at, *rc::gen::inRange<std::size_t>(1, 3));
    }
  }
  const JsonFault fault = fault_of(text);
  const Judgement judgement = judge_json(text);
  if (judgement == Judgement::kUnsure || fault == JsonFault::kLoneSurrogate) return;
  RC_ASSERT((judgement == Judgement::kAccepts) == (fault == JsonFault::kNone));
}

}  // namespace
}  // namespace culvert
