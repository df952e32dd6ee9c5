// SPDX-License-Identifier: Apache-2.0
// culvert's settings of librdkafka: defaults that a property may change, and keys that it may not.  Private to
// adapters/kafka.
//
// Flow    KafkaConfig + Role -> [make_conf] -> Client.
// Owner   free functions.
// Time    none.
// Bounds  none.
// See     config.h; docs/operating.md: Kafka properties, which lists both tables.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "adapters/kafka/config.h"
#include "adapters/kafka/handle.h"
#include "model/result.h"

namespace culvert::kafka {

struct OwnedKey {
  std::string_view name;
  std::string_view reason;
};

// Keys that are refused in KafkaConfig::properties, each with what to use instead or why.
[[nodiscard]] std::span<const OwnedKey> owned_keys();

struct Default {
  std::string_view name;
  std::string_view value;
};

[[nodiscard]] std::span<const Default> defaults(Role role);

// How much may be fetched ahead of delivery.  librdkafka counts all partitions together, because they share the queue
// that is polled, and counts neither its ~400 bytes for each record nor the answer that a partition is just receiving.
[[nodiscard]] std::vector<Property> fetch_limits(std::int64_t bytes_max);

// Defaults, then the configuration's properties, then `settings`.
// Error (kConfiguration, fatal): names the property at fault and why.
[[nodiscard]] Result<Handle<rd_kafka_conf_t>> make_conf(const KafkaConfig& config, Role role,
                                                        std::span<const Property> settings);

}  // namespace culvert::kafka
