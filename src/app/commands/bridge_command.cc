// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>

#include "adapters/lambda/function_pool.h"
#include "adapters/lambda/url_function.h"
#include "app/bridge/options.h"
#include "app/bridge/session.h"
#include "app/bridge/status.h"
#include "app/bridge/tables.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/session/kafka_client_config.h"
#include "model/json_text.h"

namespace culvert {

namespace {

constexpr std::string_view kTopicPrefix = "topic:";
constexpr std::string_view kEmbeddedMetrics = R"({"_aws":)";
constexpr int kStderr = 2;

class BridgeCommand final : public Command {
 public:
  void declare(OptionSet& options) override { options_.declare(options); }

  Result<int> run(CommandContext& context) override {
    auto target = options_.kafka.target(context.log);
    if (!target) return target.error();
    const BridgeSettings settings = make_settings(*target, context.log);
    auto sink = open_sink(settings.kafka, target->topic, context.clock);
    if (!sink) return sink.error();
    if (options_.create_table) {
      if (auto made = create_function_tables(options_, context.clock); !made) return made.error();
    }
    BridgeWaker waker;
    auto invoker = open_function(context, waker);
    if (!invoker) return invoker.error();
    if (options_.mapping().chaos.any()) {
      context.log.info("chaos", {{"seed", static_cast<std::int64_t>(options_.seed)}});
    }
    auto session = BridgeSession::open(settings, **invoker, sink->get(), waker, context.log, context.clock);
    if (!session) return session.error();
    BridgeStatus status(context.log, context.live, context.clock);
    const auto done = (*session)->run(context.stop, [&](const BridgeReport& report) { status.show(report); });
    status.finish((*session)->report());
    if (!done) return done.error();
    return 0;
  }

 private:
  BridgeSettings make_settings(const KafkaTarget& target, Log& log) const {
    BridgeSettings settings;
    settings.kafka = kafka_client_config(target, log);
    settings.consumer.topic = target.topic;
    settings.consumer.group = target.group;
    settings.consumer.with_metadata = true;
    settings.mapping = options_.mapping();
    settings.origin.kind = options_.source;
    settings.origin.topic = target.topic;
    settings.origin.bootstrap_servers = target.bootstrap_servers;
    if (options_.source == lambda::EventSourceKind::kMsk) {
      settings.origin.source_arn =
          options_.source_arn.empty()
              ? fmt::format("arn:aws:kafka:{}:000000000000:cluster/culvert/00000000-0000-0000-0000-000000000000-1",
                            options_.region())
              : options_.source_arn;
    }
    settings.function_arn =
        fmt::format("arn:aws:lambda:{}:000000000000:function:{}", options_.region(), options_.name());
    settings.start = options_.start;
    settings.exit_at_end = options_.exit_at_end;
    return settings;
  }

  Result<std::unique_ptr<FailureSink>> open_sink(const kafka::KafkaConfig& kafka, const std::string& topic,
                                                 const Clock& clock) const {
    if (options_.on_failure.empty()) return std::unique_ptr<FailureSink>{};
    if (!options_.on_failure.starts_with(kTopicPrefix)) return FailureDirectory::open(options_.on_failure, clock);
    std::string name = options_.on_failure.substr(kTopicPrefix.size());
    if (name == topic) {
      return Error::fatal(ErrorKind::kUsage, "--on-failure names the topic that is read: it would feed itself");
    }
    return FailureTopic::open(kafka, std::move(name));
  }

  Result<std::unique_ptr<lambda::Invoker>> open_function(CommandContext& context, BridgeWaker& waker) const {
    const auto wake = [&waker] { waker.wake(); };
    if (options_.function_is_url()) {
      auto function = lambda::UrlFunction::open(
          {options_.function, options_.timeout, static_cast<int>(options_.concurrency), wake}, context.clock);
      if (!function) return function.error();
      return std::unique_ptr<lambda::Invoker>(*std::move(function));
    }
    lambda::FunctionPoolOptions options;
    std::error_code failed;
    options.executable = std::filesystem::canonical(options_.function, failed).string();
    if (failed) {
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("function '{}': {}", options_.function, failed.message()));
    }
    options.name = options_.name();
    options.region = options_.region();
    options.memory_mib = static_cast<int>(options_.memory_mib);
    options.timeout = options_.timeout;
    options.instances = static_cast<int>(options_.concurrency);
    options.freeze = options_.freeze;
    options.environment = options_.environment();
    if (const auto loops = options_.function_variable("AWS_LAMBDA_MAX_CONCURRENCY")) {
      // What is no number the function itself refuses, or takes for one.
      int at_once = 1;
      std::from_chars(loops->data(), loops->data() + loops->size(), at_once);
      options.invocations_at_once = std::max(1, at_once);
    }
    options.output = output_sink(context);
    options.wake = wake;
    auto pool = lambda::FunctionPool::open(std::move(options), context.clock);
    if (!pool) return pool.error();
    return std::unique_ptr<lambda::Invoker>(*std::move(pool));
  }

  // On a terminal a prefix says whose line it is; elsewhere the log is lines of JSON, and so is this.  Metrics in
  // CloudWatch's embedded format, which the service takes out of a function's log, are not shown to people.
  lambda::FunctionOutput::LineSink output_sink(CommandContext& context) const {
    LiveArea& live = context.live;
    const FunctionLogs form = options_.function_logs;
    if (form == FunctionLogs::kNone) return {};
    const bool terminal = ::isatty(kStderr) == 1;
    return [&live, form, terminal](int instance, std::string_view line) {
      if (form == FunctionLogs::kPrefixed && line.starts_with(kEmbeddedMetrics)) return;
      std::string text;
      if (form == FunctionLogs::kPlain) {
        text = line;
      } else if (terminal) {
        text = fmt::format("[function {}] {}", instance, printable(line));
      } else {
        text = fmt::format(R"({{"level":"info","message":"function","instance":{},"line":{}}})", instance,
                           json_string(line));
      }
      live.write_above(kStderr, text + "\n");
    };
  }

  BridgeOptions options_;
};

}  // namespace

CommandSpec bridge_command() {
  return CommandSpec{
      "bridge",
      CommandGroup::kRun,
      "feed a topic to a Lambda function as AWS's event source mapping does",
      "Emulates Lambda's event source mapping for Kafka: reads a topic as a member of a consumer group, cuts batches, "
      "writes the events that Lambda writes and hands them to a function, which is started here and served the Runtime "
      "API, or called at a URL. At least once, in order inside a partition, one batch of a partition at a time; a "
      "position is committed when its records succeeded or were discarded. SIGTERM or SIGINT waits for what is under "
      "way, commits and leaves the group; no process of the function outlives the bridge.",
      {{"a function of one's own, batches of up to 500",
        "culvert bridge -b localhost:9092 -t readings -G fn --function ./bootstrap --batch-size 500"},
       {"culvert's function, four instances, into a DynamoDB on this machine",
        "culvert bridge -b localhost:9092 -t readings -G fn --function ./culvert-lambda --concurrency 4 --create-table "
        "--env CULVERT_TABLE=dynamodb:windows --env AWS_ENDPOINT_URL_DYNAMODB=http://localhost:8000"},
       {"give up after three attempts, alone with the bad record",
        "culvert bridge -b localhost:9092 -t readings -G fn --function ./bootstrap --mode provisioned --bisect "
        "--maximum-retry-attempts 2 --on-failure discarded/"},
       {"a container image with AWS's runtime interface emulator",
        "culvert bridge -b localhost:9092 -t readings -G fn --function http://localhost:9000"},
       {"what at-least-once allows",
        "culvert bridge -b localhost:9092 -t readings -G fn --function ./bootstrap --chaos "
        "recut,duplicate,drop-reply"}},
      {{65, "the group's position is above the log's end: the topic was made anew"},
       {69, "Kafka cannot be reached"},
       {74, "the on-failure directory's disk is full, read-only or failing"},
       {77, "authentication or authorisation was refused"},
       {78, "the function cannot be started"}},
      [] { return std::unique_ptr<Command>(std::make_unique<BridgeCommand>()); }};
}

}  // namespace culvert
