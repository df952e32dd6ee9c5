// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "adapters/kafka/embedded_broker.h"
#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/commands/verify_table.h"
#include "app/demo/feed.h"
#include "app/demo/watch.h"
#include "app/fleet/sensor_options.h"
#include "app/session/consume_board.h"
#include "app/session/consume_session.h"
#include "app/session/kafka_client_config.h"
#include "app/site/board_about.h"
#include "app/site/listen_options.h"
#include "app/table/table.h"
#include "app/verify/verify_output.h"

namespace culvert {

namespace {

constexpr const char* kTopic = "readings";
constexpr const char* kGroup = "culvert-demo";
constexpr int kPartitions = 4;
// The embedded broker drops the oldest records of a partition beyond 5 MiB, and one device may send all of them.
constexpr std::int64_t kRecordsMost = 40'000;
constexpr Millis kReportInterval{250};
constexpr Millis kLingerMost{600'000};
constexpr Millis kReloadMost{5'000};  // a page that is loaded anew is away for a moment

class DemoCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    SensorDefaults defaults;
    defaults.duration = Millis{30'000};
    defaults.disorder = Millis{2'000};
    defaults.late_share_ppm = 2'000;
    defaults.bad_share_ppm = 5'000;
    sensors_.declare(options, defaults);
    options.heading("Windows");
    options.duration("window", &window_, "Length of a window.");
    options.duration("advance", &advance_, "Distance between the starts of windows.").default_text = "as --window";
    table_.declare(options, TableUse::kWrite, kTableToMake);
    options.find("table")->default_text = "a new SQLite file in the directory for temporary files";
    listen_.declare(options, "127.0.0.1:0");
    options.finish([this] { return check(); });
  }

  Result<int> run(CommandContext& context) override;

 private:
  static constexpr const char* kTableToMake = "sqlite:?";

  Result<void> check() const;
  [[nodiscard]] Definition definition() const;
  // The table's file is made by the demo: one that exists holds another log's windows.
  [[nodiscard]] Result<TableSpec> new_table() const;
  [[nodiscard]] static Result<void> check_empty(ReadableTable& table, const TableSpec& spec);
  [[nodiscard]] ConsumeSettings consume_settings(const kafka::KafkaConfig& config) const;

  // Null with --listen off.
  [[nodiscard]] Result<std::unique_ptr<ConsumeBoard>> serve(const kafka::KafkaConfig& config, const std::string& table,
                                                            ConsumeSettings& settings, CommandContext& context) const;

  SensorOptions sensors_;
  TableOptions table_;
  ListenOptions listen_;
  Millis window_{10'000};
  std::optional<Millis> advance_;
};

Result<void> DemoCommand::check() const {
  const SensorPlan plan = sensors_.plan(WallTime{std::chrono::hours{24 * 365}});
  if (!plan.total || *plan.total > kRecordsMost) {
    return Error::fatal(ErrorKind::kUsage,
                        fmt::format("the demo's broker keeps {} records: lower --rate, --duration or --count (for more "
                                    "use produce and consume with a real broker)",
                                    kRecordsMost));
  }
  return validate(definition());
}

Definition DemoCommand::definition() const {
  Definition definition;
  definition.size = window_;
  definition.advance = advance_.value_or(window_);
  definition.kind = definition.advance == definition.size ? WindowKind::kTumbling : WindowKind::kHopping;
  definition.out_of_orderness = Millis{2'000};
  return definition;
}

Result<TableSpec> DemoCommand::new_table() const {
  TableSpec spec = table_.table();
  if (spec.kind == TableKind::kDynamoDb) return spec;
  if (spec.name != "?") {
    if (!std::filesystem::exists(spec.name)) return spec;
    return Error::fatal(ErrorKind::kUsage,
                        fmt::format("--table sqlite:{}: the file exists; the demo makes a new one", spec.name));
  }
  std::string folder = (std::filesystem::temp_directory_path() / "culvert-demo-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) {
    return Error::fatal(ErrorKind::kIo, fmt::format("{}: cannot be made: {} (set TMPDIR, or say --table sqlite:FILE)",
                                                    folder, std::strerror(errno)));
  }
  spec.name = folder + "/readings.sqlite";
  return spec;
}

Result<void> DemoCommand::check_empty(ReadableTable& table, const TableSpec& spec) {
  const auto checkpoints = table.reader->checkpoints();
  if (!checkpoints) return checkpoints.error();
  if (checkpoints->empty()) return {};
  return Error::fatal(ErrorKind::kUsage, fmt::format("--table {}: it holds the windows of another log; the demo needs "
                                                     "an empty one",
                                                     table_name(spec)));
}

ConsumeSettings DemoCommand::consume_settings(const kafka::KafkaConfig& config) const {
  ConsumeSettings settings;
  settings.kafka = config;
  settings.consumer.topic = kTopic;
  settings.consumer.group = kGroup;
  settings.member.topic = kTopic;
  settings.member.pipeline.definition = definition();
  settings.flush_interval = Millis{500};
  settings.report_interval = kReportInterval;
  return settings;
}

Result<std::unique_ptr<ConsumeBoard>> DemoCommand::serve(const kafka::KafkaConfig& config, const std::string& table,
                                                         ConsumeSettings& settings, CommandContext& context) const {
  const auto listen = listen_.settings();
  if (!listen) return listen.error();
  if (!*listen) return std::unique_ptr<ConsumeBoard>();
  auto about = board_about(table, definition());
  KafkaTarget target;
  target.topic = kTopic;
  target.group = kGroup;
  target.bootstrap_servers = config.bootstrap;
  add_kafka(about, target);
  add_consumer(about, settings);
  auto board = ConsumeBoard::serve(**listen, {}, std::move(about), definition(), context.clock);
  if (!board) return board.error();
  (*board)->watch(settings);
  context.out.line("dashboard: " + (*board)->site().url());
  if (const auto written = context.out.flush(); !written) return written.error();
  return board;
}

// Whoever looks at the page may go on looking; without a page that is open the demo ends at once.
void linger(ConsumeBoard& board, const oracle::VerifyReport& report, CommandContext& context) {
  const std::string_view words = report.good() ? "The run is over; every window equals an independent recomputation. "
                                               : "The run is over; some windows differ from the recomputation. ";
  board.feed().finish(std::string(words) + oracle::report_summary(report));
  if (board.site().watchers() == 0 || context.stop.requested()) return;
  static_cast<void>(context.out.flush());
  context.log.info("the dashboard stays while its page is open; Ctrl-C ends it");
  const SteadyTime end = context.clock.steady() + kLingerMost;
  SteadyTime seen = context.clock.steady();
  while (!context.stop.wait_ms(200) && context.clock.steady() < end) {
    if (board.site().watchers() > 0) seen = context.clock.steady();
    if (context.clock.steady() - seen > kReloadMost) return;
  }
}

Result<int> DemoCommand::run(CommandContext& context) {
  const auto spec = new_table();
  if (!spec) return spec.error();
  auto broker = kafka::EmbeddedBroker::start(1);
  if (!broker) return broker.error();
  if (auto created = (*broker)->create_topic(kTopic, kPartitions); !created) return created.error();
  kafka::KafkaConfig config = (*broker)->config();
  config.log = kafka_client_log(context.log);

  auto producer = kafka::Producer::open(config, {.topic = kTopic});
  if (!producer) return producer.error();
  auto table = open_table(*spec, definition(), context.clock);
  if (!table) return table.error();
  auto readable = open_reader(*spec, context.clock);
  if (!readable) return readable.error();
  if (auto empty = check_empty(*readable, *spec); !empty) return empty.error();
  const std::string name = table_name(*spec);
  ConsumeSettings settings = consume_settings(config);
  auto board = serve(config, name, settings, context);
  if (!board) return board.error();
  auto session = ConsumeSession::open(settings, *std::move(table), context.log, context.clock);
  if (!session) return session.error();

  const DemoFeed feed(*std::move(producer), sensors_.plan(context.clock.wall()), context.stop, context.clock);
  DemoStop stop;
  DemoWatch watch(context, feed, *readable->reader, name, stop);
  const auto consumed = (*session)->run(stop, [&](const ConsumeReport& report) {
    if (*board) (*board)->feed().on_report(report);
    watch.on_report(report);
  });
  context.live.clear();
  if (watch.error()) return *watch.error();
  if (!consumed) return consumed.error();
  context.out.line(demo_line(watch.last()));
  // The stop that ended the sending must not end the comparison too; a second signal still ends the process.
  const DemoStop never;
  const auto report = verify_table(config, kTopic, *readable, never, context);
  if (!report) return report.error();
  context.out.write(oracle::report_text(*report));
  context.out.line("table: " + name);
  if (*board) linger(**board, *report, context);
  return report->good() ? 0 : exit_code(ErrorKind::kData);
}

}  // namespace

CommandSpec demo_command() {
  return CommandSpec{
      "demo",
      CommandGroup::kRun,
      "see it all work on this machine: broker, sensors, windows",
      "Runs an embedded Kafka broker, simulated sensors and a consumer in one process and shows the windows as they "
      "fill; then works out every window again, independently, and compares. Leaves nothing behind but the table that "
      "it "
      "names at the end.",
      {{"half a minute with 20 sensors", "culvert demo"},
       {"hopping minutes of 100 sensors", "culvert demo --devices 100 --rate 500 --window 60s --advance 10s"}},
      {{0, "every window of the table equals that of the independent recomputation"}, {65, "some window differs"}},
      [] { return std::unique_ptr<Command>(std::make_unique<DemoCommand>()); }};
}

}  // namespace culvert
