// SPDX-License-Identifier: Apache-2.0
#include "adapters/broker_addresses/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "adapters/http/address.h"

namespace culvert::broker_addresses {

namespace {

Decision refuse(std::string why) {
  Decision decision;
  decision.why = std::move(why);
  return decision;
}

// Who the broker is, or a refusal.
const Node* find_node(const Broker& broker, std::span<const Node> nodes, Decision& refusal) {
  const auto same_id = [&](const Node& node) { return node.id == broker.id; };
  const auto found = std::find_if(nodes.begin(), nodes.end(), same_id);
  if (found == nodes.end()) {
    refusal = refuse(fmt::format("the cluster lists no broker {} (was it removed? apply the stream root)", broker.id));
    return nullptr;
  }
  if (std::count_if(nodes.begin(), nodes.end(), same_id) != 1) {
    refusal = refuse(fmt::format("the cluster lists broker {} more than once", broker.id));
    return nullptr;
  }
  if (std::find(found->hosts.begin(), found->hosts.end(), broker.host) == found->hosts.end()) {
    refusal = refuse(fmt::format(
        "broker {} is {} now and no longer {}: its identity has changed (apply the stream "
        "root, then the analytics roots)",
        broker.id, found->hosts.empty() ? "nameless" : fmt::format("{}", fmt::join(found->hosts, ", ")), broker.host));
    refusal.identity_changed = true;
    return nullptr;
  }
  const auto address = http::Address::parse(found->address);
  if (!address || address->family != http::AddressFamily::kV4) {
    refusal = refuse(
        fmt::format("the cluster says that broker {} is at '{}', which is no IPv4 address", broker.id, found->address));
    return nullptr;
  }
  for (const Node& node : nodes) {
    if (node.id == broker.id || node.address != found->address) continue;
    refusal = refuse(
        fmt::format("the cluster says that brokers {} and {} are both at {}", broker.id, node.id, found->address));
    return nullptr;
  }
  return &*found;
}

}  // namespace

std::string Target::text() const { return fmt::format("{}:{}", address, port); }

Decision decide(const Broker& broker, std::span<const Node> nodes, std::span<const Target> targets) {
  Decision decision;
  const Node* node = find_node(broker, nodes, decision);
  if (node == nullptr) return decision;

  const Target wanted{node->address, broker.port, Health::kStarting};
  const Target* present = nullptr;
  for (const Target& target : targets) {
    if (target.health == Health::kLeaving) continue;  // of whatever address: it takes no connection any more
    if (target.address == wanted.address && target.port == wanted.port) {
      present = &target;
    } else {
      decision.targets.push_back(target);
    }
  }
  decision.behind = present == nullptr || !decision.targets.empty();
  if (present == nullptr) {
    decision.step = Step::kRegister;
    decision.why = decision.targets.empty()
                       ? fmt::format("no target leads to it, it is at {}", wanted.text())
                       : fmt::format("it has moved from {} to {}", decision.targets.front().text(), wanted.text());
    decision.targets = {wanted};
  } else if (present->health != Health::kHealthy) {
    decision.step = Step::kWait;
    decision.why =
        fmt::format("{} is not healthy{}{}", wanted.text(), present->reason.empty() ? "" : ": ", present->reason);
    decision.targets.clear();
  } else if (!decision.targets.empty()) {
    decision.step = Step::kRemove;
    decision.why = fmt::format("{} is healthy, {} is left behind", wanted.text(), decision.targets.front().text());
  } else {
    decision.step = Step::kNone;
  }
  return decision;
}

}  // namespace culvert::broker_addresses
