// SPDX-License-Identifier: Apache-2.0
// DNS questions and answers on the wire.
//
// Flow    DnsResolver: [make_query] -> name server -> [parse_response] -> addresses.
// Owner   pure functions.
// Time    none.
// Bounds  names of 253 bytes, 16 aliases, 64 addresses; a response is read in time linear in its size times the
//         number of aliases, whatever it contains: every byte of it comes from the network.
// See     RFC 1035 sections 3 and 4, RFC 3596 (AAAA), RFC 5452 (what must match before an answer is believed).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/http/address.h"

namespace culvert::http {

enum class DnsType : std::uint16_t { kA = 1, kAaaa = 28 };

struct DnsQuestion {
  std::uint16_t id = 0;
  std::string name;  // lower case, without the closing dot
  DnsType type = DnsType::kA;
};

enum class DnsVerdict : std::uint8_t {
  kAnswer,     // `addresses` (may be empty: the name exists and has none of that type)
  kNoName,     // the name does not exist
  kTruncated,  // ask again over TCP
  kRefused,    // the server failed or refuses: ask another one
  kNotOurs,    // not a response to this question: keep waiting for the true one
  kMalformed,  // a response to this question that cannot be read: ask another server
};

struct DnsAnswer {
  DnsVerdict verdict = DnsVerdict::kMalformed;
  std::vector<Address> addresses;
  std::chrono::seconds ttl{0};  // the least of all records used
  int rcode = 0;
  bool authoritative = false;  // by a server that holds the zone, not one that asked another
  std::string zone{};          // that says there is nothing: owner of the SOA beside a denial; empty if it names none
};

// True for a host name DNS can carry: labels of 1 to 63 letters, digits, hyphens and underscores, 253 bytes in all.
[[nodiscard]] bool is_dns_name(std::string_view name);

// `question.name` must be a DNS name.
[[nodiscard]] std::vector<std::uint8_t> make_query(const DnsQuestion& question);
[[nodiscard]] DnsAnswer parse_response(std::span<const std::uint8_t> message, const DnsQuestion& question);

}  // namespace culvert::http
