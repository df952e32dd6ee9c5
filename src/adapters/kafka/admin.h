// SPDX-License-Identifier: Apache-2.0
// Creating and describing topics.
//
// Flow    commands `produce --create-topic`, `consume` and `doctor` -> [Admin] -> the cluster.
// Owner   one command; short-lived.
// Time    every call is bounded by its time-out.
// Bounds  one connection for each broker asked.
// See     errors.h for what its errors mean.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/kafka/config.h"
#include "adapters/kafka/polled.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert::kafka {

struct BrokerAddress {
  std::int32_t id = 0;
  std::string host;
  int port = 0;
  friend bool operator==(const BrokerAddress&, const BrokerAddress&) = default;
};

struct PartitionInfo {
  PartitionId partition;
  std::int32_t leader = -1;  // -1: none at present
  std::int32_t replicas = 0;
  std::int32_t in_sync = 0;
};

struct ClusterInfo {
  std::vector<BrokerAddress> brokers;
};

struct TopicInfo {
  std::vector<PartitionInfo> partitions;  // ascending
  std::vector<BrokerAddress> brokers;     // of the whole cluster
};

enum class Right : std::uint8_t { kGranted, kDenied, kUnknown };  // kUnknown: the brokers do not tell

struct GroupInfo {
  std::string state;  // `Stable`, `Empty`; `Dead`: nobody has used it yet
  std::size_t members = 0;
  Right may_read = Right::kUnknown;  // READ: to join and to commit
};

struct NewTopic {
  std::string name;
  int partitions = 1;
  int replication = -1;                // -1: the cluster's default
  std::vector<Property> properties{};  // topic configuration, such as retention.ms
};

class Admin {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Admin>> open(const KafkaConfig& config);
  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;
  ~Admin();

  // A refused login, certificate or topic ends the call at once; an unreachable cluster when the time is over.
  [[nodiscard]] Result<ClusterInfo> cluster(Millis timeout);
  [[nodiscard]] Result<TopicInfo> topic(const std::string& name, Millis timeout);
  // Error (kConfiguration): it exists already.  On success clients may not see it for a moment: see wait_for_topic().
  [[nodiscard]] Result<void> create_topic(const NewTopic& topic, Millis timeout);
  [[nodiscard]] Result<void> delete_topic(const std::string& name, Millis timeout);
  // Until every partition has a leader.
  [[nodiscard]] Result<TopicInfo> wait_for_topic(const std::string& name, Millis timeout);
  [[nodiscard]] Result<std::string> topic_id(const std::string& name, Millis timeout);
  // As Consumer::compacted().
  [[nodiscard]] std::optional<bool> compacted(const std::string& name, Millis timeout);
  // Joins nothing and disturbs nobody.  Error (kPermission): not even DESCRIBE is granted.
  [[nodiscard]] Result<GroupInfo> group(const std::string& name, Millis timeout);
  // WRITE on a topic that exists; produces nothing.
  [[nodiscard]] Result<Right> may_write(const std::string& topic, Millis timeout);
  // Asks one broker for its settings, as Lambda's pollers do.  Error (kPermission): no DESCRIBE_CONFIGS on the cluster.
  [[nodiscard]] Result<void> may_read_settings(Millis timeout);
  [[nodiscard]] Result<LogRange> log_range(const std::string& topic, PartitionId partition, Millis timeout);

 private:
  class Impl;
  explicit Admin(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace culvert::kafka
