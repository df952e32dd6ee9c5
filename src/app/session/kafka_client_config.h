// SPDX-License-Identifier: Apache-2.0
// From a command's Kafka options to the Kafka adapter's configuration.
//
// Flow    KafkaOptions -> KafkaTarget -> [kafka_client_config] -> Consumer, Producer, PartitionReader.
// Owner   free functions.
// Time    none.
// Bounds  none.
// See     adapters/kafka/config.h.
#pragma once

#include "adapters/kafka/config.h"
#include "app/cli/log.h"
#include "app/cli/option_groups.h"

namespace culvert {

// The client's own log lines go to `log`, which must outlive every client made from the result.
[[nodiscard]] kafka::KafkaConfig kafka_client_config(const KafkaTarget& target, Log& log);
// The same for a client that has no options, such as the embedded broker.
[[nodiscard]] kafka::LogSink kafka_client_log(Log& log);

}  // namespace culvert
