// SPDX-License-Identifier: Apache-2.0
// A custom runtime of AWS Lambda: asks for invocations, has them handled, answers.
//
// Flow    Runtime API (next) -> [Runtime] -> Handler -> Runtime API (response or error), one loop or several at once.
// Owner   the program's main(); run() does not return while the Runtime API works.
// Time    no time-out of our own on any call: the process is frozen inside `next`, for hours, and a clock that went on
//         meanwhile must not end anything.  The deadline of an invocation comes with it and is the handler's business.
// Bounds  loops_most loops; a payload of payload_bytes_most.
// See     AWS, "Using the Lambda runtime API for custom runtimes"; docs/operating.md: function.
//
// A reply that gets lost costs a repetition of the batch, which the offset fence turns into nothing.  What the Runtime
// API itself cannot do (5xx, gone) ends run(): Lambda then starts the program anew.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "adapters/clock/clock.h"
#include "adapters/http/client.h"
#include "adapters/http/resolver.h"
#include "adapters/lambda/handler.h"
#include "model/result.h"

namespace culvert::lambda {

inline constexpr int kLoopsMost = 256;
inline constexpr std::size_t kPayloadBytesMost = 16 << 20;  // Lambda's limit is 6 MB

// A variable's value; nullopt if it is not set or empty.
using Variables = std::function<std::optional<std::string>(const char* name)>;

struct RuntimeOptions {
  http::Endpoint endpoint;
  int loops = 1;

  // AWS_LAMBDA_RUNTIME_API and AWS_LAMBDA_MAX_CONCURRENCY.  Error: kConfiguration, fatal.
  [[nodiscard]] static Result<RuntimeOptions> from(const Variables& variables);
};

class Runtime {
 public:
  // Called for each loop before the first invocation is asked for.
  using MakeHandler = std::function<Result<std::unique_ptr<Handler>>()>;
  // Something that the Runtime API refused and that is over with: for the log.
  using Notice = std::function<void(const Invocation& invocation, const std::string& what)>;

  // `clock` and `resolver` must outlive it.  With one loop, made before there are other threads: it adds
  // _X_AMZN_TRACE_ID to the environment, where libraries and child processes look for it.
  Runtime(RuntimeOptions options, const Clock& clock, http::Resolver& resolver, Notice notice);
  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;
  ~Runtime();

  // Says that the program cannot start, and why; it is to end afterwards.
  void report_init_error(const Error& error);

  // Serves until the Runtime API fails; returns why.  A handler that cannot be made is reported as an init error.
  [[nodiscard]] Error run(const MakeHandler& make_handler);

 private:
  class TraceVariable;
  enum class Answered { kYes, kTooLarge };

  [[nodiscard]] Error loop(Handler& handler);
  [[nodiscard]] Result<http::Response> next();
  [[nodiscard]] Result<void> serve(Handler& handler, http::Response response);
  [[nodiscard]] Result<void> answer(const Invocation& invocation, Result<std::string> result);
  [[nodiscard]] Result<Answered> post(const Invocation& invocation, std::string_view what, std::string body,
                                      std::string_view error_type);
  [[nodiscard]] http::Outcome call(http::Request request);
  const RuntimeOptions options_;
  const Clock& clock_;
  const Notice notice_;
  std::unique_ptr<TraceVariable> trace_;
  std::mutex first_mutex_;
  bool first_invocation_ = true;
  std::unique_ptr<http::Client> client_;
};

// `{"errorMessage":..,"errorType":..,"stackTrace":[]}` and its type, as the Runtime API wants them.
[[nodiscard]] std::string error_type(const Error& error);
[[nodiscard]] std::string error_body(const Error& error);

}  // namespace culvert::lambda
