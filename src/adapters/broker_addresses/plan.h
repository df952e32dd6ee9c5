// SPDX-License-Identifier: Apache-2.0
// What is to be done about one broker's load balancer, given where the broker is and what the balancer knows.
//
// Flow    ListNodes, DescribeTargetHealth -> [decide] -> RegisterTargets, DeregisterTargets, or nothing.
// Owner   pure function.
// Time    none: each minute is decided from what it sees, so that a round that was lost changes nothing.
// Bounds  none of its own.
// See     infra/README.md, "When a broker moves"; reconciler.h.
//
// First the new address, and the old one goes only while the new one is healthy: whoever comes through the balancer
// finds the broker all the time.  Brokers are told apart by id and by name; where these do not agree nothing is
// touched.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace culvert::broker_addresses {

// As the infrastructure knows it.
struct Broker {
  std::int32_t id = 0;
  std::string host;  // the name that its certificate carries
  std::uint16_t port = 0;
  std::string target_group_arn;
};

// As the cluster says.
struct Node {
  std::int32_t id = 0;
  std::string address;             // inside the cluster's network
  std::vector<std::string> hosts;  // its own names
};

enum class Health : std::uint8_t {
  kHealthy,
  kStarting,   // registered a moment ago
  kUnhealthy,  // or not in use, or unknown
  kLeaving,    // deregistered, its connections are being closed
};

// As the load balancer says.
struct Target {
  std::string address;
  std::uint16_t port = 0;
  Health health = Health::kUnhealthy;
  std::string reason{};  // the balancer's own, where it is not healthy

  [[nodiscard]] std::string text() const;  // `10.1.1.4:9096`
};

enum class Step : std::uint8_t {
  kNone,      // the broker's address is the only target
  kRegister,  // `targets` holds the broker's address
  kWait,      // it is registered, and not healthy yet; what else is registered stays
  kRemove,    // it is healthy: `targets` are all others
  kRefuse,    // who the broker is, or where, is not certain: nothing may be touched
};

struct Decision {
  Step step = Step::kRefuse;
  std::vector<Target> targets{};
  std::string why{};              // for people; empty with kNone
  bool identity_changed = false;  // kRefuse: another broker answers to this id
  bool behind = false;            // the balancer still, or only, leads to another address
};

// `targets` are of the broker's own target group.
[[nodiscard]] Decision decide(const Broker& broker, std::span<const Node> nodes, std::span<const Target> targets);

}  // namespace culvert::broker_addresses
