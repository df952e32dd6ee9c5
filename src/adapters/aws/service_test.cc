// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/service.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "fakes/http_fake_server.h"

namespace culvert::aws {
namespace {

using fakes::FakeFault;
using fakes::FakeReply;
using fakes::FakeRequest;
using fakes::HttpFakeServer;
using std::chrono::milliseconds;

class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    chain_options_.environment = [](const char* name) -> std::optional<std::string> {
      if (std::string_view{name} == "AWS_ACCESS_KEY_ID") return "AKIDEXAMPLE";
      if (std::string_view{name} == "AWS_SECRET_ACCESS_KEY") return "hidden";
      return std::nullopt;
    };
  }
  Result<http::Response> call(std::deque<FakeReply> script, milliseconds timeout = milliseconds{5'000}) {
    script_ = std::move(script);
    CredentialChain chain(client_, clock_, chain_options_);
    Service service(client_, chain, clock_,
                    {.name = "Example",
                     .endpoint = server_.endpoint(),
                     .region = "eu-central-1",
                     .signing_name = "example",
                     .backoff_least = milliseconds{1},
                     .backoff_most = milliseconds{5}});
    http::Request request{.method = "POST"};
    request.body = "{}";
    return service.call(request, clock_.steady() + timeout);
  }
  // Signed dates, in the order of the requests.
  std::vector<std::string> dates() {
    const std::lock_guard lock(mutex_);
    return dates_;
  }

  std::mutex mutex_;
  std::deque<FakeReply> script_;  // the last one is repeated
  std::vector<std::string> dates_;
  SystemClock clock_;
  CredentialOptions chain_options_;
  HttpFakeServer server_{[this](const FakeRequest& request) {
    const std::lock_guard lock(mutex_);
    EXPECT_TRUE(request.header("Authorization").starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    dates_.push_back(request.header("X-Amz-Date"));
    FakeReply reply = script_.front();
    if (script_.size() > 1) script_.pop_front();
    return reply;
  }};
  http::DnsResolver resolver_;
  http::Client client_{{}, resolver_};
};

TEST_F(ServiceTest, ThrottlingServerErrorsAndLostRepliesAreSentAgain) {
  const auto response = call({{.status = 400, .body = R"({"__type":"ThrottlingException"})"},
                              {.status = 503, .body = "busy"},
                              {.fault = FakeFault::kReset},
                              {.status = 429},
                              {.status = 200, .body = "{\"ok\":1}"}});
  ASSERT_TRUE(response) << response.error().message;
  EXPECT_EQ(response->body, "{\"ok\":1}");
  EXPECT_EQ(dates().size(), 5u);
}

TEST_F(ServiceTest, ARefusalIsTheAnswerAndIsNotRepeated) {
  const auto response = call({{.status = 400, .body = R"({"__type":"x#AccessDeniedException","Message":"no"})"}});
  ASSERT_TRUE(response);
  const Refusal refusal = read_refusal(*response);
  EXPECT_EQ(refusal.code, "AccessDeniedException");
  EXPECT_EQ(refusal.text(), "AccessDeniedException: no");
  EXPECT_EQ(dates().size(), 1u);
}

TEST_F(ServiceTest, TheDeadlineEndsTheAttempts) {
  const auto response =
      call({{.status = 500, .body = "<Error><Code>InternalFailure</Code></Error>"}}, milliseconds{50});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kUnavailable);
  EXPECT_TRUE(response.error().retriable);
  EXPECT_NE(response.error().message.find("Example: gave up after"), std::string::npos) << response.error().message;
  EXPECT_NE(response.error().message.find("InternalFailure"), std::string::npos) << response.error().message;
}

TEST_F(ServiceTest, AWrongClockIsCorrectedOnceByTheServicesOwn) {
  const FakeReply skewed{.status = 403,
                         .headers = {{"Date", "Tue, 24 Nov 2020 10:00:00 GMT"}},
                         .body = R"({"__type":"InvalidSignatureException","message":"Signature expired"})"};
  const auto response = call({skewed, {.status = 200, .body = "{}"}});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200);
  ASSERT_EQ(dates().size(), 2u);
  EXPECT_EQ(dates()[1].substr(0, 11), "20201124T10");
}

TEST_F(ServiceTest, AWrongSecretIsNotTakenForAWrongClock) {
  // The service's date is our own, so the clock cannot be the cause.
  const auto now = std::chrono::floor<std::chrono::seconds>(clock_.wall());
  const std::time_t seconds = now.time_since_epoch().count();
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char date[64];
  std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  const auto response = call({{.status = 403,
                               .headers = {{"Date", date}},
                               .body = R"({"__type":"InvalidSignatureException","message":"does not match"})"}});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 403);
  EXPECT_EQ(dates().size(), 1u);
}

TEST_F(ServiceTest, AnExpiredTokenIsFetchedAnewOnce) {
  const FakeReply expired{.status = 400, .body = R"({"__type":"ExpiredTokenException","message":"expired"})"};
  const auto response = call({expired, expired, {.status = 200}});
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 400);
  EXPECT_EQ(dates().size(), 2u);
}

TEST_F(ServiceTest, WithoutCredentialsNothingIsSent) {
  chain_options_.environment = [](const char* name) -> std::optional<std::string> {
    if (std::string_view{name} == "AWS_EC2_METADATA_DISABLED") return "true";
    return std::nullopt;
  };
  const auto response = call({{.status = 200}});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().kind, ErrorKind::kPermission);
  EXPECT_TRUE(dates().empty());
}

TEST(ServiceEndpoint, TheMoreSpecificVariableWins) {
  std::map<std::string, std::string> variables;
  const Environment environment = [&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    if (found == variables.end()) return std::nullopt;
    return found->second;
  };
  const auto endpoint = [&](const std::string& region) {
    const auto found = service_endpoint(environment, "SECRETS_MANAGER", "secretsmanager", region);
    return found ? found->text() : found.error().message;
  };
  EXPECT_EQ(endpoint("eu-central-1"), "https://secretsmanager.eu-central-1.amazonaws.com:443");
  EXPECT_EQ(endpoint("cn-north-1"), "https://secretsmanager.cn-north-1.amazonaws.com.cn:443");
  variables["AWS_ENDPOINT_URL"] = "http://127.0.0.1:5000";
  EXPECT_EQ(endpoint("eu-central-1"), "http://127.0.0.1:5000");
  variables["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = "http://127.0.0.1:5001";
  EXPECT_EQ(endpoint("eu-central-1"), "http://127.0.0.1:5001");
  variables["AWS_ENDPOINT_URL_SECRETS_MANAGER"] = "nonsense";
  EXPECT_TRUE(endpoint("eu-central-1").starts_with("AWS_ENDPOINT_URL_SECRETS_MANAGER: "));
}

TEST(ReadRefusal, EveryFormOfAnErrorIsRead) {
  const auto text = [](int status, std::string body, std::vector<http::Header> headers = {}) {
    return read_refusal(http::Response{status, std::move(headers), std::move(body)}).text();
  };
  EXPECT_EQ(text(400, R"({"__type":"a.b#NotFoundException","message":"m"})"), "NotFoundException: m");
  EXPECT_EQ(text(404, R"({"message":"m"})", {{"x-amzn-ErrorType", "NotFoundException:http://x/"}}),
            "NotFoundException: m");
  EXPECT_EQ(text(400, "<ErrorResponse><Error><Code>TargetGroupNotFound</Code><Message>&apos;a&apos;</Message>"),
            "TargetGroupNotFound: 'a'");
  EXPECT_EQ(text(502, "upstream"), "HTTP 502");
}

}  // namespace
}  // namespace culvert::aws
