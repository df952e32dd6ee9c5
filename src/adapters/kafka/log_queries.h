// SPDX-License-Identifier: Apache-2.0
// Questions about a topic's log that need no position in it.  Private to adapters/kafka.
//
// Flow    Consumer, PartitionReader and Admin answer their callers' questions with these.
// Owner   free functions; each may be called from any thread while the client lives.
// Time    each waits at most `timeout` for the brokers.
// Bounds  one request each.
// See     consumer.h, admin.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "adapters/kafka/client.h"
#include "adapters/kafka/polled.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert::kafka {

struct TopicDescription {
  std::int32_t partitions = 0;
  std::int32_t brokers = 0;  // of the cluster
};

// Metadata of one topic, which must exist, or (null) of the brokers alone.
[[nodiscard]] Result<Handle<const rd_kafka_metadata_t>> query_metadata(const Client& client, const std::string* topic,
                                                                       Millis timeout);
[[nodiscard]] Result<TopicDescription> query_topic(const Client& client, const std::string& topic, Millis timeout);
[[nodiscard]] Result<LogRange> query_log_range(const Client& client, const std::string& topic, PartitionId partition,
                                               Millis timeout);
// The first offset whose record has a timestamp >= `time`; nullopt: there is none, that is, the log end.
[[nodiscard]] Result<std::optional<Offset>> query_offset_for_time(const Client& client, const std::string& topic,
                                                                  PartitionId partition, RecordTime time,
                                                                  Millis timeout);
// Kafka's id of the topic, or empty (with a debug line in the log) where the brokers do not tell it.
[[nodiscard]] Result<std::string> query_topic_id(const Client& client, const std::string& topic, Millis timeout);
// Whether the topic is compacted: older records of a key are removed when later ones come (`cleanup.policy`).  nullopt,
// with a debug line in the log: the brokers do not tell it, or not to this user, who needs DESCRIBE_CONFIGS for it.
[[nodiscard]] std::optional<bool> query_compacted(const Client& client, const std::string& topic, Millis timeout);
// nullopt: the group committed nothing for this partition.
[[nodiscard]] Result<std::optional<Offset>> query_committed(const Client& client, const std::string& topic,
                                                            PartitionId partition, Millis timeout);

[[nodiscard]] std::string partition_name(const std::string& topic, PartitionId partition);
[[nodiscard]] int to_ms(Millis timeout);

}  // namespace culvert::kafka
