// SPDX-License-Identifier: Apache-2.0
// The function's log: lines on stderr and metrics on stdout, which Lambda hands to CloudWatch.
//
// Flow    Runtime and roles -> [FunctionLog] -> descriptors 2 and 1, each line by one write.
// Owner   main(); any thread.
// Time    wall clock of the call.  Nothing is queued: the process may be frozen right after an invocation.
// Bounds  a line is as long as its fields; payloads and credentials are not among them, by construction.
// See     docs/operating.md: function; CloudWatch, "Embedded metric format specification".
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "adapters/aws/credentials.h"
#include "adapters/clock/clock.h"
#include "adapters/lambda/handler.h"
#include "app/cli/log.h"

namespace culvert::function {

struct Metric {
  std::string_view name;
  std::string_view unit;  // `Count`, `Milliseconds`
  std::int64_t value;
};

class FunctionLog {
 public:
  using Fields = std::initializer_list<LogField>;

  struct Options {
    LogLevel level = LogLevel::kInfo;
    bool json = true;
    std::string service = "culvert-lambda";
    int log_descriptor = 2;
    int metrics_descriptor = 1;
    // AWS_LAMBDA_LOG_LEVEL, AWS_LAMBDA_LOG_FORMAT, AWS_LAMBDA_FUNCTION_NAME.  Words that are not known change nothing.
    [[nodiscard]] static Options from(const aws::Environment& environment);
  };

  FunctionLog(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}

  // `invocation` is null outside of one.
  void debug(std::string_view message, const lambda::Invocation* invocation, Fields fields = {});
  void info(std::string_view message, const lambda::Invocation* invocation, Fields fields = {});
  void error(std::string_view message, const lambda::Invocation* invocation, Fields fields = {});
  [[nodiscard]] bool enabled(LogLevel level) const { return level >= options_.level; }

  // One line in embedded metric format, with the function's name as the only dimension.
  void metrics(std::span<const Metric> metrics, const lambda::Invocation& invocation);

 private:
  void write(LogLevel level, std::string_view message, const lambda::Invocation* invocation, Fields fields);

  const Options options_;
  const Clock& clock_;
};

// `1-5759e988-bd862e3fe1be46a994272793` of `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=..;Sampled=1`.
[[nodiscard]] std::string_view trace_root(std::string_view trace_id);

}  // namespace culvert::function
