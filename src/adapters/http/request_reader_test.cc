// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/request_reader.h"

#include <gtest/gtest.h>

namespace culvert::http {
namespace {

constexpr std::string_view kPost =
    "POST /2018-06-01/runtime/invocation/7/response?x=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: t\r\n\r\n";

TEST(RequestReaderTest, ReadsTheSameWhereverTheBytesAreCut) {
  for (std::size_t cut = 1; cut < kPost.size(); ++cut) {
    RequestReader reader(4096, 4096);
    std::string unparsed(kPost.substr(0, cut));
    unparsed.erase(0, reader.feed(unparsed));
    unparsed += kPost.substr(cut);
    unparsed.erase(0, reader.feed(unparsed));
    ASSERT_EQ(reader.state(), RequestReader::State::kComplete) << cut;
    EXPECT_EQ(reader.request().method, "POST");
    EXPECT_EQ(reader.request().target, "/2018-06-01/runtime/invocation/7/response?x=1");
    EXPECT_EQ(reader.request().body, "hello world") << cut;
    EXPECT_TRUE(unparsed.empty());
    EXPECT_TRUE(reader.keeps_alive());
  }
}

TEST(RequestReaderTest, AnEmptyChunkedBodyMayComeByteByByte) {
  const std::string_view post = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  RequestReader reader(4096, 4096);
  std::string unparsed;
  for (const char byte : post) {
    ASSERT_NE(reader.state(), RequestReader::State::kComplete);
    unparsed += byte;
    unparsed.erase(0, reader.feed(unparsed));
  }
  EXPECT_EQ(reader.state(), RequestReader::State::kComplete);
  EXPECT_TRUE(reader.request().body.empty());
}

TEST(RequestReaderTest, LeavesTheNextRequestAlone) {
  RequestReader reader(4096, 4096);
  const std::string two = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n";
  EXPECT_EQ(reader.feed(two), two.size() / 2);
  EXPECT_EQ(reader.state(), RequestReader::State::kComplete);
  EXPECT_EQ(reader.request().target, "/1");
}

TEST(RequestReaderTest, ProxyFormGivesItsPath) {
  RequestReader reader(4096, 4096);
  (void)reader.feed("GET http://example.net/a?b HTTP/1.1\r\nHost: example.net\r\n\r\n");
  EXPECT_EQ(reader.request().target, "/a?b");
}

TEST(RequestReaderTest, Http10NeedsNoHostAndDoesNotKeepTheConnection) {
  RequestReader reader(4096, 4096);
  (void)reader.feed("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(reader.state(), RequestReader::State::kComplete);
  EXPECT_FALSE(reader.keeps_alive());
  EXPECT_FALSE(reader.chunks_allowed());
}

TEST(TargetTest, DecodesPathAndQuery) {
  const auto parts = parse_target("/api/v1/devices/a%2Fb%20c?search=%C3%A4+b&&flag&x=1=2");
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(parts->path, "/api/v1/devices/a/b c");
  ASSERT_NE(parts->parameter("search"), nullptr);
  EXPECT_EQ(*parts->parameter("search"), "\xC3\xA4 b");
  EXPECT_EQ(*parts->parameter("flag"), "");
  EXPECT_EQ(*parts->parameter("x"), "1=2");
  EXPECT_EQ(parts->parameter("y"), nullptr);
}

TEST(TargetTest, ValueMayHoldAnyByte) {
  const auto parts = parse_target("/x?a=%00%ff");
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(*parts->parameter("a"), std::string("\0\xff", 2));
}

TEST(TargetTest, RefusesBrokenEncodingAndNulInThePath) {
  for (const char* target : {"/%", "/%1", "/%zz", "/%00", "/?a=%", "/?%=1"}) {
    EXPECT_FALSE(parse_target(target).ok()) << target;
  }
}

}  // namespace
}  // namespace culvert::http
