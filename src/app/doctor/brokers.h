// SPDX-License-Identifier: Apache-2.0
// Brokers as seen from outside, and what that means: names, TCP, TLS, Kafka.
//
// Flow    bootstrap servers or advertised listeners -> [look_up, probe_all] -> BrokerView -> [.._finding] -> hops.
// Owner   the command; looking blocks and uses one thread for each broker, judging is pure.
// Time    every step of every broker is bounded by the time-out; brokers are looked at side by side.
// Bounds  kThreadsMost brokers at once.
// See     adapters/probe/broker_probe.h, adapters/http/resolver.h.
//
// A hop looks only at the brokers that every hop before it found in order, so that a broker is named once.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adapters/http/resolver.h"
#include "adapters/probe/broker_probe.h"
#include "app/cli/bootstrap_servers.h"
#include "app/doctor/hops.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert {

struct BrokerView {
  HostPort where;
  http::NameTrace name{};
  bool wildcard = false;  // a name that nobody can have made resolves to the same address
  std::optional<probe::BrokerReport> report{};
};

struct BrokerSettings {
  std::shared_ptr<const probe::TlsClient> tls;  // null: plaintext
  bool check_certificate = true;                // false: --insecure-skip-tls-verification
  std::string mechanism;                        // SASL; empty: no login
  Millis timeout{5'000};
};

// Resolves every name, and for each a random one beside it.
void look_up(std::span<BrokerView> brokers, const http::DnsOptions& options);
// Everything else, for those whose name has an address.
void probe_all(std::span<BrokerView> brokers, const BrokerSettings& settings);

struct NameRules {
  bool private_addresses = false;  // a public address is a fault
  bool tls = false;
};
[[nodiscard]] Finding name_finding(std::span<const BrokerView> brokers, const NameRules& rules);
[[nodiscard]] Finding tcp_finding(std::span<const BrokerView> brokers);
[[nodiscard]] Finding tls_finding(std::span<const BrokerView> brokers, std::chrono::sys_seconds now);
[[nodiscard]] Finding protocol_finding(std::span<const BrokerView> brokers);
// What the listeners themselves say of logins, before one is tried: nullopt if nothing speaks against it.
[[nodiscard]] std::optional<Finding> mechanism_finding(std::span<const BrokerView> brokers, std::string_view protocol,
                                                       std::string_view mechanism);

// Not routed on the internet: RFC 1918, shared, loopback, link-local, unique local.
[[nodiscard]] bool private_address(const http::Address& address);

}  // namespace culvert
