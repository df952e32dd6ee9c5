// SPDX-License-Identifier: Apache-2.0
#include "app/doctor/brokers.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <random>
#include <thread>
#include <utility>

namespace culvert {

namespace {

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

// `host` with its first label replaced by one that nobody can have made; nullopt where nothing is to be learned.
std::optional<std::string> random_neighbour(const std::string& host) {
  const auto dot = host.find('.');
  if (dot == std::string::npos || host.find('.', dot + 1) == std::string::npos) return std::nullopt;
  if (http::Address::parse(host)) return std::nullopt;
  std::random_device random;
  return fmt::format("culvert-{:08x}{:08x}{}", random(), random(), host.substr(dot));
}

}  // namespace

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
