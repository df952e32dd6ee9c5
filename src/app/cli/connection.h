// SPDX-License-Identifier: Apache-2.0
// The hand-over between accounts: where the brokers are, and how one logs in to them.
//
// Flow    infra/modules/connection_secret writes it -> file or secret -> [parse_connection] -> Kafka options, doctor.
// Owner   value.
// Time    none.
// Bounds  64 KiB, what a secret can hold.
// See     infra/connection.schema.json, which says the same; docs/formats.md: hand-over.
//
// Strict: another version, an unknown member or a value of another form is refused, because a document that is half
// understood leads to the wrong brokers or the wrong login.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace culvert {

inline constexpr std::size_t kConnectionBytesMost = 64 << 10;
inline constexpr std::int64_t kConnectionVersion = 1;

enum class Authentication : std::uint8_t { kScram, kIam, kMtls };
[[nodiscard]] std::string_view authentication_name(Authentication authentication);

struct ConnectionBroker {
  std::int32_t id = 0;
  std::string host;
  std::uint16_t port = 0;
  std::string service_name;           // empty: managed multi-VPC connectivity
  std::vector<std::string> zone_ids;  // of its service, or of the broker itself
};

struct Connection {
  std::string cluster_arn;
  std::string region;
  std::string kafka_version;  // Amazon MSK's spelling
  Authentication authentication = Authentication::kScram;
  // Clients close connections that were idle for longer; absent: nothing on the path forgets them.
  std::optional<std::int64_t> client_idle_ms_max;
  std::vector<ConnectionBroker> brokers;  // by id, at least one

  // `host:port,..`
  [[nodiscard]] std::string bootstrap_servers() const;
};

// `source` is where it came from, for messages.  Error: kConfiguration, fatal; names the member at fault.
[[nodiscard]] Result<Connection> parse_connection(std::string_view text, std::string_view source);

// `{"username":..,"password":..}`, as Amazon MSK keeps its users.  No part of the text appears in an error.
struct UserPassword {
  std::string username;
  std::string password;
};
[[nodiscard]] Result<UserPassword> parse_user_password(std::string_view text, std::string_view source);

}  // namespace culvert
