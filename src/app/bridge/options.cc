// SPDX-License-Identifier: Apache-2.0
#include "app/bridge/options.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <random>

#include "app/options/values.h"
#include "model/device.h"

namespace culvert {

namespace {

constexpr std::int64_t kRetriesWithDestination = 10;

struct ChaosName {
  std::string_view name;
  bool lambda::Chaos::*mode;
};
constexpr ChaosName kChaosNames[] = {{"recut", &lambda::Chaos::recut},
                                     {"duplicate", &lambda::Chaos::duplicate},
                                     {"reverse-halves", &lambda::Chaos::reverse_halves},
                                     {"drop-reply", &lambda::Chaos::drop_reply}};

std::optional<std::string> own_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());  // nobody changes the environment
  return value == nullptr ? std::nullopt : std::optional<std::string>{value};
}

Error usage(std::string message) { return Error::fatal(ErrorKind::kUsage, std::move(message)); }

}  // namespace

void BridgeOptions::declare(OptionSet& options) {
  kafka.declare(options, GroupOption::kRequired);
  declare_function(options);
  declare_batches(options);
  declare_failures(options);
  declare_chaos(options);
  options.finish([this] { return check(); });
}

void BridgeOptions::declare_function(OptionSet& options) {
  options.heading("Function");
  Option& target = options.text("function", "PATH|URL", &function,
                                "An executable that speaks Lambda's Runtime API (a `bootstrap`), or the URL of an "
                                "invocation endpoint; without a path the URL's is that of the emulator in AWS's base "
                                "images.");
  target.required = true;
  options.text("function-name", "NAME", &function_name, "Told to the function.").default_text =
      "the executable's file name";
  options.integer("concurrency", {1, 1'001}, &concurrency,
                  "Batches under way at most, each from partitions of its own; with a PATH also instances.");
  options.duration("timeout", &timeout, "An invocation that takes longer is ended and has failed.");
  options.integer("memory", {128, 10'241}, &memory_mib, "MiB that the function is told it has; not enforced.");
  options.flag("freeze", &freeze, "Stop an instance between invocations (SIGSTOP), as Lambda freezes a sandbox.");
  Option& variable = options.text("env", "NAME[=VALUE]", &variable_text_,
                                  "A variable for the function; without a value, ours. It gets those, Lambda's own, "
                                  "and AWS_* of ours; nothing else.");
  variable.repeatable = true;
  variable.apply = [this](std::string_view text, const OptionSource&) { return read_variable(text); };
  options.choice<FunctionLogs>(
      "function-logs",
      {{"prefixed", FunctionLogs::kPrefixed}, {"plain", FunctionLogs::kPlain}, {"none", FunctionLogs::kNone}},
      &function_logs,
      "What the function writes goes to stderr: with its instance's number and without metrics (EMF), as "
      "it is, or not.");
  options.flag("create-table", &create_table,
               "Make the DynamoDB tables that the function's CULVERT_TABLE names, if they are not there.");
}

void BridgeOptions::declare_batches(OptionSet& options) {
  options.heading("Batches");
  options.integer("batch-size", {1, 10'001}, &batch_size_,
                  "Records in a batch at most. 6 MB of event is the other limit.");
  options.duration("batching-window", &window_, "How long a batch that is not full waits for more, up to 5m.");
  Option& from = options.text("start", "earliest|latest|TIME", &start_text_,
                              "Where a partition begins of which the group has committed nothing.");
  from.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
    auto parsed = parse_start(text);
    if (!parsed) return parsed.error();
    start = *parsed;
    return {};
  };
  options.flag("exit-at-end", &exit_at_end, "Stop when every partition is dealt with up to its end at the start.");
  options.choice<lambda::EventSourceKind>(
      "event-source", {{"self-managed", lambda::EventSourceKind::kSelfManaged}, {"msk", lambda::EventSourceKind::kMsk}},
      &source, "Which of the two kinds of event the function gets.");
  options.text("event-source-arn", "ARN", &source_arn, "The cluster's, with --event-source msk.").default_text =
      "one made up";
}

void BridgeOptions::declare_failures(OptionSet& options) {
  options.heading("Failures");
  options.choice<bool>("mode", {{"on-demand", false}, {"provisioned", true}}, &provisioned_,
                       "on-demand: a batch that fails is tried again for ever. provisioned: as the options below say.");
  options.integer("maximum-retry-attempts", {-1, 10'001}, &retries_,
                  "Besides the first attempt, then the batch is discarded. -1: for ever; with --on-failure: 10.");
  Option& age = options.text("maximum-record-age", "DURATION|-1", &age_text_,
                             "Records that are older by their timestamps are discarded, 1m to 7d. -1: never.");
  age.apply = [this](std::string_view text, const OptionSource&) { return read_age(text); };
  options.flag("bisect", &bisect_, "Halve a batch that fails; halving is not counted as an attempt.");
  options.flag("report-batch-item-failures", &report_item_failures_,
               "Read the response's batchItemFailures: records from the first failed one on come again.");
  options.text("on-failure", "DIR|topic:NAME", &on_failure,
               "Where discarded batches go: a directory, one JSON file each, or a topic of the same cluster.");
}

void BridgeOptions::declare_chaos(OptionSet& options) {
  options.heading("Chaos");
  Option& chaos =
      options.text("chaos", "MODE,..", &chaos_text_,
                   "Do often what at-least-once delivery allows. recut: cut batches at random, and anew when "
                   "they come again. duplicate: send one twice at once, or again after it succeeded. "
                   "reverse-halves: send the second half first. drop-reply: take a success for a failure.");
  chaos.apply = [this](std::string_view text, const OptionSource&) { return read_chaos(text); };
  options.integer("seed", {0, std::int64_t{1} << 62}, &seed_, "Of chaos and back-off.").default_text =
      "random, and logged";
}

Result<void> BridgeOptions::read_chaos(std::string_view text) {
  while (!text.empty()) {
    const std::string_view word = text.substr(0, text.find(','));
    const auto* const found = std::find_if(std::begin(kChaosNames), std::end(kChaosNames),
                                           [&](const ChaosName& it) { return it.name == word; });
    if (found == std::end(kChaosNames)) {
      return refuse_value(word, "is not one of recut, duplicate, reverse-halves, drop-reply");
    }
    chaos_.*(found->mode) = true;
    text.remove_prefix(std::min(text.size(), word.size() + 1));
  }
  return {};
}

Result<void> BridgeOptions::read_age(std::string_view text) {
  age_.reset();
  if (text == "-1") return {};
  const auto seconds = DeviceId::parse_number(text);
  const auto age = seconds ? std::optional{Millis{std::chrono::seconds(*seconds)}} : parse_duration(text);
  if (!age || *age < std::chrono::minutes(1) || *age > std::chrono::hours(24 * 7)) {
    return refuse_value(text, "is neither -1 nor a duration of 1m to 7d (a bare number is seconds)");
  }
  age_ = age;
  return {};
}

Result<void> BridgeOptions::read_variable(std::string_view text) {
  const auto equals = text.find('=');
  std::string name(text.substr(0, equals));
  if (name.empty()) return refuse_value(text, "is not NAME=VALUE or NAME");
  if (name == "AWS_LAMBDA_RUNTIME_API") return refuse_value(text, "is for the bridge to say");
  std::string value;
  if (equals != std::string_view::npos) {
    value = text.substr(equals + 1);
  } else if (auto own = own_variable(name)) {
    value = *std::move(own);
  } else {
    return refuse_value(text, "is not set here, so it needs a value: NAME=VALUE");
  }
  variables_.emplace_back(std::move(name), std::move(value));
  return {};
}

Result<void> BridgeOptions::check() {
  if (window_.count() < 0 || window_ > std::chrono::minutes(5)) return usage("--batching-window is 0s to 5m");
  if (timeout < Millis{100} || timeout > std::chrono::minutes(15)) return usage("--timeout is 100ms to 15m");
  if (!provisioned_) {
    const std::pair<bool, std::string_view> given[] = {{retries_ != -1, "maximum-retry-attempts"},
                                                       {age_.has_value(), "maximum-record-age"},
                                                       {bisect_, "bisect"},
                                                       {report_item_failures_, "report-batch-item-failures"},
                                                       {!on_failure.empty(), "on-failure"}};
    for (const auto& [is_given, name] : given) {
      if (is_given) {
        return usage(
            fmt::format("--{} needs --mode provisioned: an on-demand mapping tries a failing batch again for "
                        "ever",
                        name));
      }
    }
  }
  if (create_table && !function_variable("CULVERT_TABLE")) {
    return usage("--create-table needs --env CULVERT_TABLE=dynamodb:NAME");
  }
  if (function_is_url() && (freeze || !variables_.empty())) {
    return usage("--freeze and --env are for a function that is started here, not for a URL");
  }
  std::random_device random;
  seed = seed_ ? static_cast<std::uint64_t>(*seed_) : random();
  return {};
}

lambda::MappingOptions BridgeOptions::mapping() const {
  lambda::MappingOptions options;
  options.pollers = static_cast<int>(concurrency);
  options.batch_records_most = static_cast<std::size_t>(batch_size_);
  options.window = window_;
  options.retries_most = retries_ < 0 && !on_failure.empty() ? kRetriesWithDestination : retries_;
  options.record_age_most = age_;
  options.bisect = bisect_;
  options.report_item_failures = report_item_failures_;
  options.chaos = chaos_;
  options.seed = seed;
  return options;
}

std::vector<std::pair<std::string, std::string>> BridgeOptions::environment() const {
  std::vector<std::pair<std::string, std::string>> result;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (!text.starts_with("AWS_") || text.starts_with("AWS_LAMBDA_") || equals == std::string_view::npos) continue;
    result.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  result.insert(result.end(), variables_.begin(), variables_.end());
  return result;
}

std::optional<std::string> BridgeOptions::function_variable(std::string_view name) const {
  std::optional<std::string> value;
  for (const auto& [key, text] : environment()) {
    if (key == name) value = text;
  }
  return value;
}

std::string BridgeOptions::region() const {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (const auto value = function_variable(name); value && !value->empty()) return *value;
  }
  return "us-east-1";
}

std::string BridgeOptions::name() const {
  if (!function_name.empty()) return function_name;
  return function_is_url() ? "function" : std::filesystem::path(function).stem().string();
}

bool BridgeOptions::function_is_url() const { return function.find("://") != std::string::npos; }

}  // namespace culvert
