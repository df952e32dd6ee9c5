// SPDX-License-Identifier: Apache-2.0
// An IPv4 or IPv6 address.
//
// Flow    literal, hosts file or DNS answer -> [Address] -> connect().
// Owner   value.
// Time    none.
// Bounds  20 bytes.
// See     RFC 4291 (text forms), RFC 4007 (zone of a link-local address, `fe80::1%eth0`).
#pragma once

#include <sys/socket.h>

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace culvert::http {

enum class AddressFamily : std::uint8_t { kV4, kV6 };

struct Address {
  AddressFamily family = AddressFamily::kV4;
  std::array<std::uint8_t, 16> bytes{};  // the first four for IPv4
  std::uint32_t zone = 0;                // interface index of a link-local IPv6 address

  friend auto operator<=>(const Address&, const Address&) = default;

  // Dotted quad or IPv6 text, never a name; brackets are not part of it.
  [[nodiscard]] static std::optional<Address> parse(std::string_view text);
  [[nodiscard]] static Address v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d);
  [[nodiscard]] std::string text() const;
  [[nodiscard]] bool loopback() const;
};

// The address as the kernel wants it; returns the length that is in use.
socklen_t to_sockaddr(const Address& address, std::uint16_t port, sockaddr_storage& out);

}  // namespace culvert::http
