// SPDX-License-Identifier: Apache-2.0
// The two files that say how names are resolved on this machine.
//
// Flow    DnsResolver reads them at every look-up (they change with the network) -> [parse] -> servers, candidates.
// Owner   pure functions.
// Time    time-outs in milliseconds.
// Bounds  3 name servers, 6 search domains, as resolv.conf(5) says; anything unknown in the files is ignored, as a
//         foreign option must not stop a program.
// See     resolv.conf(5), hosts(5).
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/http/address.h"

namespace culvert::http {

struct ResolvConf {
  std::vector<Address> servers;     // 127.0.0.1 if the file names none
  std::vector<std::string> search;  // domains without dots at either end
  int ndots = 1;
  std::chrono::milliseconds timeout{5'000};  // for one exchange with one server
  int attempts = 2;                          // rounds through all servers
};

[[nodiscard]] ResolvConf parse_resolv_conf(std::string_view text);

// Addresses of `host` (lower case) in a hosts file, in its order.
[[nodiscard]] std::vector<Address> find_in_hosts(std::string_view text, std::string_view host);

// The names to ask for, in order: `host` as it is and with the search domains behind it.
[[nodiscard]] std::vector<std::string> search_candidates(const ResolvConf& conf, std::string_view host);

}  // namespace culvert::http
