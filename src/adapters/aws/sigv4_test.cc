// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/sigv4.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "adapters/aws/msk_iam.h"

namespace culvert::aws {
namespace {

struct Case {
  std::string name;
  Credentials credentials;
  std::string date, region, service;
  std::string method, path, query, body;
  std::vector<http::Header> headers;
  int presign_s = 0;
  std::string signature;
};

std::vector<std::string> words(const std::string& text) {
  std::istringstream stream(text);
  std::vector<std::string> out;
  for (std::string word; stream >> word;) out.push_back(word);
  return out;
}

void take_line(Case& c, const std::string& word, const std::string& rest) {
  const auto parts = words(rest);
  if (word == "credentials") {
    c.credentials = {parts.at(0), parts.at(1), parts.size() > 2 ? parts[2] : "", std::nullopt};
  } else if (word == "scope") {
    c.date = parts.at(0), c.region = parts.at(1), c.service = parts.at(2);
  } else if (word == "request") {
    c.method = parts.at(0), c.path = rest.substr(c.method.size() + 1);
  } else if (word == "header") {
    c.headers.push_back({rest.substr(0, rest.find(':')), rest.substr(rest.find(':') + 1)});
  } else if (word == "query") {
    c.query = rest;
  } else if (word == "body") {
    c.body = rest;
  } else if (word == "presign") {
    c.presign_s = std::stoi(rest);
  } else if (word == "signature") {
    c.signature = rest;
  } else {
    ADD_FAILURE() << "unknown word in the vectors: " << word;
  }
}

std::vector<Case> read_cases() {
  std::ifstream file(CULVERT_GOLDEN "/sigv4.txt");
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line.front() == '#') continue;
    const std::string word = line.substr(0, line.find(' '));
    const std::string rest = line.substr(word.size() + 1);
    if (word == "case") {
      cases.emplace_back().name = rest;
    } else {
      take_line(cases.back(), word, rest);
    }
  }
  return cases;
}

const std::string* header_of(const Case& c, std::string_view name) { return http::find_header(c.headers, name); }

TEST(SigV4, AllVectorsAgree) {
  const auto cases = read_cases();
  ASSERT_GE(cases.size(), 30U);
  for (const Case& c : cases) {
    if (c.presign_s > 0) continue;
    Signer signer(c.region, c.service);
    const std::string hash = hex(sha256(c.body));
    const auto canonical = canonical_request({c.method, c.path, parse_query(c.query), c.headers, hash});
    EXPECT_EQ(signer.signature(canonical.text, c.date, c.credentials), c.signature) << c.name << "\n" << canonical.text;
  }
}

TEST(SigV4, SigningARequestAddsExactlyWhatTheVectorsHold) {
  int checked = 0;
  for (const Case& c : read_cases()) {
    if (c.service != "dynamodb") continue;
    Signer signer(c.region, c.service);
    http::Request request{.method = c.method, .target = c.path, .body = c.body};
    for (const char* name : {"Content-Type", "X-Amz-Target"}) request.headers.push_back({name, *header_of(c, name)});
    signer.sign(request, *header_of(c, "Host"), c.credentials, *parse_amz_date(c.date));
    const std::string& authorization = *http::find_header(request.headers, "authorization");
    EXPECT_TRUE(authorization.ends_with("Signature=" + c.signature)) << c.name << ": " << authorization;
    EXPECT_EQ(*http::find_header(request.headers, "x-amz-date"), c.date);
    EXPECT_EQ(http::find_header(request.headers, "host"), nullptr);
    EXPECT_EQ(http::find_header(request.headers, "x-amz-security-token") != nullptr,
              !c.credentials.session_token.empty());
    ++checked;
  }
  EXPECT_GE(checked, 6);
}

TEST(SigV4, PresignedUrlsAgree) {
  int checked = 0;
  for (const Case& c : read_cases()) {
    if (c.presign_s == 0) continue;
    Signer signer(c.region, c.service);
    const auto target = signer.presign(c.method, *header_of(c, "Host"), c.path, parse_query(c.query), c.credentials,
                                       *parse_amz_date(c.date), std::chrono::seconds{c.presign_s});
    EXPECT_TRUE(target.ends_with("&X-Amz-Signature=" + c.signature)) << c.name << ": " << target;
    ++checked;
  }
  EXPECT_GE(checked, 2);
}

// What is kept from one request to the next must not leak into one that differs in anything.
TEST(SigV4, SignerThatHasSignedOthersSignsAsANewOneDoes) {
  const auto now = *parse_amz_date("20260304T235959Z");
  const auto sign = [&](Signer& signer, int variant) {
    http::Request request{.method = variant == 1 ? "PUT" : "POST", .target = variant == 2 ? "/x?b=1&a=2" : "/"};
    request.headers = {{"Content-Type", variant == 3 ? "text/plain" : "application/x-amz-json-1.0"}};
    if (variant == 4) request.headers.push_back({"X-Amz-Target", "DynamoDB_20120810.PutItem"});
    request.body = variant == 5 ? "other" : "body";
    const Credentials credentials{variant == 6 ? "OTHER" : "AKID", variant == 7 ? "other secret" : "secret",
                                  variant == 8 ? "token" : "", std::nullopt};
    signer.sign(request, variant == 9 ? "other.test" : "host.test", credentials,
                now + std::chrono::seconds{variant == 10 ? 1 : 0});
    return request.headers;
  };
  Signer used("eu-central-1", "dynamodb");
  for (int variant = 0; variant <= 10; ++variant) {
    for (int other = 0; other <= 10; ++other) {
      (void)sign(used, other);
      Signer fresh("eu-central-1", "dynamodb");
      EXPECT_EQ(sign(used, variant), sign(fresh, variant)) << other << " before " << variant;
    }
  }
}

TEST(SigV4, SigningKeyFollowsDayAndSecret) {
  Signer signer("eu-central-1", "dynamodb");
  const Credentials first{"A", "secret-1", "", std::nullopt};
  const Credentials second{"A", "secret-2", "", std::nullopt};
  const std::string a = signer.signature("x", "20260101T000000Z", first);
  EXPECT_NE(signer.signature("x", "20260101T000000Z", second), a);
  EXPECT_NE(signer.signature("x", "20260102T000000Z", first), a);
  EXPECT_EQ(signer.signature("x", "20260101T000000Z", first), a);
}

TEST(SigV4, DatesReadBack) {
  const auto time = parse_amz_date("20150830T123600Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(amz_date(*time), "20150830T123600Z");
  for (const char* text : {"", "20150830T123600", "2015-08-30T12:36:00Z", "20151330T123600Z", "20150830 123600Z"}) {
    EXPECT_FALSE(parse_amz_date(text)) << text;
  }
}

TEST(Digest, LongKeysAreHashedFirst) {
  // RFC 4231, test case 6.
  EXPECT_EQ(hex(hmac_sha256(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(Digest, Base64UrlHasNoPadding) {
  EXPECT_EQ(base64url(""), "");
  EXPECT_EQ(base64url("f"), "Zg");
  EXPECT_EQ(base64url("fo"), "Zm8");
  EXPECT_EQ(base64url("foo"), "Zm9v");
  EXPECT_EQ(base64url("\xff\xfe\xfd"), "__79");
}

TEST(MskIam, TokenIsThePresignedUrlWithTheUserAgentBehindIt) {
  const auto now = *parse_amz_date("20260304T050607Z");
  const Credentials credentials{"AKIDMSK", "secret/key+of/test", "", now + std::chrono::seconds{300}};
  const auto token = msk_iam_token("eu-central-1", credentials, now);
  EXPECT_EQ(
      token.value,
      base64url("https://kafka.eu-central-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm="
                "AWS4-HMAC-SHA256&X-Amz-Credential=AKIDMSK%2F20260304%2Feu-central-1%2Fkafka-cluster%2Faws4_request"
                "&X-Amz-Date=20260304T050607Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature="
                "f4263c1e5779ec13c53e510b0bc44d373ff1dcfe4d42aa3500df4f93f68b7a4b&User-Agent=culvert"));
  EXPECT_EQ(token.expires_at, now + std::chrono::seconds{300});
  EXPECT_EQ(token.value.find('='), std::string::npos);
}

}  // namespace
}  // namespace culvert::aws
