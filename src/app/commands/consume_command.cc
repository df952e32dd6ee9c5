// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/cli/signals.h"
#include "app/options/values.h"
#include "app/session/consume_board.h"
#include "app/session/consume_session.h"
#include "app/session/consume_status.h"
#include "app/session/kafka_client_config.h"
#include "app/session/memory_budget.h"
#include "app/session/service_manager.h"
#include "app/session/start_position.h"
#include "app/site/board_about.h"
#include "app/site/listen_options.h"
#include "app/table/table.h"

namespace culvert {

namespace {

constexpr std::string_view kEarliest = "earliest";

class ConsumeCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    kafka_.declare(options, GroupOption::kRequired);
    table_.declare(options, TableUse::kWrite);
    definition_.declare(options);
    options.heading("When results become visible");
    options.duration("flush-interval", &flush_interval_, "How often changed windows are written.");
    options.choice<Emission>("emit", {{"early", Emission::kEarly}, {"final", Emission::kFinal}}, &emission_,
                             "early: every changed window at each flush. final: a window once it is closed, and again "
                             "when a late reading corrects it; fewer writes, nothing to see before the end.");
    options.heading("Where to begin and end");
    Option& start = options.text("start", "earliest|latest|TIME", &start_text_,
                                 "Where a partition without a checkpoint begins. Afterwards the checkpoint decides.");
    start.apply = [this](std::string_view text, const OptionSource&) { return read_start(text); };
    options.integer("generation", {1, std::int64_t{1} << 53}, &generation_,
                    "Incarnation of the topic: raise it by one after the topic was deleted and made anew.");
    Option& replay = options.text("replay-from", "earliest|OFFSET", &replay_text_,
                                  "Read the log again from there and fold what the table's offset fences say is "
                                  "missing. After a complete run this changes nothing.");
    replay.apply = [this](std::string_view text, const OptionSource&) { return read_replay(text); };
    options.flag("accept-loss", &accept_loss_,
                 "Go on although retention removed records before they were read; without it that is an error.");
    options.flag("exit-at-end", &exit_at_end_, "Stop when every partition is read up to its end at the start.");
    options.heading("Limits");
    options
        .bytes("memory-limit", &memory_limit_, "Memory of the process. Near it reading pauses until a flush made room.")
        .default_text = "80 % of the control group's limit or of the machine's memory";
    listen_.declare(options, "");
    options.count("ready-lag", &ready_lag_, "/readyz says no while more records than that are waiting.").default_text =
        "1M";
    options.finish([this] { return check(); });
  }

  Result<int> run(CommandContext& context) override {
    auto target = kafka_.target(context.log);
    if (!target) return target.error();
    const auto budget = memory_budget(memory_limit_);
    if (!budget) return budget.error();
    const auto listen = listen_.settings();
    if (!listen) return listen.error();
    ConsumeSettings settings = make_settings(*target, *budget, context.log);
    // Before the table, so that a slip leaves no new file or tables behind.
    if (const auto valid = kafka::validate(settings.kafka, kafka::Role::kConsumer); !valid) return valid.error();
    auto manager = ServiceManager::connect(std::getenv("NOTIFY_SOCKET"), std::getenv("WATCHDOG_USEC"));
    if (!manager) return manager.error();
    if (const auto watchdog = manager->watchdog_interval()) {
      settings.report_interval = std::clamp(*watchdog / 4, Millis{10}, settings.report_interval);
    }
    auto table = open_table(table_.table(), settings.member.pipeline.definition, context.clock);
    if (!table) return table.error();
    auto board = serve(*listen, *target, settings, context);
    if (!board) return board.error();
    auto session = ConsumeSession::open(settings, *std::move(table), context.log, context.clock);
    if (!session) return session.error();
    ConsumeStatus status(context.log, context.live, context.clock, context.colour);
    StateSignal state_signal;
    const auto done = (*session)->run(context.stop, [&](const ConsumeReport& report) {
      status.show(report);
      if (*board) (*board)->feed().on_report(report);
      if (state_signal.take()) status.dump(report);
      if (report.assigned) manager->ready();
      if (report.stopping) manager->stopping();
      manager->alive(ConsumeStatus::line(report));
    });
    status.finish((*session)->report());
    if (!done) return done.error();
    return 0;
  }

 private:
  // Null without --listen.
  Result<std::unique_ptr<ConsumeBoard>> serve(const std::optional<ListenSettings>& listen, const KafkaTarget& target,
                                              ConsumeSettings& settings, CommandContext& context) const {
    if (!listen) return std::unique_ptr<ConsumeBoard>();
    const Definition& definition = settings.member.pipeline.definition;
    auto about = board_about(table_name(table_.table()), definition);
    add_kafka(about, target);
    add_consumer(about, settings);
    SiteOptions options;
    if (ready_lag_) options.ready_lag_most = *ready_lag_;
    auto board = ConsumeBoard::serve(*listen, options, std::move(about), definition, context.clock);
    if (!board) return board.error();
    (*board)->watch(settings);
    context.log.info("serving dashboard, metrics and health", {{"url", (*board)->site().url()}});
    return board;
  }

  Result<void> read_start(std::string_view text) {
    const auto parsed = parse_start(text);
    if (!parsed) return parsed.error();
    start_ = *parsed;
    return {};
  }

  Result<void> read_replay(std::string_view text) {
    if (text == kEarliest) {
      replay_from_ = Offset{0};
      return {};
    }
    const auto offset = DeviceId::parse_number(text);
    if (!offset || *offset < 0) return refuse_value(text, "is neither earliest nor an offset (a whole number)");
    replay_from_ = Offset{*offset};
    return {};
  }

  Result<void> check() {
    if (flush_interval_.count() < 10 || flush_interval_.count() > 3'600'000) {
      return Error::fatal(ErrorKind::kUsage, "--flush-interval is 10ms to 1h");
    }
    const auto& expire_after = table_.table().expire_after;
    if (expire_after && *expire_after <= definition_.definition().allowed_lateness) {
      return Error::fatal(ErrorKind::kUsage, "--expire-after must be longer than --allowed-lateness");
    }
    if (replay_from_ && definition_.definition().kind == WindowKind::kBatch) {
      return Error::fatal(ErrorKind::kUsage,
                          "--replay-from does not go with --window batch: such windows depend on how "
                          "records were delivered");
    }
    return {};
  }

  ConsumeSettings make_settings(const KafkaTarget& target, const MemoryBudget& budget, Log& log) const {
    ConsumeSettings settings;
    settings.kafka = kafka_client_config(target, log);
    settings.consumer.topic = target.topic;
    settings.consumer.group = target.group;
    settings.consumer.fetch_bytes_max = budget.fetch_bytes;
    settings.member.topic = target.topic;
    settings.member.generation = generation_;
    settings.member.accept_loss = accept_loss_;
    settings.member.replay_from = replay_from_;
    settings.member.memory_limit_bytes = static_cast<std::size_t>(budget.delta_bytes);
    settings.member.pipeline.definition = definition_.definition();
    settings.member.pipeline.emission = emission_;
    settings.member.pipeline.expire_after = table_.table().expire_after;
    std::random_device salt;
    settings.member.pipeline.hash_salt = (std::uint64_t{salt()} << 32) | salt();
    settings.start = start_;
    settings.flush_interval = flush_interval_;
    settings.exit_at_end = exit_at_end_;
    return settings;
  }

  KafkaOptions kafka_;
  TableOptions table_;
  DefinitionOptions definition_;
  Millis flush_interval_{1'000};
  Emission emission_ = Emission::kEarly;
  std::string start_text_{kEarliest};
  StartPosition start_;
  std::string replay_text_;
  std::optional<Offset> replay_from_;
  std::int64_t generation_ = 1;
  bool accept_loss_ = false;
  bool exit_at_end_ = false;
  std::optional<std::int64_t> memory_limit_;
  ListenOptions listen_;
  std::optional<std::int64_t> ready_lag_;
};

}  // namespace

CommandSpec consume_command() {
  return CommandSpec{
      "consume",
      CommandGroup::kRun,
      "fold a topic into the windows of a table, as a member of a consumer group",
      "Reads a topic as a member of a consumer group and keeps the per-device windows of a table. Each record affects "
      "the table once, whatever restarts, rebalances and lost replies do; records that cannot be used become dead "
      "letters. SIGTERM or SIGINT flushes, checkpoints, commits and leaves the group. SIGUSR1 logs the state "
      "of the process and of each of its partitions. Under a service manager (NOTIFY_SOCKET) it says when partitions "
      "are assigned, that it is alive, and when it stops.",
      {{"windows of one minute in a SQLite file",
        "culvert consume -b localhost:9092 -t readings -G windows --table sqlite:windows.db"},
       {"the same in DynamoDB, for trying it on this machine",
        "culvert consume -b localhost:9092 -t readings -G windows --table dynamodb:windows --create-table "
        "--endpoint-url "
        "http://localhost:8000"},
       {"hopping windows, only when closed",
        "culvert consume -b localhost:9092 -t readings -G windows --table sqlite:hopping.db --window 60s "
        "--advance 10s --emit final"},
       {"with a dashboard at http://127.0.0.1:8080 and metrics at /metrics",
        "culvert consume -b localhost:9092 -t readings -G windows --table sqlite:windows.db --listen 8080"},
       {"what is there now, then stop",
        "culvert consume -b localhost:9092 -t readings -G windows --table sqlite:windows.db --exit-at-end"}},
      {{65, "the table, its definition or the topic's incarnation contradict what was asked"},
       {69, "Kafka or the table cannot be reached"},
       {74, "the table's disk is full, read-only or failing"},
       {77, "Kafka or AWS refused authentication or authorisation, or there are no AWS credentials"},
       {78,
        "options, or properties of the Kafka client, cannot be used; a DynamoDB table is missing or has another "
        "key; or another process has this one's group.instance.id"}},
      [] { return std::unique_ptr<Command>(std::make_unique<ConsumeCommand>()); }};
}

}  // namespace culvert
