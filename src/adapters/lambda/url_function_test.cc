// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/url_function.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>

#include "fakes/http_fake_server.h"

namespace culvert::lambda {
namespace {

using fakes::FakeFault;
using fakes::FakeReply;
using fakes::FakeRequest;
using fakes::HttpFakeServer;

constexpr Millis kPatience{30'000};

class UrlFunctionTest : public testing::Test {
 protected:
  InvocationOutcome invoke(const std::string& url, const std::string& event, Millis timeout = kPatience) {
    UrlFunctionOptions options;
    options.url = url;
    options.timeout = timeout;
    options.wake = [this] {
      const std::lock_guard lock(mutex_);
      woken_ = true;
      changed_.notify_all();
    };
    auto function = UrlFunction::open(options, clock_);
    EXPECT_TRUE(function.ok()) << function.error().message;
    (*function)->submit(Ticket{5}, std::make_shared<const std::string>(event));
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, kPatience, [this] { return woken_; }));
    woken_ = false;
    auto outcomes = (*function)->take_outcomes();
    EXPECT_EQ(outcomes.size(), 1u);
    return outcomes.empty() ? InvocationOutcome{} : outcomes.front();
  }

  SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

TEST_F(UrlFunctionTest, PostsToTheEmulatorsPathUnlessAnotherIsNamed) {
  HttpFakeServer server([](const FakeRequest& request) -> FakeReply {
    return {.headers = {{"X-Amzn-RequestId", "id-7"}},
            .body = request.method + " " + request.target + " " + request.body};
  });
  const InvocationOutcome outcome = invoke(server.url(), "event");
  EXPECT_EQ(outcome.end, InvocationEnd::kResponse);
  EXPECT_EQ(outcome.text, "POST /2015-03-31/functions/function/invocations event");
  EXPECT_EQ(outcome.ticket, Ticket{5});
  EXPECT_EQ(outcome.request_id, "id-7");
  EXPECT_EQ(invoke(server.url() + "/my/function", "e").text, "POST /my/function e");
}

TEST_F(UrlFunctionTest, TellsErrorsOfTheFunctionFromThoseOfTheEndpoint) {
  FakeReply reply;
  HttpFakeServer server([&](const FakeRequest&) { return reply; });
  reply = {.headers = {{"X-Amz-Function-Error", "Unhandled"}}, .body = "anything"};
  EXPECT_EQ(invoke(server.url(), "e").end, InvocationEnd::kFunctionError);
  reply = {.body = R"({"errorMessage":"m","errorType":"T","stackTrace":[]})"};
  EXPECT_EQ(invoke(server.url(), "e").end, InvocationEnd::kFunctionError);
  reply = {.body = R"({"errorMessage":"a field that happens to be called so"})"};
  EXPECT_EQ(invoke(server.url(), "e").end, InvocationEnd::kResponse);
  reply = {.status = 502, .body = "bad gateway"};
  InvocationOutcome outcome = invoke(server.url(), "e");
  EXPECT_EQ(outcome.end, InvocationEnd::kUnreachable);
  EXPECT_EQ(outcome.text, "it answered 502: bad gateway");
  EXPECT_EQ(outcome.status, 502);
  reply = {.fault = FakeFault::kReset};
  outcome = invoke(server.url(), "e");
  EXPECT_EQ(outcome.end, InvocationEnd::kUnreachable);
  EXPECT_EQ(outcome.status, 0);
}

TEST_F(UrlFunctionTest, AUrlThatIsNoneIsRefused) {
  UrlFunctionOptions options;
  options.url = "ftp://host";
  const auto opened = UrlFunction::open(options, clock_);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().kind, ErrorKind::kConfiguration);
}

}  // namespace
}  // namespace culvert::lambda
