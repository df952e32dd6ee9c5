// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/commands/table_watch.h"
#include "app/session/kafka_client_config.h"
#include "app/site/board_about.h"
#include "app/site/http_site.h"
#include "app/site/listen_options.h"

namespace culvert {

namespace {

constexpr int kTickMs = 1'000;
constexpr Millis kFirstLook{2'000};       // until a small table is there, so that the page does not begin empty
constexpr Millis kConnectTimeout{5'000};  // to Kafka; tried again later

class DashboardCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    table_.declare(options, TableUse::kRead);
    options
        .duration("refresh", &refresh_,
                  "How often the table is read. Reading takes at most a tenth of the time, whatever is said here.")
        .default_text = "2s, for DynamoDB 1m";
    listen_.declare(options, "127.0.0.1:0");
    kafka_.declare(options, GroupOption::kRequired);
    // Without Kafka the page shows no lag; the group is but a label of metrics.
    for (const char* name : {"bootstrap-server", "topic", "group"}) options.find(name)->required = false;
    options.finish([this, &options]() -> Result<void> {
      const bool broker = options.find("bootstrap-server")->given;
      if (broker != options.find("topic")->given) {
        return Error::fatal(ErrorKind::kUsage, "--bootstrap-server (-b) and --topic (-t) go together");
      }
      with_kafka_ = broker;
      if (refresh_ && refresh_->count() < 250) return Error::fatal(ErrorKind::kUsage, "--refresh is at least 250ms");
      return {};
    });
  }

  Result<int> run(CommandContext& context) override {
    auto listen = listen_.settings();
    if (!listen) return listen.error();
    if (!*listen) return Error::fatal(ErrorKind::kUsage, "--listen off: there is nothing else to do");
    auto table = open_reader(table_.table(), context.clock);
    if (!table) return table.error();
    auto about = board_about(table_name(table_.table()), table->definition);
    TableWatch::OpenKafka open_kafka;
    if (with_kafka_) {
      auto target = kafka_.target(context.log);
      if (!target) return target.error();
      add_kafka(about, *target);
      open_kafka = [target = *target, &log = context.log] {
        return kafka::PartitionReader::open(kafka_client_config(target, log),
                                            {.topic = target.topic, .connect_timeout = kConnectTimeout});
      };
    }
    WatchLimits limits;
    const bool costs_money = table_.table().kind == TableKind::kDynamoDb;
    limits.refresh = refresh_.value_or(costs_money ? Millis{60'000} : Millis{2'000});
    dashboard::Board board(std::move(about));
    TableWatch watch(*table, std::move(open_kafka), limits, board, context.log, context.clock);
    watch.wait_first(kFirstLook);
    const auto site = HttpSite::open(**listen, {}, board, context.clock);
    if (!site) return site.error();
    context.out.line("dashboard: " + (*site)->url());
    if (const auto written = context.out.flush(); !written) return written.error();
    while (!context.stop.wait_ms(kTickMs)) watch.tick();
    return 0;
  }

 private:
  TableOptions table_;
  KafkaOptions kafka_;
  ListenOptions listen_;
  std::optional<Millis> refresh_;
  bool with_kafka_ = false;
};

}  // namespace

CommandSpec dashboard_command() {
  return CommandSpec{
      "dashboard",
      CommandGroup::kLook,
      "show a table in the browser",
      "Serves a page that shows a table's devices, windows, partitions and dead letters while others write it, or "
      "afterwards, and prints its address. The table is read again and again: a SQLite file every two seconds, a "
      "DynamoDB table (whole, which costs read units) every minute. With a broker and a topic it shows the lag too, as "
      "long as Kafka answers. "
      "`consume --listen` and `demo` serve the same page from inside a consumer, without reading the table.",
      {{"a SQLite table", "culvert dashboard --table sqlite:windows.db"},
       {"with the lag, at a port of your choice",
        "culvert dashboard --table sqlite:windows.db -b localhost:9092 -t readings -G windows --listen 8080"},
       {"from another machine, behind a token",
        "culvert dashboard --table sqlite:windows.db --listen 0.0.0.0:8080 --listen-public --listen-token-file "
        "token.txt"}},
      {{65, "the file is no culvert table, or of another version"}, {69, "the table cannot be reached"}},
      [] { return std::unique_ptr<Command>(std::make_unique<DashboardCommand>()); }};
}

}  // namespace culvert
