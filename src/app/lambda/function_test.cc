// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <map>

#include "app/lambda/function_environment.h"
#include "app/lambda/function_log.h"
#include "app/lambda/role.h"

namespace culvert::function {
namespace {

std::string refusal(const Entries& entries) {
  const auto role = make_consume_role();
  OptionSet options;
  role->declare(options);
  const auto read = read_environment(options, entries);
  return read ? "" : read.error().message;
}

TEST(FunctionEnvironment, HasTheCommandsOptions) {
  EXPECT_EQ(refusal({{"CULVERT_TABLE", "dynamodb:telemetry"},
                     {"CULVERT_CHECKPOINT_TABLE", "c"},
                     {"CULVERT_DEAD_LETTER_TABLE", "d"},
                     {"CULVERT_WINDOW", "5m"},
                     {"CULVERT_ADVANCE", "1m"},
                     {"CULVERT_OUT_OF_ORDERNESS", "5s"},
                     {"CULVERT_ALLOWED_LATENESS", "1h"},
                     {"CULVERT_KEY_TYPE", "string"},
                     {"CULVERT_GENERATION", "3"},
                     {"CULVERT_GAPS", "empty"},
                     {"CULVERT_EXPIRE_AFTER", "30d"},
                     {"CULVERT_ROLE", "consume"}}),
            "");
}

TEST(FunctionEnvironment, RefusesWhatItDoesNotKnowAndWhatIsWrong) {
  EXPECT_EQ(refusal({{"CULVERT_TABLE", "dynamodb:t"}, {"CULVERT_WINDWO", "5m"}}),
            "CULVERT_WINDWO: the function has no such option (did you mean 'CULVERT_WINDOW'?)");
  EXPECT_EQ(refusal({{"CULVERT_TABLE", "dynamodb:t"}, {"CULVERT_WINDOW", "5"}}),
            "CULVERT_WINDOW: '5' is not a duration such as 250ms, 10s, 5m or 1h30m");
  EXPECT_NE(refusal({}).find("CULVERT_TABLE is not set"), std::string::npos) << refusal({});
  EXPECT_NE(refusal({{"CULVERT_TABLE", ""}}).find("CULVERT_TABLE is not set"), std::string::npos);
  EXPECT_NE(refusal({{"CULVERT_TABLE", "sqlite:file"}}).find("no disk"), std::string::npos);
  EXPECT_NE(refusal({{"CULVERT_TABLE", "dynamodb:t"}, {"CULVERT_CREATE_TABLE", "true"}}).find("no such option"),
            std::string::npos);
  EXPECT_NE(refusal({{"CULVERT_TABLE", "dynamodb:t"}, {"CULVERT_WINDOW", "1m"}, {"CULVERT_ADVANCE", "7s"}}), "");
  EXPECT_NE(refusal({{"CULVERT_TABLE", "dynamodb:t"}, {"CULVERT_EXPIRE_AFTER", "1h"}}).find("CULVERT_EXPIRE_AFTER"),
            std::string::npos);
}

// What was written to a descriptor.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe(ends_.data()), 0); }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  [[nodiscard]] int descriptor() const { return ends_[1]; }
  std::string read() {
    std::array<char, 8192> buffer{};
    const ssize_t got = ::read(ends_[0], buffer.data(), buffer.size());
    return {buffer.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }

 private:
  std::array<int, 2> ends_{};
};

lambda::Invocation invocation() {
  lambda::Invocation out;
  out.request_id = "r-1";
  out.trace_id = "Root=1-2-3;Parent=4;Sampled=0";
  out.cold_start = true;
  return out;
}

FunctionLog::Options options_for(int descriptor, std::map<std::string, std::string> set) {
  auto options = FunctionLog::Options::from([&](const char* name) -> std::optional<std::string> {
    const auto found = set.find(name);
    return found == set.end() ? std::nullopt : std::optional(found->second);
  });
  options.log_descriptor = descriptor;
  options.metrics_descriptor = descriptor;
  return options;
}

TEST(FunctionLog, LinesHaveTheKeysThatToolsLookFor) {
  Pipe pipe;
  const ManualClock clock{WallTime{std::chrono::seconds{1'800'000'000}}};
  FunctionLog log(options_for(pipe.descriptor(), {{"AWS_LAMBDA_FUNCTION_NAME", "f"}}), clock);
  const auto served = invocation();
  log.debug("not shown", &served);
  log.error("failed", &served, {{"error", "two\nlines"}, {"records", 3}});
  EXPECT_EQ(pipe.read(),
            R"({"timestamp":"2027-01-15T08:00:00.000Z","level":"ERROR","message":"failed","service":"f",)"
            R"("function_request_id":"r-1","xray_trace_id":"1-2-3","cold_start":true,"error":"two\u000alines",)"
            R"("records":3})"
            "\n");
}

TEST(FunctionLog, TextIsOneLine) {
  Pipe pipe;
  const ManualClock clock{WallTime{std::chrono::seconds{1'800'000'000}}};
  FunctionLog log(
      options_for(pipe.descriptor(), {{"AWS_LAMBDA_LOG_FORMAT", "Text"}, {"AWS_LAMBDA_LOG_LEVEL", "DEBUG"}}), clock);
  log.debug("two\nlines", nullptr, {{"n", 1}});
  EXPECT_EQ(pipe.read(), "2027-01-15T08:00:00.000Z DEBUG - two lines n=1\n");
}

TEST(FunctionLog, MetricsAreEmbedded) {
  Pipe pipe;
  const ManualClock clock{WallTime{std::chrono::seconds{1'800'000'000}}};
  FunctionLog log(options_for(pipe.descriptor(), {{"AWS_LAMBDA_LOG_LEVEL", "ERROR"}}), clock);
  const std::array<Metric, 2> metrics{{{"records", "Count", 5}, {"flush_ms", "Milliseconds", 7}}};
  log.metrics(metrics, invocation());
  const std::string text = pipe.read();
  EXPECT_EQ(text.find('\n'), text.size() - 1);
  const auto line = boost::json::parse(text).as_object();
  EXPECT_EQ(line.at("records").as_int64(), 5);
  EXPECT_EQ(line.at("flush_ms").as_int64(), 7);
  const auto& aws = line.at("_aws").as_object();
  EXPECT_EQ(aws.at("Timestamp").as_int64(), 1'800'000'000'000);
  const auto& directive = aws.at("CloudWatchMetrics").as_array().at(0).as_object();
  EXPECT_EQ(directive.at("Namespace").as_string(), "culvert");
  // Each dimension must be a member of the line.
  EXPECT_EQ(line.at("service").as_string(), "culvert-lambda");
  EXPECT_EQ(boost::json::serialize(directive.at("Dimensions")), R"([["service"]])");
  EXPECT_EQ(boost::json::serialize(directive.at("Metrics")),
            R"([{"Name":"records","Unit":"Count"},{"Name":"flush_ms","Unit":"Milliseconds"}])");
}

}  // namespace
}  // namespace culvert::function
