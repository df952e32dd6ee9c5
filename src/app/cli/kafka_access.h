// SPDX-License-Identifier: Apache-2.0
// How one logs in to the brokers: what the hand-over, --credentials and --auth make of the client's properties.
//
// Flow    KafkaOptions (options, document, credentials) -> [apply_access] -> KafkaTarget.
// Owner   free functions.
// Time    none.
// Bounds  none.
// See     docs/security.md: logging in; connection.h.
//
// Whatever is given explicitly wins: the document only fills what nobody said.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/connection.h"
#include "app/cli/option_groups.h"
#include "model/result.h"

namespace culvert {

struct KafkaAccess {
  std::optional<Connection> connection;
  std::optional<UserPassword> credentials;
  AuthChoice auth = AuthChoice::kAuto;
  std::string region;  // --kafka-region; empty: from the document, the brokers' names, the environment
  std::function<std::optional<std::string>()> environment_region;
};

// `target` holds what was given; what is missing is filled in.  `warnings` are for the log.
// Error: kUsage or kConfiguration: two places contradict each other, or something is missing.
[[nodiscard]] Result<void> apply_access(KafkaTarget& target, const KafkaAccess& access,
                                        std::vector<std::string>& warnings);

// The region in a broker's name as Amazon MSK makes them (`b-1.x.y.c2.kafka.REGION.amazonaws.com`), or "".
[[nodiscard]] std::string region_of_brokers(std::string_view bootstrap_servers);

}  // namespace culvert
