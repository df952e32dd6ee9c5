// SPDX-License-Identifier: Apache-2.0
// Host names to addresses, without the C library's resolver.
//
// Flow    Client (a host name) -> [Resolver] -> addresses to connect to.
// Owner   the program; used by one thread of each Client at a time, and safe for several.
// Time    bounded: `total_most` for one look-up, whatever the servers do.
// Bounds  64 addresses; responses of 64 KiB; nothing is kept between calls (the Client keeps answers for their TTL).
// See     RFC 1035, RFC 5452, resolv.conf(5).  getaddrinfo() is not used: in a static program it loads whatever NSS
//         modules the host's nsswitch.conf names, which can end the process on a host with another C library.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/http/address.h"
#include "model/result.h"

namespace culvert::http {

struct Resolved {
  std::vector<Address> addresses;  // at least one; IPv4 before IPv6
  std::chrono::seconds ttl{0};
};

enum class NameVerdict : std::uint8_t {
  kAddresses,
  kNoName,     // a server says that the name does not exist
  kNoAddress,  // the name exists and has no address
  kNoServer,   // no server gave a usable answer
  kNotAName,   // nothing DNS can carry
};
enum class NameSource : std::uint8_t { kLiteral, kHostsFile, kLocalhost, kServer };

// A look-up with what led to its outcome, for whoever explains it.
struct NameTrace {
  NameVerdict verdict = NameVerdict::kNoServer;
  NameSource source = NameSource::kServer;
  std::string asked{};               // the name that was answered for: with a search domain, if one was used
  std::vector<Address> addresses{};  // IPv4 before IPv6
  std::chrono::seconds ttl{0};
  std::string server{};        // that answered; empty: none did
  bool authoritative = false;  // that server holds the zone itself
  std::string zone{};          // that denies the name, where the answer names it
  std::vector<Address> asked_servers{};
};

class Resolver {
 public:
  Resolver() = default;
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  virtual ~Resolver() = default;

  // Blocks until there is an answer, the time is over or `stop` is requested.  An address literal is answered at once.
  // Error: retriable unless the host can never be a name; the message names the host and what was tried.
  [[nodiscard]] virtual Result<Resolved> resolve(std::string_view host, const std::stop_token& stop) = 0;
};

struct DnsOptions {
  std::string resolv_conf = "/etc/resolv.conf";
  std::string hosts = "/etc/hosts";
  std::uint16_t port = 53;
  std::chrono::milliseconds total_most{10'000};
  // For tests: shortens the servers' time-out below the whole seconds that resolv.conf can say; 0: as the file says.
  std::chrono::milliseconds server_timeout{0};
  // Asked instead of the servers that resolv.conf names.
  std::optional<Address> server{};
};

class DnsResolver final : public Resolver {
 public:
  explicit DnsResolver(DnsOptions options = {}) : options_(std::move(options)) {}
  [[nodiscard]] Result<Resolved> resolve(std::string_view host, const std::stop_token& stop) override;
  [[nodiscard]] NameTrace trace(std::string_view host, const std::stop_token& stop) const;

 private:
  DnsOptions options_;
};

}  // namespace culvert::http
