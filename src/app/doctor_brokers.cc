// SPDX-License-Identifier: Apache-2.0
#include "app/doctor_brokers.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <functional>
#include <random>
#include <thread>
#include <utility>

namespace culvert {

namespace {

constexpr std::uint16_t kKafkaPort = 9092;
constexpr std::size_t kThreadsMost = 16;

// Runs `task` for each index, on at most kThreadsMost threads.
void for_each_side_by_side(std::size_t count, const std::function<void(std::size_t)>& task) {
  std::atomic<std::size_t> next{0};
  std::vector<std::jthread> threads;
  for (std::size_t i = 0; i < std::min(count, kThreadsMost); ++i) {
    threads.emplace_back([&] {
      for (std::size_t mine = next++; mine < count; mine = next++) task(mine);
    });
  }
}

Error bad_server(std::string_view text, std::string_view why) {
  return Error::fatal(ErrorKind::kConfiguration,
                      fmt::format("--bootstrap-server: '{}' {} (write HOST:PORT,HOST:PORT)", text, why));
}

Result<HostPort> parse_server(std::string_view text) {
  const std::string_view whole = text;
  if (const auto scheme = text.find("://"); scheme != std::string_view::npos) text.remove_prefix(scheme + 3);
  HostPort server{{}, kKafkaPort};
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return bad_server(whole, "has no closing bracket");
    server.host = text.substr(1, close - 1);
    if (close + 1 < text.size() && text[close + 1] == ':') port = text.substr(close + 2);
  } else {
    const auto colon = text.rfind(':');
    server.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon + 1);
  }
  if (server.host.empty()) return bad_server(whole, "names no host");
  if (port.empty()) return server;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), server.port);
  if (error != std::errc{} || end != port.data() + port.size() || server.port == 0) {
    return bad_server(whole, "has no port from 1 to 65535");
  }
  return server;
}

// `host` with its first label replaced by one that nobody can have made; nullopt where nothing is to be learned.
std::optional<std::string> random_neighbour(const std::string& host) {
  const auto dot = host.find('.');
  if (dot == std::string::npos || host.find('.', dot + 1) == std::string::npos) return std::nullopt;
  if (http::Address::parse(host)) return std::nullopt;
  std::random_device random;
  return fmt::format("culvert-{:08x}{:08x}{}", random(), random(), host.substr(dot));
}

}  // namespace

std::string HostPort::text() const {
  return host.find(':') == std::string::npos ? fmt::format("{}:{}", host, port) : fmt::format("[{}]:{}", host, port);
}

Result<std::vector<HostPort>> parse_bootstrap(std::string_view text) {
  std::vector<HostPort> servers;
  while (!text.empty()) {
    const auto comma = text.find(',');
    std::string_view one = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.empty()) continue;
    auto server = parse_server(one);
    if (!server) return server.error();
    if (std::find(servers.begin(), servers.end(), *server) == servers.end()) servers.push_back(*std::move(server));
  }
  if (servers.empty()) return bad_server(text, "names no broker");
  return servers;
}

void look_up(std::span<BrokerView> brokers, const http::DnsOptions& options) {
  for_each_side_by_side(brokers.size(), [&](std::size_t i) {
    const http::DnsResolver resolver(options);
    BrokerView& broker = brokers[i];
    broker.name = resolver.trace(broker.where.host, {});
    if (broker.name.verdict != http::NameVerdict::kAddresses || broker.name.source != http::NameSource::kServer) return;
    const auto neighbour = random_neighbour(broker.where.host);
    if (!neighbour) return;
    const auto other = resolver.trace(*neighbour, {});
    broker.wildcard = other.verdict == http::NameVerdict::kAddresses &&
                      std::any_of(other.addresses.begin(), other.addresses.end(), [&](const auto& address) {
                        return std::find(broker.name.addresses.begin(), broker.name.addresses.end(), address) !=
                               broker.name.addresses.end();
                      });
  });
}

void probe_all(std::span<BrokerView> brokers, const BrokerSettings& settings) {
  for_each_side_by_side(brokers.size(), [&](std::size_t i) {
    BrokerView& broker = brokers[i];
    if (broker.name.verdict != http::NameVerdict::kAddresses) return;
    probe::BrokerTarget target{broker.where.host, broker.where.port, broker.name.addresses, settings.tls};
    target.mechanism = settings.mechanism;
    target.check_certificate = settings.check_certificate;
    target.step_timeout = std::chrono::milliseconds{settings.timeout.count()};
    broker.report = probe::probe_broker(target);
  });
}

bool private_address(const http::Address& address) {
  const auto& b = address.bytes;
  if (address.loopback()) return true;
  if (address.family == http::AddressFamily::kV4) {
    return b[0] == 10 || (b[0] == 172 && (b[1] & 0xf0) == 16) || (b[0] == 192 && b[1] == 168) ||
           (b[0] == 100 && (b[1] & 0xc0) == 64) || (b[0] == 169 && b[1] == 254);
  }
  return (b[0] & 0xfe) == 0xfc || (b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

}  // namespace culvert
