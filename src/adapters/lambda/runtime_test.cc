// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/runtime.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>

#include "fakes/http_fake_server.h"

namespace culvert::lambda {
namespace {

using fakes::FakeFault;
using fakes::FakeReply;
using fakes::FakeRequest;
using std::chrono::milliseconds;

constexpr WallTime kNow{std::chrono::seconds{1'800'000'000}};

// The Runtime API with a queue of invocations; once it is empty, `next` fails and the runtime ends.
class RuntimeApi {
 public:
  struct Event {
    std::string id;
    std::string payload;
    std::string deadline = "1800000010000";  // ten seconds after kNow
    bool chunked = false;
    FakeFault fault = FakeFault::kNone;
  };

  void add(Event event) { events_.push_back(std::move(event)); }
  void answer_with(int status) { answer_status_ = status; }
  // With several loops the first one that finds the queue empty must not end the others before they have answered.
  void end_after_posts(std::size_t count) { posts_least_ = count; }

  [[nodiscard]] RuntimeOptions options(int loops = 1) { return {server_.endpoint(), loops}; }
  // Of what was posted, `response`, `error` or `init/error`, by the invocation's id.
  [[nodiscard]] std::string posted(const std::string& target) const {
    const auto found = posted_.find("/2018-06-01/runtime/" + target);
    return found == posted_.end() ? "nothing" : found->second.body;
  }
  [[nodiscard]] std::string posted_type(const std::string& target) const {
    return posted_.at("/2018-06-01/runtime/" + target).header("Lambda-Runtime-Function-Error-Type");
  }
  [[nodiscard]] std::size_t posts() const { return posted_.size(); }

 private:
  FakeReply reply(const FakeRequest& request) {
    if (request.method == "POST") {
      posted_[request.target] = request;
      return {.status = answer_status_ != 0 && request.target.ends_with("/response") ? answer_status_ : 202};
    }
    if (request.target != "/2018-06-01/runtime/invocation/next") return {.status = 500};
    if (events_.empty() && posts() < posts_least_) return {.fault = FakeFault::kSilence};
    if (events_.empty()) return {.status = 500};
    const Event event = std::move(events_.front());
    events_.pop_front();
    FakeReply reply{.body = event.payload, .fault = event.fault, .chunked = event.chunked};
    reply.headers = {{"Lambda-Runtime-Aws-Request-Id", event.id},
                     {"Lambda-Runtime-Deadline-Ms", event.deadline},
                     {"Lambda-Runtime-Trace-Id", "Root=" + event.id},
                     {"Lambda-Runtime-Invoked-Function-Arn", "arn:f"}};
    return reply;
  }

  std::deque<Event> events_;
  std::map<std::string, FakeRequest> posted_;
  int answer_status_ = 0;
  std::size_t posts_least_ = 0;
  fakes::HttpFakeServer server_{[this](const FakeRequest& request) { return reply(request); }};
};

class FunctionHandler final : public Handler {
 public:
  using Function = std::function<Result<std::string>(const Invocation&, std::string&)>;
  explicit FunctionHandler(Function function) : function_(std::move(function)) {}
  Result<std::string> handle(const Invocation& invocation, std::string& payload) override {
    return function_(invocation, payload);
  }

 private:
  Function function_;
};

class RuntimeTest : public ::testing::Test {
 protected:
  // Serves everything that was added; returns why it ended.
  Error run(FunctionHandler::Function function, int loops = 1) {
    Runtime runtime(api_.options(loops), clock_, resolver_,
                    [this](const Invocation&, const std::string& what) { notices_.push_back(what); });
    return runtime.run([&]() -> Result<std::unique_ptr<Handler>> {
      return std::unique_ptr<Handler>(std::make_unique<FunctionHandler>(function));
    });
  }

  RuntimeApi api_;
  ManualClock clock_{kNow};
  http::DnsResolver resolver_;
  std::vector<std::string> notices_;
};

TEST_F(RuntimeTest, ServesUntilTheRuntimeApiFails) {
  api_.add({.id = "one", .payload = "first"});
  api_.add({.id = "two", .payload = std::string(3'000'000, 'x'), .chunked = true});
  std::vector<Invocation> seen;
  std::vector<std::size_t> bytes;
  std::vector<std::string> traces;
  const Error ended = run([&](const Invocation& invocation, std::string& payload) {
    seen.push_back(invocation);
    bytes.push_back(payload.size());
    const char* trace = ::getenv("_X_AMZN_TRACE_ID");
    traces.emplace_back(trace == nullptr ? "none" : trace);
    return std::string("{}");
  });
  EXPECT_NE(ended.message.find("next: HTTP 500"), std::string::npos) << ended.message;
  ASSERT_EQ(seen.size(), 2U);
  EXPECT_EQ(seen[0].request_id, "one");
  EXPECT_EQ(seen[0].function_arn, "arn:f");
  EXPECT_EQ(seen[0].until - clock_.steady(), milliseconds{10'000});
  EXPECT_TRUE(seen[0].cold_start);
  EXPECT_FALSE(seen[1].cold_start);
  EXPECT_EQ(bytes, (std::vector<std::size_t>{5, 3'000'000}));
  EXPECT_EQ(traces, (std::vector<std::string>{"Root=one", "Root=two"}));
  EXPECT_EQ(::getenv("_X_AMZN_TRACE_ID"), nullptr);
  EXPECT_EQ(api_.posted("invocation/one/response"), "{}");
  EXPECT_EQ(api_.posted("invocation/two/response"), "{}");
  EXPECT_TRUE(notices_.empty());
}

TEST_F(RuntimeTest, AFailedInvocationIsPostedAndTheNextOneServed) {
  api_.add({.id = "bad", .payload = ""});
  api_.add({.id = "good", .payload = ""});
  (void)run([&](const Invocation& invocation, std::string&) -> Result<std::string> {
    if (invocation.request_id == "good") return std::string("null");
    return Error::retriable_error(ErrorKind::kUnavailable, "table \"t\": cannot be reached");
  });
  EXPECT_EQ(api_.posted("invocation/bad/error"),
            R"({"errorMessage":"table \"t\": cannot be reached","errorType":"Culvert.Unavailable","stackTrace":[]})");
  EXPECT_EQ(api_.posted_type("invocation/bad/error"), "Culvert.Unavailable");
  EXPECT_EQ(api_.posted("invocation/good/response"), "null");
}

TEST_F(RuntimeTest, AHandlerThatCannotBeMadeIsAnInitError) {
  Runtime runtime(api_.options(), clock_, resolver_, [](const Invocation&, const std::string&) {});
  const Error ended = runtime.run([]() -> Result<std::unique_ptr<Handler>> {
    return Error::fatal(ErrorKind::kConfiguration, "CULVERT_TABLE is not set");
  });
  EXPECT_EQ(ended.message, "CULVERT_TABLE is not set");
  EXPECT_NE(api_.posted("init/error").find("CULVERT_TABLE is not set"), std::string::npos);
  EXPECT_EQ(api_.posted_type("init/error"), "Culvert.Configuration");
}

TEST_F(RuntimeTest, AResponseThatIsTooLargeFailsTheInvocation) {
  api_.answer_with(413);
  api_.add({.id = "one", .payload = ""});
  (void)run([](const Invocation&, std::string&) { return std::string("{}"); });
  EXPECT_NE(api_.posted("invocation/one/error").find("larger than Lambda takes"), std::string::npos);
}

TEST_F(RuntimeTest, AResponseThatIsRefusedIsNotedAndServingGoesOn) {
  api_.answer_with(400);  // the invocation had timed out meanwhile
  api_.add({.id = "one", .payload = ""});
  api_.add({.id = "two", .payload = ""});
  (void)run([](const Invocation&, std::string&) { return std::string("{}"); });
  EXPECT_EQ(api_.posts(), 2U);
  ASSERT_EQ(notices_.size(), 2U);
  EXPECT_NE(notices_[0].find("response: HTTP 400"), std::string::npos) << notices_[0];
}

TEST_F(RuntimeTest, AServerErrorForAResponseEndsTheRuntime) {
  api_.answer_with(503);
  api_.add({.id = "one", .payload = ""});
  api_.add({.id = "two", .payload = ""});
  const Error ended = run([](const Invocation&, std::string&) { return std::string("{}"); });
  EXPECT_NE(ended.message.find("response: HTTP 503"), std::string::npos) << ended.message;
  EXPECT_EQ(api_.posts(), 1U);
}

TEST_F(RuntimeTest, AnInvocationWithoutDeadlineFails) {
  api_.add({.id = "one", .payload = "", .deadline = "soon"});
  (void)run([](const Invocation&, std::string&) -> Result<std::string> {
    ADD_FAILURE() << "handled without a deadline";
    return std::string("{}");
  });
  EXPECT_NE(api_.posted("invocation/one/error").find("deadline"), std::string::npos);
}

TEST_F(RuntimeTest, ABrokenConnectionInNextIsMadeAnew) {
  api_.add({.id = "lost", .payload = "", .fault = FakeFault::kReset});
  api_.add({.id = "cut", .payload = "0123456789", .fault = FakeFault::kTruncate});
  api_.add({.id = "one", .payload = ""});
  (void)run([](const Invocation&, std::string&) { return std::string("{}"); });
  EXPECT_EQ(api_.posts(), 1U);
  EXPECT_EQ(api_.posted("invocation/one/response"), "{}");
}

TEST_F(RuntimeTest, SeveralLoopsHandleAtOnce) {
  constexpr int kLoops = 4;
  for (int i = 0; i < kLoops; ++i) api_.add({.id = std::to_string(i), .payload = ""});
  api_.end_after_posts(kLoops);
  std::mutex mutex;
  std::condition_variable all_in;
  int inside = 0;
  int cold = 0;
  (void)run(
      [&](const Invocation& invocation, std::string&) -> Result<std::string> {
        std::unique_lock lock(mutex);
        cold += invocation.cold_start ? 1 : 0;
        ++inside;
        all_in.notify_all();
        // Nobody gets on before all are in, so this passes only if they are in at once.
        if (!all_in.wait_for(lock, std::chrono::seconds{30}, [&] { return inside == kLoops; })) {
          ADD_FAILURE() << "only " << inside << " loops at once";
        }
        return std::string("{}");
      },
      kLoops);
  EXPECT_EQ(api_.posts(), 4U);
  EXPECT_EQ(cold, 1);
}

TEST(RuntimeOptionsTest, ComeFromTheEnvironment) {
  std::map<std::string, std::string> set{{"AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"}};
  const auto from = [&] {
    return RuntimeOptions::from([&](const char* name) -> std::optional<std::string> {
      const auto found = set.find(name);
      return found == set.end() ? std::nullopt : std::optional(found->second);
    });
  };
  ASSERT_TRUE(from().ok());
  EXPECT_EQ(from()->endpoint.port, 9001);
  EXPECT_FALSE(from()->endpoint.tls);
  EXPECT_EQ(from()->loops, 1);
  set["AWS_LAMBDA_MAX_CONCURRENCY"] = "8";
  EXPECT_EQ(from()->loops, 8);
  for (const char* wrong : {"0", "-1", "many", "257", "1.5"}) {
    set["AWS_LAMBDA_MAX_CONCURRENCY"] = wrong;
    EXPECT_FALSE(from().ok()) << wrong;
  }
  set.erase("AWS_LAMBDA_MAX_CONCURRENCY");
  set["AWS_LAMBDA_RUNTIME_API"] = "not an address/";
  EXPECT_FALSE(from().ok());
  set.erase("AWS_LAMBDA_RUNTIME_API");
  EXPECT_NE(from().error().message.find("culvert bridge"), std::string::npos);
}

}  // namespace
}  // namespace culvert::lambda
