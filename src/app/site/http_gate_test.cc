// SPDX-License-Identifier: Apache-2.0
#include "app/site/http_gate.h"

#include <gtest/gtest.h>

namespace culvert {
namespace {

constexpr const char* kToken = "4f1d0c8a9be7264dd0f1";

http::ServerRequest request(std::vector<http::Header> headers) { return {"GET", "/", std::move(headers)}; }

TEST(HttpGateTest, WithoutATokenOnlyOwnNamesAreServed) {
  const HttpGate gate("127.0.0.1", std::nullopt, "secret");
  for (const char* host : {"127.0.0.1", "127.0.0.1:8080", "localhost:1", "LocalHost", "[::1]:80"}) {
    EXPECT_EQ(gate.judge(request({{"Host", host}})), GateVerdict::kOpen) << host;
  }
  for (const char* host : {"evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example", "",
                           "127.0.0.2", "[::1].evil.example"}) {
    EXPECT_EQ(gate.judge(request({{"Host", host}})), GateVerdict::kForeignHost) << host;
  }
  EXPECT_EQ(HttpGate("127.0.0.2", std::nullopt, "s").judge(request({{"Host", "127.0.0.2:99"}})), GateVerdict::kOpen);
}

TEST(HttpGateTest, TokenOpensAsBearer) {
  const HttpGate gate("0.0.0.0", kToken, "secret");
  EXPECT_EQ(gate.judge(request({{"Authorization", std::string("Bearer ") + kToken}})), GateVerdict::kOpen);
  EXPECT_EQ(gate.judge(request({{"authorization", std::string("bearer  ") + kToken + " "}})), GateVerdict::kOpen);
  for (const std::string& wrong : {std::string("Bearer "), std::string("Bearer x"), std::string(kToken),
                                   std::string("Basic ") + kToken, std::string("Bearer ") + kToken + "x"}) {
    EXPECT_EQ(gate.judge(request({{"Authorization", wrong}})), GateVerdict::kNoToken) << wrong;
  }
  EXPECT_EQ(gate.judge(request({})), GateVerdict::kNoToken);
}

TEST(HttpGateTest, CookieOfTheLoginOpensAndIsNotTheToken) {
  const HttpGate gate("0.0.0.0", kToken, "secret");
  EXPECT_FALSE(gate.login("wrong").has_value());
  EXPECT_FALSE(gate.login("").has_value());
  const auto cookie = gate.login(kToken);
  ASSERT_TRUE(cookie.has_value());
  EXPECT_EQ(cookie->find(kToken), std::string::npos);
  EXPECT_NE(cookie->find("HttpOnly"), std::string::npos);
  EXPECT_NE(cookie->find("SameSite=Strict"), std::string::npos);
  const std::string pair = cookie->substr(0, cookie->find(';'));
  EXPECT_EQ(gate.judge(request({{"Cookie", pair}})), GateVerdict::kOpen);
  EXPECT_EQ(gate.judge(request({{"Cookie", "a=b; " + pair + "; c=d"}})), GateVerdict::kOpen);
  for (const std::string& wrong : {pair + "0", pair.substr(0, pair.size() - 1), std::string("culvert_session="),
                                   std::string("culvert_session"), "x" + pair, std::string(";;;")}) {
    EXPECT_EQ(gate.judge(request({{"Cookie", wrong}})), GateVerdict::kNoToken) << wrong;
  }
  // Another process has another secret: its sessions do not open this one.
  EXPECT_EQ(HttpGate("0.0.0.0", kToken, "other").judge(request({{"Cookie", pair}})), GateVerdict::kNoToken);
}

}  // namespace
}  // namespace culvert
