// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/runtime.h"

#include <fmt/format.h>
#include <stdlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <thread>
#include <utility>
#include <vector>

#include "model/json_text.h"

namespace culvert::lambda {

namespace {

using std::chrono::milliseconds;

constexpr std::string_view kBase = "/2018-06-01/runtime/";
// A connection that breaks while nothing is under way is made anew; beyond that the Runtime API is gone.
constexpr int kNextAttemptsMost = 3;
constexpr milliseconds kNextPause{50};

std::string header_of(const http::Response& response, std::string_view name) {
  const std::string* value = response.header(name);
  return value == nullptr ? std::string() : *value;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

Error configuration(std::string message) { return Error::fatal(ErrorKind::kConfiguration, std::move(message)); }

http::ClientOptions client_options(const RuntimeOptions& options) {
  http::ClientOptions client;
  client.connections_most = static_cast<std::size_t>(options.loops);
  client.body_bytes_most = kPayloadBytesMost;
  // One loop has nothing to do but wait.  Several would hand the connections' work from one to the other.
  client.own_thread = options.loops > 1;
  return client;
}

http::Request request_for(std::string method, std::string target) {
  return {.method = std::move(method), .target = std::move(target), .timeout = http::kNoTimeout};
}

}  // namespace

// The environment's own storage, written in place: setenv() would move it under the feet of threads that read other
// variables at that moment.
class Runtime::TraceVariable {
 public:
  TraceVariable() {
    kName.copy(text_.data(), kName.size());
    ::putenv(text_.data());
  }
  TraceVariable(const TraceVariable&) = delete;
  TraceVariable& operator=(const TraceVariable&) = delete;
  ~TraceVariable() { ::unsetenv("_X_AMZN_TRACE_ID"); }

  void set(std::string_view id) {
    id = id.substr(0, text_.size() - kName.size() - 1);
    text_.at(kName.size() + id.size()) = '\0';
    id.copy(text_.data() + kName.size(), id.size());
  }

 private:
  static constexpr std::string_view kName = "_X_AMZN_TRACE_ID=";
  std::array<char, 512> text_{};
};

Result<RuntimeOptions> RuntimeOptions::from(const Variables& variables) {
  RuntimeOptions options;
  const auto api = variables("AWS_LAMBDA_RUNTIME_API");
  if (!api) {
    return configuration(
        "AWS_LAMBDA_RUNTIME_API is not set: this program is run by AWS Lambda, or by culvert bridge --function PATH");
  }
  const auto url = http::parse_url("http://" + *api);
  if (!url || url->target != "/") return configuration("AWS_LAMBDA_RUNTIME_API is not HOST:PORT");
  options.endpoint = url->endpoint;
  if (const auto text = variables("AWS_LAMBDA_MAX_CONCURRENCY")) {
    const auto loops = whole_number(*text);
    if (!loops || *loops < 1 || *loops > kLoopsMost) {
      return configuration(fmt::format("AWS_LAMBDA_MAX_CONCURRENCY is not a whole number from 1 to {}", kLoopsMost));
    }
    options.loops = static_cast<int>(*loops);
  }
  return options;
}

std::string error_type(const Error& error) {
  switch (error.kind) {
    case ErrorKind::kUsage:
      return "Culvert.Usage";
    case ErrorKind::kData:
      return "Culvert.Data";
    case ErrorKind::kUnavailable:
      return "Culvert.Unavailable";
    case ErrorKind::kInternal:
      return "Culvert.Internal";
    case ErrorKind::kIo:
      return "Culvert.Io";
    case ErrorKind::kTryAgain:
      return "Culvert.TryAgain";
    case ErrorKind::kPermission:
      return "Culvert.Permission";
    case ErrorKind::kConfiguration:
      return "Culvert.Configuration";
  }
  return "Culvert.Internal";
}

std::string error_body(const Error& error) {
  return fmt::format(R"({{"errorMessage":{},"errorType":"{}","stackTrace":[]}})", json_string(error.message),
                     error_type(error));
}

Runtime::Runtime(RuntimeOptions options, const Clock& clock, http::Resolver& resolver, Notice notice)
    : options_(std::move(options)),
      clock_(clock),
      notice_(std::move(notice)),
      // With several invocations at once there is no one trace that the environment could name.
      trace_(options_.loops == 1 ? std::make_unique<TraceVariable>() : nullptr),
      client_(std::make_unique<http::Client>(client_options(options_), resolver)) {}

Runtime::~Runtime() = default;

http::Outcome Runtime::call(http::Request request) { return client_->call(options_.endpoint, std::move(request)); }

void Runtime::report_init_error(const Error& error) {
  http::Request request = request_for("POST", fmt::format("{}init/error", kBase));
  request.headers = {{"Content-Type", "application/json"}, {"Lambda-Runtime-Function-Error-Type", error_type(error)}};
  request.body = error_body(error);
  const http::Outcome outcome = call(std::move(request));
  if (!outcome.ok()) notice_({}, outcome.failure().error.within("init/error").message);
}

Error Runtime::run(const MakeHandler& make_handler) {
  std::vector<std::unique_ptr<Handler>> handlers;
  for (int i = 0; i < options_.loops; ++i) {
    auto handler = make_handler();
    if (!handler) {
      report_init_error(handler.error());
      return handler.error();
    }
    handlers.push_back(std::move(*handler));
  }
  std::mutex mutex;
  std::optional<Error> first;
  const auto serve_with = [&](Handler& handler) {
    Error ended = loop(handler);
    {
      const std::lock_guard lock(mutex);
      if (!first) first = std::move(ended);
    }
    // Ends what the other loops wait for; a handler at work finishes first.
    client_->abandon();
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < handlers.size(); ++i) others.emplace_back([&, i] { serve_with(*handlers[i]); });
    serve_with(*handlers.front());
  }
  return *first;
}

Error Runtime::loop(Handler& handler) {
  for (;;) {
    auto response = next();
    if (!response) return response.error();
    if (const auto served = serve(handler, *std::move(response)); !served) return served.error();
  }
}

Result<http::Response> Runtime::next() {
  for (int attempt = 1;; ++attempt) {
    http::Outcome outcome = call(request_for("GET", fmt::format("{}invocation/next", kBase)));
    if (outcome.ok()) {
      if (outcome.response().status == 200) return std::move(outcome.response());
      return Error::fatal(ErrorKind::kUnavailable, fmt::format("Runtime API {}: next: HTTP {}",
                                                               options_.endpoint.text(), outcome.response().status));
    }
    // An invocation that was lost with its reply runs into its time-out, and its batch comes again.
    if (!outcome.failure().error.retriable || attempt == kNextAttemptsMost) {
      return outcome.failure().error.within("Runtime API: next");
    }
    std::this_thread::sleep_for(kNextPause);
  }
}

Result<void> Runtime::serve(Handler& handler, http::Response response) {
  Invocation invocation;
  invocation.request_id = header_of(response, "Lambda-Runtime-Aws-Request-Id");
  invocation.function_arn = header_of(response, "Lambda-Runtime-Invoked-Function-Arn");
  invocation.trace_id = header_of(response, "Lambda-Runtime-Trace-Id");
  if (invocation.request_id.empty()) {
    return Error::fatal(ErrorKind::kUnavailable, "Runtime API: next: an invocation without its request id");
  }
  if (trace_) trace_->set(invocation.trace_id);
  {
    const std::lock_guard lock(first_mutex_);
    invocation.cold_start = std::exchange(first_invocation_, false);
  }
  const auto deadline = whole_number(header_of(response, "Lambda-Runtime-Deadline-Ms"));
  if (!deadline) {
    return answer(invocation,
                  Error::fatal(ErrorKind::kUnavailable, "Runtime API: next: an invocation without its deadline"));
  }
  const auto wall = std::chrono::floor<milliseconds>(clock_.wall()).time_since_epoch();
  constexpr milliseconds kLongest = std::chrono::hours{24};  // whatever the header says
  invocation.until = clock_.steady() + std::clamp(milliseconds{*deadline} - wall, -kLongest, kLongest);
  return answer(invocation, handler.handle(invocation, response.body));
}

Result<void> Runtime::answer(const Invocation& invocation, Result<std::string> result) {
  if (result) {
    const auto posted = post(invocation, "response", *std::move(result), {});
    if (!posted) return posted.error();
    if (*posted == Answered::kYes) return {};
    result = Error::fatal(ErrorKind::kInternal, "the response is larger than Lambda takes");
  }
  const auto posted = post(invocation, "error", error_body(result.error()), error_type(result.error()));
  return posted ? Result<void>() : posted.error();
}

Result<Runtime::Answered> Runtime::post(const Invocation& invocation, std::string_view what, std::string body,
                                        std::string_view error_type) {
  http::Request request = request_for("POST", fmt::format("{}invocation/{}/{}", kBase, invocation.request_id, what));
  request.headers.push_back({"Content-Type", "application/json"});
  if (!error_type.empty()) request.headers.push_back({"Lambda-Runtime-Function-Error-Type", std::string(error_type)});
  request.body = std::move(body);
  const http::Outcome outcome = call(std::move(request));
  if (!outcome.ok()) {
    // The next call finds out whether the Runtime API is still there.
    notice_(invocation, outcome.failure().error.within(fmt::format("Runtime API: {}", what)).message);
    return Answered::kYes;
  }
  const int status = outcome.response().status;
  if (status == 202) return Answered::kYes;
  if (status == 413 && what == "response") return Answered::kTooLarge;
  std::string message = fmt::format("Runtime API {}: {}: HTTP {}", options_.endpoint.text(), what, status);
  if (status >= 500) return Error::fatal(ErrorKind::kUnavailable, std::move(message));
  notice_(invocation, message);
  return Answered::kYes;
}

}  // namespace culvert::lambda
