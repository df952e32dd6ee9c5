// SPDX-License-Identifier: Apache-2.0
#include "adapters/broker_addresses/reconciler.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <utility>

#include "adapters/broker_addresses/cluster_nodes.h"
#include "adapters/broker_addresses/target_groups.h"

namespace culvert::broker_addresses {

namespace {

namespace json = boost::json;

std::string_view done_text(Step step) {
  switch (step) {
    case Step::kNone:
      return "in place";
    case Step::kRegister:
      return "registered";
    case Step::kWait:
      return "waiting";
    case Step::kRemove:
      return "removed the old one";
    case Step::kRefuse:
      return "not touched";
  }
  return {};
}

Error bad_brokers(std::string_view what) {
  return Error::fatal(ErrorKind::kConfiguration,
                      fmt::format("the list of brokers {} (expected {{\"1\":{{\"host\":..,\"port\":..,"
                                  "\"target_group_arn\":..}},..}})",
                                  what));
}

Result<Broker> read_broker(std::string_view id, const json::value& value) {
  Broker broker;
  const auto read = std::from_chars(id.data(), id.data() + id.size(), broker.id);
  if (read.ptr != id.data() + id.size() || id.empty() || broker.id < 1) {
    return bad_brokers(fmt::format("has '{}' for a broker's id", id));
  }
  const json::object* object = value.if_object();
  if (object == nullptr) return bad_brokers(fmt::format("has no object for broker {}", id));
  const auto text = [&](const char* name) {
    const json::value* found = object->if_contains(name);
    const json::string* string = found == nullptr ? nullptr : found->if_string();
    return string == nullptr ? std::string() : std::string(string->data(), string->size());
  };
  broker.host = text("host");
  broker.target_group_arn = text("target_group_arn");
  const json::value* port = object->if_contains("port");
  const std::int64_t number = port != nullptr && port->is_int64() ? port->get_int64() : 0;
  if (broker.host.empty() || broker.target_group_arn.empty() || number < 1 || number > 65'535) {
    return bad_brokers(fmt::format("lacks host, port or target_group_arn of broker {}", id));
  }
  broker.port = static_cast<std::uint16_t>(number);
  return broker;
}

}  // namespace

Result<std::vector<Broker>> parse_brokers(std::string_view text) {
  json::error_code failed;
  const auto value = json::parse(json::string_view(text.data(), text.size()), failed);
  const json::object* object = failed ? nullptr : value.if_object();
  if (object == nullptr || object->empty()) return bad_brokers("is not a JSON object with at least one broker");
  std::vector<Broker> brokers;
  for (const auto& member : *object) {
    auto broker = read_broker({member.key().data(), member.key().size()}, member.value());
    if (!broker) return broker.error();
    brokers.push_back(*std::move(broker));
  }
  std::sort(brokers.begin(), brokers.end(), [](const Broker& a, const Broker& b) { return a.id < b.id; });
  return brokers;
}

std::int64_t Round::count(Step step) const {
  return std::count_if(brokers.begin(), brokers.end(),
                       [&](const BrokerRound& broker) { return !broker.error && broker.step == step; });
}

std::optional<Error> Round::error() const {
  std::optional<Error> first;
  std::string all;
  for (const BrokerRound& broker : brokers) {
    if (broker.good()) continue;
    all += fmt::format("{}broker {}: {}", all.empty() ? "" : "; ", broker.id,
                       broker.error ? broker.error->message : broker.why);
    if (!first) first = broker.error ? *broker.error : Error::fatal(ErrorKind::kData, "");
  }
  if (first) first->message = std::move(all);
  return first;
}

std::string Round::json() const {
  json::object states;
  for (const BrokerRound& broker : brokers) {
    std::string text(broker.error ? "failed" : done_text(broker.step));
    const std::string& why = broker.error ? broker.error->message : broker.why;
    if (!why.empty()) text += ": " + why;
    states[std::to_string(broker.id)] = text;
  }
  return json::serialize(json::object{{"brokers", std::move(states)}});
}

Result<Round> Reconciler::round(aws::Service::Steady deadline) {
  const auto nodes = list_nodes(kafka_, cluster_arn_, deadline);
  if (!nodes) return nodes.error();
  Round round;
  for (const Broker& broker : brokers_) round.brokers.push_back(look_after(broker, *nodes, deadline));
  return round;
}

BrokerRound Reconciler::look_after(const Broker& broker, const std::vector<Node>& nodes,
                                   aws::Service::Steady deadline) {
  BrokerRound result;
  result.id = broker.id;
  const auto targets = describe_targets(balancing_, broker.target_group_arn, deadline);
  if (!targets) {
    result.error = targets.error();
    return result;
  }
  const Decision decision = decide(broker, nodes, *targets);
  result.step = decision.step;
  result.why = decision.why;
  result.identity_changed = decision.identity_changed;
  result.behind = decision.behind;
  if (decision.step != Step::kRegister && decision.step != Step::kRemove) return result;
  const auto change = decision.step == Step::kRegister ? TargetChange::kRegister : TargetChange::kDeregister;
  const auto changed = change_targets(balancing_, change, broker.target_group_arn, decision.targets, deadline);
  if (!changed) result.error = changed.error();
  return result;
}

}  // namespace culvert::broker_addresses
