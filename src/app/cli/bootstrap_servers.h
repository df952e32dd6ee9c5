// SPDX-License-Identifier: Apache-2.0
// The brokers that a client begins with, as text.
//
// Flow    --bootstrap-server, connection document -> [parse_bootstrap] -> the option's check, doctor's hops.
// Owner   values.
// Time    none: names are not looked up.
// Bounds  none but the text's length.
// See     librdkafka's property bootstrap.servers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace culvert {

struct HostPort {
  std::string host;
  std::uint16_t port = 0;
  friend bool operator==(const HostPort&, const HostPort&) = default;
  [[nodiscard]] std::string text() const;
};

// `host:port,..` as librdkafka takes it: brackets around IPv6, an optional PROTOCOL:// in front, 9092 if there is no
// port.  Error (kConfiguration): which part is none.
[[nodiscard]] Result<std::vector<HostPort>> parse_bootstrap(std::string_view text);

}  // namespace culvert
