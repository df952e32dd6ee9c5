// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "adapters/aws/credentials.h"
#include "adapters/aws/service.h"
#include "app/cli/aws_session.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/doctor/cloud.h"
#include "app/doctor/hops.h"
#include "app/doctor/kafka.h"
#include "app/doctor/output.h"
#include "app/doctor/table.h"
#include "app/table/table.h"

namespace culvert {

namespace {

enum class DoctorFormat : std::uint8_t { kText, kJson };

class DoctorCommand final : public Command {
 public:
  void declare(OptionSet& options) override;
  Result<int> run(CommandContext& context) override;
  std::string refused(const Error& error) const override;

 private:
  void declare_walk(OptionSet& options);
  Finding look_at_options(CommandContext& context);
  Finding look_at_secret(CommandContext& context);
  // Reads secrets, then makes kafka_.
  Result<void> prepare_kafka(CommandContext& context);
  [[nodiscard]] std::string region() const;
  [[nodiscard]] std::vector<http::Endpoint> known_clocks() const;
  [[nodiscard]] std::optional<Definition> wanted_definition() const;
  [[nodiscard]] std::vector<Hop> hops(CommandContext& context);
  void add_cloud_hops(std::vector<Hop>& hops, CommandContext& context);
  void add_kafka_hops(std::vector<Hop>& hops, const Clock& clock);
  void add_table_hops(std::vector<Hop>& hops);
  [[nodiscard]] bool given(std::string_view name) const { return options_->find(name)->given; }
  [[nodiscard]] bool asks_for_kafka() const { return given("bootstrap-server") || given("connection"); }
  // Documents that are read before it is known how to reach Kafka.
  [[nodiscard]] bool has_documents() const { return given("connection") || given("credentials"); }
  [[nodiscard]] bool dynamodb() const { return given("table") && table_options_.table().kind == TableKind::kDynamoDb; }
  [[nodiscard]] bool needs_aws() const;
  [[nodiscard]] bool kafka_needs_aws() const;

  OptionSet* options_ = nullptr;
  KafkaOptions kafka_options_;
  TableOptions table_options_;
  DefinitionOptions definition_options_;
  std::vector<std::string> definition_names_;
  DoctorKafkaOptions walk_;
  bool from_analytics_ = false;
  std::string connection_;  // as given
  std::string credentials_;
  std::string function_;
  std::optional<Connection> hand_over_;
  DoctorFormat format_ = DoctorFormat::kText;

  std::unique_ptr<DoctorKafka> kafka_;  // made by the options hop
  std::unique_ptr<DoctorTable> table_;
};

void DoctorCommand::declare(OptionSet& options) {
  options_ = &options;
  kafka_options_.declare(options, GroupOption::kRequired);
  table_options_.declare(options, TableUse::kRead);
  for (const char* name : {"bootstrap-server", "topic", "group", "table"}) options.find(name)->required = false;
  for (const auto& [name, kept] : {std::pair{"connection", &connection_}, std::pair{"credentials", &credentials_}}) {
    Option* option = options.find(name);
    option->apply = [kept = kept, inner = option->apply](std::string_view text, const OptionSource& source) {
      *kept = text;
      return inner(text, source);
    };
  }
  declare_walk(options);
  const std::size_t before = options.options().size();
  definition_options_.declare(options);
  for (std::size_t i = before; i < options.options().size(); ++i)
    definition_names_.push_back(options.options()[i].name);
}

void DoctorCommand::declare_walk(OptionSet& options) {
  options.heading("The walk");
  options.choice<WalkFor>("for", {{"consume", WalkFor::kConsume}, {"produce", WalkFor::kProduce}}, &walk_.walk_for,
                          "Whose way this is: consume reads the topic as a group, produce writes to it.");
  options.flag("from-analytics", &from_analytics_,
               "This is the account (or network) that consumes: brokers must be found at private addresses.");
  options.text("function", "NAME|ARN", &function_,
               "The function whose event source mapping reads the topic; --from-analytics looks for any.");
  options.integer("generation", {1, std::int64_t{1} << 31}, &walk_.generation,
                  "The topic's incarnation, as consume was told.");
  options.duration("idle-timeout", &walk_.idle_timeout,
                   "Idle time-out of the load balancers on the way (350s unless somebody set it).");
  options.duration("timeout", &walk_.timeout, "How long each step of a hop may take.");
  Option server;
  server.name = "name-server";
  server.value_name = "ADDRESS[:PORT]";
  server.help = "Ask this name server, instead of those of /etc/resolv.conf, for the names hop.";
  server.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
    auto parsed = parse_bootstrap(text);
    const auto address = parsed ? http::Address::parse(parsed->front().host) : std::nullopt;
    if (!address) return refuse_value(text, "is not an address such as 10.0.0.2 or 127.0.0.1:5353");
    const bool with_port = http::Address::parse(text) == std::nullopt;
    walk_.dns.server = *address;
    walk_.dns.port = with_port ? parsed->front().port : 53;
    return {};
  };
  options.add(std::move(server));
  options.choice<DoctorFormat>("format", {{"text", DoctorFormat::kText}, {"json", DoctorFormat::kJson}}, &format_,
                               "text: a line a hop, with causes and remedies. json: one object a line.");
  options.finish([this]() -> Result<void> {
    if (walk_.timeout.count() >= 100 && walk_.timeout.count() <= 120'000) return {};
    return Error::fatal(ErrorKind::kUsage, "--timeout is 100ms to 2m");
  });
}

std::optional<Definition> DoctorCommand::wanted_definition() const {
  for (const std::string& name : definition_names_) {
    if (given(name)) return definition_options_.definition();
  }
  return std::nullopt;
}

Finding DoctorCommand::look_at_options(CommandContext& context) {
  std::string found;
  if (asks_for_kafka() && has_documents()) {
    found = given("connection") ? fmt::format("brokers as {} says", connection_) : "the login of " + credentials_;
  } else if (asks_for_kafka()) {
    if (auto ready = prepare_kafka(context); !ready) return Finding::of(ready.error());
    found = fmt::format("brokers {}", kafka_->target().bootstrap_servers);
    if (!kafka_->target().topic.empty()) found += fmt::format("; topic {}", kafka_->target().topic);
    if (!kafka_->target().group.empty()) found += fmt::format("; group {}", kafka_->target().group);
  }
  if (given("table")) {
    table_ = std::make_unique<DoctorTable>(table_options_.table(), wanted_definition(), walk_.timeout, context.clock);
    found += fmt::format("{}table {}", found.empty() ? "" : "; ", table_name(table_options_.table()));
  }
  return Finding::passed(found);
}

Result<void> DoctorCommand::prepare_kafka(CommandContext& context) {
  auto target = kafka_options_.target(context.log);
  if (!target) return target.error();
  kafka_ = std::make_unique<DoctorKafka>(*std::move(target), walk_, context.log);
  return kafka_->check();
}

Finding DoctorCommand::look_at_secret(CommandContext& context) {
  if (!has_documents()) return Finding::skipped("neither --connection nor --credentials was given");
  if (given("connection")) {
    const auto text = read_document(connection_);
    if (!text) return Finding::of(text.error());
    auto connection = parse_connection(*text, connection_);
    if (!connection) return Finding::of(connection.error());
    if (connection->client_idle_ms_max && !walk_.idle_timeout) {
      walk_.idle_timeout = Millis{*connection->client_idle_ms_max + 1};  // that long is still right
    }
    walk_.cluster_arn = connection->cluster_arn;
    hand_over_ = *std::move(connection);
  }
  if (auto ready = prepare_kafka(context); !ready) return Finding::of(ready.error());
  return hand_over_ ? connection_finding(*hand_over_) : Finding::passed("the login's secret can be read");
}

std::string DoctorCommand::region() const {
  if (!table_options_.table().region.empty()) return table_options_.table().region;
  return hand_over_ ? hand_over_->region : aws::region_from(aws::process_environment).value_or("");
}

bool DoctorCommand::needs_aws() const {
  // --from-analytics alone asks about mappings too, but does not insist on an answer.
  return dynamodb() || kafka_needs_aws() || given("function");
}

bool DoctorCommand::kafka_needs_aws() const {
  return connection_.starts_with("secret:") || credentials_.starts_with("secret:") || given("auth");
}

// Servers of AWS's that will be talked to anyway.
std::vector<http::Endpoint> DoctorCommand::known_clocks() const {
  std::vector<http::Endpoint> found;
  const auto add = [&](const Result<http::Endpoint>& endpoint) {
    if (endpoint) found.push_back(*endpoint);  // one that cannot be told is the hop's fault that needs it
  };
  const std::string where = region();
  if (dynamodb() && !table_options_.table().endpoint_url.empty()) {
    const auto url = http::parse_url(table_options_.table().endpoint_url);
    if (url) found.push_back(url->endpoint);
  } else if (dynamodb() && !where.empty()) {
    add(aws::service_endpoint(aws::process_environment, "DYNAMODB", "dynamodb", where));
  }
  if (connection_.starts_with("secret:") && !where.empty()) {
    add(aws::service_endpoint(aws::process_environment, "SECRETS_MANAGER", "secretsmanager", where));
  }
  return found;
}

void DoctorCommand::add_cloud_hops(std::vector<Hop>& hops, CommandContext& context) {
  hops.push_back({"clock", {}, [this, &context] {
                    for (const http::Endpoint& endpoint : known_clocks()) {
                      const auto comparison = compare_clock(endpoint, walk_.timeout, context.clock);
                      if (comparison) return clock_finding(comparison, kernel_time());
                    }
                    return clock_finding(std::nullopt, kernel_time());
                  }});
  hops.push_back({"credentials", {"options"}, [this] {
                    if (!needs_aws()) return Finding::skipped("nothing here needs AWS credentials");
                    return credentials_finding(region(), walk_.timeout);
                  }});
  std::vector<std::string_view> needs{"options"};
  if (kafka_needs_aws()) needs.emplace_back("credentials");
  hops.push_back({"secret", std::move(needs), [this, &context] { return look_at_secret(context); }});
}

void DoctorCommand::add_kafka_hops(std::vector<Hop>& hops, const Clock& clock) {
  const auto add = [&](std::string_view name, std::vector<std::string_view> needs, std::function<Finding()> run) {
    hops.push_back({name, std::move(needs), [this, run = std::move(run)] {
                      return kafka_ ? run() : Finding::skipped("neither --bootstrap-server nor --connection was given");
                    }});
  };
  const auto now = [&clock] { return std::chrono::floor<std::chrono::seconds>(clock.wall()); };
  add("names", {"options", "secret"}, [this] { return kafka_->names(); });
  add("tcp", {"options", "names"}, [this] { return kafka_->tcp(); });
  add("tls", {"tcp"}, [this, now] { return kafka_->tls(now()); });
  add("protocol", {"tls"}, [this] { return kafka_->protocol(); });
  add("login", {"protocol"}, [this] { return kafka_->login(); });
  add("advertised", {"login"}, [this, now] { return kafka_->advertised(now()); });
  add("topic", {"advertised"}, [this] { return kafka_->topic(); });
  add("read", {"topic"}, [this] { return kafka_->read(); });
  add("send", {"topic"}, [this] { return kafka_->send(); });
  add("group", {"advertised"}, [this] { return kafka_->group(); });
  add("poller", {"advertised"}, [this] {
    if (!from_analytics_ && !given("function")) {
      return Finding::skipped("neither --from-analytics nor --function was given");
    }
    return walk_.walk_for == WalkFor::kProduce ? Finding::skipped("a producer has no mapping") : kafka_->poller();
  });
}

void DoctorCommand::add_table_hops(std::vector<Hop>& hops) {
  const auto add = [&](std::string_view name, std::vector<std::string_view> needs, std::function<Finding()> run) {
    hops.push_back({name, std::move(needs), [this, run = std::move(run)] {
                      return table_ ? run() : Finding::skipped("no --table was given");
                    }});
  };
  std::vector<std::string_view> needs{"options"};
  if (dynamodb()) needs.emplace_back("credentials");
  add("table", std::move(needs), [this] { return table_->look(); });
  add("write", {"table"}, [this] { return table_->write(); });
  add("position", {"read", "table"}, [this] {
    if (walk_.walk_for == WalkFor::kProduce) return Finding::skipped("a producer has no position");
    if (!kafka_ || kafka_->target().topic.empty()) return Finding::skipped("no --topic was given");
    return kafka_->position(table_->checkpoints());
  });
  hops.push_back({"idle", {"options", "secret"}, [this] {
                    return kafka_ ? kafka_->idle()
                                  : Finding::skipped("neither --bootstrap-server nor --connection was given");
                  }});
  needs = {"options"};
  if (given("function")) needs.emplace_back("credentials");
  hops.push_back({"mapping", std::move(needs), [this] {
                    if (!from_analytics_ && !given("function")) {
                      return Finding::skipped("neither --from-analytics nor --function was given");
                    }
                    return ask_mappings(region(), kafka_ ? kafka_->target().topic : "",
                                        kafka_ ? kafka_->target().group : "", function_, walk_.timeout);
                  }});
}

std::vector<Hop> DoctorCommand::hops(CommandContext& context) {
  std::vector<Hop> all;
  all.push_back({"options", {}, [this, &context] { return look_at_options(context); }});
  add_cloud_hops(all, context);
  add_kafka_hops(all, context.clock);
  add_table_hops(all);
  return all;
}

// A file of options that cannot be read is the first hop's fault, like any other.
std::string DoctorCommand::refused(const Error& error) const {
  HopReport report{"options", Finding::of(error)};
  if (report.finding.causes.empty()) {
    report.finding.causes = {{"", "correct the line; culvert validate FILE shows all that is wrong with a file"}};
  }
  return hop_text(report, {}) + "\nNothing else was looked at.\n";
}

Result<int> DoctorCommand::run(CommandContext& context) {
  if (!asks_for_kafka() && !given("table")) {
    return Error::fatal(ErrorKind::kUsage,
                        "nothing to look at: give --bootstrap-server (-b) or --connection, --table, or both");
  }
  walk_.private_addresses = from_analytics_;
  walk_.dns.total_most = std::chrono::milliseconds{walk_.timeout.count()};
  const std::vector<Hop> all = hops(context);
  DoctorStyle style;
  style.colour = context.colour;
  for (const Hop& hop : all) style.name_columns = std::max(style.name_columns, hop.name.size());
  WalkObserver observer;
  observer.on_begin = [&](std::string_view name) { context.live.show({fmt::format("… {}", name)}); };
  observer.on_done = [&](const HopReport& report) {
    context.live.clear();
    if (format_ == DoctorFormat::kJson) {
      context.out.line(hop_json(report));
    } else {
      context.out.write(hop_text(report, style));
    }
    static_cast<void>(context.out.flush());  // program.cc looks at the outcome
  };
  const WalkResult result = walk(all, context.stop, context.clock, observer);
  if (format_ == DoctorFormat::kText) context.out.line("\n" + walk_text(result));
  return result.exit_code;
}

}  // namespace

CommandSpec doctor_command() {
  return CommandSpec{
      "doctor",
      CommandGroup::kCheck,
      "walk the path from here to the records and the table, and name the hop that is broken",
      "Walks everything that consume needs, hop by hop, and prints a line for each: in order, broken with the likely "
      "causes and remedies, or skipped with the reason. Hops that need a broken one are skipped, so that one fault is "
      "named once. Changes nothing: joins no group, commits and writes nothing.",
      {{"the whole path of a consumer",
        "culvert doctor -b localhost:9092 -t readings -G windows --table sqlite:windows.db"},
       {"a table alone", "culvert doctor --table sqlite:windows.db"},
       {"from the account that consumes, by the stream account's hand-over",
        "culvert doctor --from-analytics --connection secret:ARN -t readings -G windows --table dynamodb:windows"},
       {"the way of a producer", "culvert doctor --for produce -b localhost:9092 -t readings"},
       {"for a program", "culvert doctor -b localhost:9092 -t readings --format json"}},
      {{0, "no hop is broken"},
       {65, "first fault: table, definition or log contradict each other"},
       {69, "first fault: a name, broker or service that cannot be reached"},
       {77, "first fault: a login, right or credential that is refused"},
       {78, "first fault: options, names or settings that cannot work"}},
      [] { return std::unique_ptr<Command>(std::make_unique<DoctorCommand>()); }};
}

}  // namespace culvert
