// SPDX-License-Identifier: Apache-2.0
#include "app/cli/bootstrap_servers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace culvert {

namespace {

constexpr std::uint16_t kKafkaPort = 9092;

Error bad_server(std::string_view text, std::string_view why) {
  return Error::fatal(ErrorKind::kConfiguration, fmt::format("'{}' {} (write HOST:PORT,HOST:PORT)", text, why));
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
    return bad_server(whole, fmt::format("has the port '{}', and ports are 1 to 65535", port));
  }
  return server;
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
    auto server = parse_server(one);
    if (!server) return server.error();
    if (std::find(servers.begin(), servers.end(), *server) == servers.end()) servers.push_back(*std::move(server));
  }
  if (servers.empty()) return bad_server(text, "names no broker");
  return servers;
}

}  // namespace culvert
