// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/address.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace culvert::http {

std::optional<Address> Address::parse(std::string_view text) {
  if (text.empty() || text.size() > 64) return std::nullopt;
  std::string host(text);
  Address address;
  if (inet_pton(AF_INET, host.c_str(), address.bytes.data()) == 1) return address;
  address.family = AddressFamily::kV6;
  address.bytes = {};
  if (const auto percent = host.find('%'); percent != std::string::npos) {
    address.zone = if_nametoindex(host.c_str() + percent + 1);
    if (address.zone == 0) return std::nullopt;
    host.resize(percent);
  }
  if (inet_pton(AF_INET6, host.c_str(), address.bytes.data()) == 1) return address;
  return std::nullopt;
}

Address Address::v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
  Address address;
  address.bytes = {a, b, c, d};
  return address;
}

std::string Address::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  inet_ntop(family == AddressFamily::kV4 ? AF_INET : AF_INET6, bytes.data(), buffer.data(), buffer.size());
  return buffer.data();
}

bool Address::loopback() const {
  if (family == AddressFamily::kV4) return bytes[0] == 127;
  std::array<std::uint8_t, 16> one{};
  one[15] = 1;
  return bytes == one;
}

socklen_t to_sockaddr(const Address& address, std::uint16_t port, sockaddr_storage& out) {
  std::memset(&out, 0, sizeof out);
  if (address.family == AddressFamily::kV4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::copy_n(address.bytes.begin(), 4, reinterpret_cast<std::uint8_t*>(&v4.sin_addr));
    std::memcpy(&out, &v4, sizeof v4);
    return sizeof v4;
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  v6.sin6_port = htons(port);
  v6.sin6_scope_id = address.zone;
  std::copy_n(address.bytes.begin(), 16, reinterpret_cast<std::uint8_t*>(&v6.sin6_addr));
  std::memcpy(&out, &v6, sizeof v6);
  return sizeof v6;
}

}  // namespace culvert::http
