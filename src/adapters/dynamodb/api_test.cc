// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/api.h"

#include <gtest/gtest.h>

#include <string>

namespace culvert::dynamodb {
namespace {

Verdict verdict(int status, const std::string& body, const std::string& type_header = "") {
  http::Response response{status, {}, body};
  if (!type_header.empty()) response.headers.push_back({"X-Amzn-ErrorType", type_header});
  return judge(response).verdict;
}

std::string typed(const std::string& type) {
  return R"({"__type":"com.amazonaws.dynamodb.v20120810#)" + type + R"(","message":"why"})";
}

TEST(Judge, EveryAnswerHasItsMeaning) {
  EXPECT_EQ(verdict(200, "{}"), Verdict::kOk);
  EXPECT_EQ(verdict(200, "<html>"), Verdict::kServerFailed);
  EXPECT_EQ(verdict(200, ""), Verdict::kServerFailed);
  EXPECT_EQ(verdict(400, typed("ConditionalCheckFailedException")), Verdict::kConditionFailed);
  EXPECT_EQ(verdict(400, typed("ProvisionedThroughputExceededException")), Verdict::kThrottled);
  EXPECT_EQ(verdict(400, typed("ThrottlingException")), Verdict::kThrottled);
  EXPECT_EQ(verdict(400, typed("RequestLimitExceeded")), Verdict::kThrottled);
  EXPECT_EQ(verdict(400, typed("InternalServerError")), Verdict::kServerFailed);
  EXPECT_EQ(verdict(500, "not json"), Verdict::kServerFailed);
  EXPECT_EQ(verdict(503, ""), Verdict::kServerFailed);
  EXPECT_EQ(verdict(400, typed("InvalidSignatureException")), Verdict::kClockSkewed);
  EXPECT_EQ(verdict(400, typed("ExpiredTokenException")), Verdict::kTokenExpired);
  EXPECT_EQ(verdict(400, typed("ValidationException")), Verdict::kRefused);
  EXPECT_EQ(verdict(400, typed("AccessDeniedException")), Verdict::kRefused);
  EXPECT_EQ(verdict(403, "<html>"), Verdict::kRefused);
  EXPECT_EQ(verdict(400, "{", "ThrottlingException:http://internal/"), Verdict::kThrottled);
}

TEST(Judge, BothSpellingsOfTheMessageAreRead) {
  EXPECT_EQ(judge({400, {}, R"({"__type":"x#E","message":"a"})"}).message, "a");
  EXPECT_EQ(judge({400, {}, R"({"__type":"x#E","Message":"b"})"}).message, "b");
  EXPECT_EQ(judge({400, {}, R"({"__type":"x#E","message":7})"}).message, "");
}

}  // namespace
}  // namespace culvert::dynamodb
