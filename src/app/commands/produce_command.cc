// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "adapters/kafka/admin.h"
#include "adapters/kafka/producer.h"
#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/cli/progress_line.h"
#include "app/fleet/sensor_options.h"
#include "app/fleet/sensor_stream.h"
#include "app/session/kafka_client_config.h"

namespace culvert {

namespace {

// A little longer than a record may be under way, so that every one of them is acknowledged or has failed.
constexpr Millis kFlushMost{130'000};
// What a stop may take.
constexpr Millis kFlushAtStop{9'000};
constexpr Millis kFlushSlice{200};
constexpr Millis kAdminTimeout{30'000};

class ProduceCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    kafka_.declare(options, GroupOption::kNone);
    options
        .integer("create-topic", {1, 10'001}, &create_partitions_,
                 "Make the topic with this many partitions if it is not there.")
        .value_name = "PARTITIONS";
    sensors_.declare(options, SensorDefaults{});
  }

  Result<int> run(CommandContext& context) override {
    auto target = kafka_.target(context.log);
    if (!target) return target.error();
    const auto config = kafka_client_config(*target, context.log);
    if (create_partitions_) {
      if (auto created = create_topic(config, target->topic, context.log); !created) return created.error();
    }
    auto producer = kafka::Producer::open(config, {.topic = target->topic});
    if (!producer) return producer.error();
    return produce(**producer, context);
  }

 private:
  Result<void> create_topic(const kafka::KafkaConfig& config, const std::string& topic, Log& log) const;
  Result<int> produce(kafka::Producer& producer, CommandContext& context) const;

  KafkaOptions kafka_;
  SensorOptions sensors_;
  std::optional<std::int64_t> create_partitions_;
};

// A topic that exists is left as it is.
Result<void> ProduceCommand::create_topic(const kafka::KafkaConfig& config, const std::string& topic, Log& log) const {
  auto admin = kafka::Admin::open(config);
  if (!admin) return admin.error();
  // Answered first, because a cluster that cannot be reached or refuses us must not look like a topic that is missing.
  if (auto reached = (*admin)->cluster(kAdminTimeout); !reached) return reached.error();
  auto known = (*admin)->topic(topic, kAdminTimeout);
  if (known) {
    const auto partitions = static_cast<std::int64_t>(known->partitions.size());
    if (partitions != *create_partitions_) {
      log.warning("the topic exists with another number of partitions",
                  {{"topic", topic}, {"partitions", partitions}, {"asked_for", *create_partitions_}});
    }
    return {};
  }
  const auto created =
      (*admin)->create_topic({.name = topic, .partitions = static_cast<int>(*create_partitions_)}, kAdminTimeout);
  if (!created) return created.error();
  if (auto ready = (*admin)->wait_for_topic(topic, kAdminTimeout); !ready) return ready.error();
  log.info("topic created", {{"topic", topic}, {"partitions", *create_partitions_}});
  return {};
}

std::int64_t signed_count(std::uint64_t count) { return static_cast<std::int64_t>(count); }

void show(ProgressLine& progress, const kafka::ProducerCounters& counters) {
  progress.update(signed_count(counters.acknowledged),
                  {{"under_way", counters.under_way()}, {"failed", counters.failed}});
}

// Until nothing is under way; a stop shortens the wait.
void drain(kafka::Producer& producer, ProgressLine& progress, CommandContext& context) {
  const SteadyTime start = context.clock.steady();
  std::optional<SteadyTime> stopped;
  while (producer.counters().under_way() > 0) {
    const SteadyTime now = context.clock.steady();
    if (context.stop.requested() && !stopped) stopped = now;
    if (now - start > kFlushMost || (stopped && now - *stopped > kFlushAtStop)) return;
    // What is still under way is told by the counters, not by this outcome.
    static_cast<void>(producer.flush(kFlushSlice));
    show(progress, producer.counters());
  }
}

Result<int> ProduceCommand::produce(kafka::Producer& producer, CommandContext& context) const {
  const SensorPlan plan = sensors_.plan(context.clock.wall());
  SensorStream stream(plan, producer, context.clock);
  ProgressLine progress("produce", ProgressGoal{plan.total, plan.duration}, context.log, context.live, context.clock);
  std::optional<Error> error;
  while (!context.stop.requested() && !error) {
    auto more = stream.advance();
    if (!more) error = more.error();
    if (more && !*more) break;
    show(progress, producer.counters());
  }
  drain(producer, progress, context);
  progress.finish();

  const kafka::ProducerCounters& counters = producer.counters();
  const auto acknowledged = signed_count(counters.acknowledged);
  const double seconds = std::chrono::duration<double>(progress.elapsed()).count();
  context.out.line(
      fmt::format("produce: acknowledged={} failed={} unknown={} bad={} late={} seconds={:.3f} rate={:.0f}/s",
                  acknowledged, counters.failed, counters.under_way(), stream.totals().bad, stream.totals().late,
                  seconds, progress.overall_rate(acknowledged)));
  if (error) return *error;
  if (counters.failed == 0 && counters.under_way() == 0) return 0;
  const std::string what =
      fmt::format("{} records failed, {} were not acknowledged in time", counters.failed, counters.under_way());
  if (producer.first_failure()) return producer.first_failure()->within(what);
  return Error::fatal(ErrorKind::kUnavailable, what + " (are the brokers up? see --log-level debug)");
}

}  // namespace

CommandSpec produce_command() {
  return CommandSpec{
      "produce",
      CommandGroup::kRun,
      "send the records of simulated sensors",
      "Sends records of simulated sensors to a topic, keyed by device, and waits until each is acknowledged by all "
      "in-sync replicas. Prints how many were acknowledged and how many failed.",
      {{"20 sensors, 200 records a second, until Ctrl-C", "culvert produce -b localhost:9092 -t readings"},
       {"a million records as fast as possible, the same ones each time",
        "culvert produce -b localhost:9092 -t readings --rate max --count 1M --start-time 2026-01-01T00:00:00Z"},
       {"disorder, late and broken records",
        "culvert produce -b localhost:9092 -t readings --disorder 5s --late-share 0.1% --bad-share 0.1%"}},
      {{0, "every record was acknowledged"},
       {69, "the brokers cannot be reached, or a record was not acknowledged in time"}},
      [] { return std::unique_ptr<Command>(std::make_unique<ProduceCommand>()); }};
}

}  // namespace culvert
