// SPDX-License-Identifier: Apache-2.0
// The role `reconcile`: each minute, one round over the brokers' addresses.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "adapters/aws/credentials.h"
#include "adapters/aws/service.h"
#include "adapters/broker_addresses/reconciler.h"
#include "app/lambda/aws_authorities.h"
#include "app/lambda/role.h"

namespace culvert::function {

namespace {

using broker_addresses::BrokerRound;
using broker_addresses::Round;
using broker_addresses::Step;
using std::chrono::milliseconds;

constexpr milliseconds kMargin{1'000};

http::ClientOptions client_options(const aws::Environment& environment) {
  http::ClientOptions options;
  options.connections_most = 4;
  options.body_bytes_most = 4 << 20;
  if (const auto bundle = environment("AWS_CA_BUNDLE")) {
    options.ca_file = *bundle;
  } else {
    options.ca_pem = aws_authorities();
  }
  return options;
}

struct Services {
  aws::ServiceOptions kafka;
  aws::ServiceOptions balancing;
};

class ReconcileHandler final : public lambda::Handler {
 public:
  ReconcileHandler(const RoleContext& context, Services services, const std::string& cluster_arn,
                   std::vector<broker_addresses::Broker> brokers)
      : clock_(context.clock),
        log_(context.log),
        client_(client_options(context.environment), context.resolver),
        credentials_(client_, context.clock, {.environment = context.environment, .region = services.kafka.region}),
        kafka_(client_, credentials_, context.clock, std::move(services.kafka)),
        balancing_(client_, credentials_, context.clock, std::move(services.balancing)),
        reconciler_(kafka_, balancing_, cluster_arn, std::move(brokers)) {}

  // The schedule's payload says nothing.
  Result<std::string> handle(const lambda::Invocation& invocation, std::string& /*payload*/) override {
    const auto round = reconciler_.round(invocation.until - kMargin);
    report(invocation, round);
    if (!round) return round.error();
    if (auto error = round->error()) return *std::move(error);
    return round->json();
  }

 private:
  void report(const lambda::Invocation& invocation, const Result<Round>& round);
  void tell(const lambda::Invocation& invocation, const BrokerRound& broker);

  const Clock& clock_;
  FunctionLog& log_;
  http::Client client_;
  aws::CredentialChain credentials_;
  aws::Service kafka_;
  aws::Service balancing_;
  broker_addresses::Reconciler reconciler_;
};

void ReconcileHandler::tell(const lambda::Invocation& invocation, const BrokerRound& broker) {
  const LogField id{"broker", broker.id};
  if (broker.error) {
    return log_.error("a broker could not be looked after", &invocation, {id, {"error", broker.error->message}});
  }
  switch (broker.step) {
    case Step::kNone:
      return log_.debug("in place", &invocation, {id});
    case Step::kRegister:
      return log_.info("registered a broker's new address", &invocation, {id, {"detail", broker.why}});
    case Step::kWait:
      return log_.info("waiting for a broker's address to become healthy", &invocation, {id, {"detail", broker.why}});
    case Step::kRemove:
      return log_.info("removed what a broker has left behind", &invocation, {id, {"detail", broker.why}});
    case Step::kRefuse:
      return log_.error("a broker is not touched", &invocation, {id, {"error", broker.why}});
  }
}

void ReconcileHandler::report(const lambda::Invocation& invocation, const Result<Round>& round) {
  if (!round) {
    log_.error("where the brokers are could not be learnt; nothing was touched", &invocation,
               {{"error", round.error().message}});
  }
  const std::vector<BrokerRound> none;
  const std::vector<BrokerRound>& brokers = round ? round->brokers : none;
  for (const BrokerRound& broker : brokers) tell(invocation, broker);
  const auto count = [&](const auto& property) {
    return static_cast<std::int64_t>(std::count_if(brokers.begin(), brokers.end(), property));
  };
  const auto done = [&](Step step) { return round ? round->count(step) : std::int64_t{0}; };
  const std::array<Metric, 9> metrics{{
      {"brokers", "Count", static_cast<std::int64_t>(brokers.size())},
      {"brokers_in_place", "Count", done(Step::kNone)},
      {"brokers_behind", "Count", count([](const BrokerRound& b) { return b.behind; })},
      {"targets_registered", "Count", done(Step::kRegister)},
      {"targets_awaited", "Count", done(Step::kWait)},
      {"targets_removed", "Count", done(Step::kRemove)},
      {"brokers_refused", "Count", done(Step::kRefuse)},
      {"identity_changed", "Count", count([](const BrokerRound& b) { return b.identity_changed; })},
      {"failed", "Count", round ? count([](const BrokerRound& b) { return b.error.has_value(); }) : 1},
  }};
  log_.metrics(metrics, invocation);
}

class ReconcileRole final : public Role {
 public:
  void declare(OptionSet& options) override {
    options.text("cluster-arn", "ARN", &cluster_arn_, "The cluster whose brokers are followed.").required = true;
    options.text("brokers", "JSON", &brokers_, "Its brokers by id: host, port, target_group_arn.").required = true;
    options.finish([this] { return check(); });
  }

  Result<std::unique_ptr<lambda::Handler>> make_handler(const RoleContext& context) override {
    const auto service = [&](const char* name, const char* variable,
                             const char* prefix) -> Result<aws::ServiceOptions> {
      const auto endpoint = aws::service_endpoint(context.environment, variable, prefix, region_);
      if (!endpoint) return endpoint.error();
      return aws::ServiceOptions{name, *endpoint, region_, prefix};
    };
    auto kafka = service("Amazon MSK", "KAFKA", "kafka");
    if (!kafka) return kafka.error();
    auto balancing = service("Elastic Load Balancing", "ELASTIC_LOAD_BALANCING_V2", "elasticloadbalancing");
    if (!balancing) return balancing.error();
    return std::unique_ptr<lambda::Handler>(std::make_unique<ReconcileHandler>(
        context, Services{*std::move(kafka), *std::move(balancing)}, cluster_arn_, parsed_));
  }

 private:
  Result<void> check() {
    // arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/ID
    constexpr std::string_view kService = ":kafka:";
    const auto service = cluster_arn_.find(kService);
    const auto from = service == std::string::npos ? service : service + kService.size();
    const auto to = service == std::string::npos ? service : cluster_arn_.find(':', from);
    if (to == std::string::npos || to == from || cluster_arn_.find(":cluster/") == std::string::npos) {
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("CULVERT_CLUSTER_ARN: '{}' is not the ARN of a cluster", cluster_arn_));
    }
    region_ = cluster_arn_.substr(from, to - from);
    auto brokers = broker_addresses::parse_brokers(brokers_);
    if (!brokers) return brokers.error().within("CULVERT_BROKERS");
    parsed_ = *std::move(brokers);
    return {};
  }

  std::string cluster_arn_;
  std::string brokers_;
  std::string region_;
  std::vector<broker_addresses::Broker> parsed_;
};

}  // namespace

std::unique_ptr<Role> make_reconcile_role() { return std::make_unique<ReconcileRole>(); }

}  // namespace culvert::function
