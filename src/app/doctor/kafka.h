// SPDX-License-Identifier: Apache-2.0
// The hops from the bootstrap servers to the group, each in the order the consumer would meet them.
//
// Flow    KafkaTarget -> [DoctorKafka] -> a Finding for each hop; later hops use what earlier ones found.
// Owner   the command, on one thread.
// Time    every hop within a small multiple of --timeout.
// Bounds  at most one record of one partition is fetched; nothing is joined, committed or produced.
// See     brokers.h, docs/doctor.md.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/kafka/admin.h"
#include "adapters/kafka/config.h"
#include "app/cli/log.h"
#include "app/cli/option_groups.h"
#include "app/doctor/brokers.h"
#include "app/doctor/hops.h"
#include "app/doctor/rights.h"
#include "pipeline/checkpoint.h"

namespace culvert {

enum class WalkFor : std::uint8_t { kConsume, kProduce };

struct DoctorKafkaOptions {
  Millis timeout{5'000};
  http::DnsOptions dns;
  bool private_addresses = false;
  std::optional<Millis> idle_timeout;  // of load balancers on the way; absent: none is known of
  std::int64_t generation = 1;
  WalkFor walk_for = WalkFor::kConsume;
  std::string cluster_arn;  // where the hand-over names it, for the rights of an AWS identity
};

// What is known of the topic's log, for the position hop.
struct TopicLog {
  std::map<PartitionId, kafka::LogRange> ranges;
  std::string topic_id;  // empty: the brokers do not tell it
};

// The checkpoints of `topic` against its log: lost records, a topic that was made anew, another generation.
[[nodiscard]] Finding position_finding(const std::string& topic, std::int64_t generation, const TopicLog& log,
                                       const std::vector<PartitionCheckpoint>& checkpoints);
[[nodiscard]] Finding idle_finding(Millis client_idle, std::optional<Millis> balancer_idle);

class DoctorKafka {
 public:
  // `log` must outlive it; the client's own messages go there at level debug.
  DoctorKafka(KafkaTarget target, const DoctorKafkaOptions& options, Log& log);

  // Whether the properties can be used at all, before anybody connects.
  [[nodiscard]] Result<void> check();

  Finding names();
  Finding tcp();
  Finding tls(std::chrono::sys_seconds now);
  Finding protocol();
  Finding login();
  Finding advertised(std::chrono::sys_seconds now);
  Finding topic();
  Finding read();
  Finding send();
  Finding group();
  // What Lambda's pollers ask for beside READ, where they log in as this client does.
  Finding poller();
  Finding position(const std::vector<PartitionCheckpoint>& checkpoints);
  Finding idle();

  [[nodiscard]] const KafkaTarget& target() const { return target_; }

 private:
  [[nodiscard]] std::string property(const std::string& name) const;
  [[nodiscard]] probe::TlsSettings tls_settings() const;
  [[nodiscard]] bool by_iam() const;
  [[nodiscard]] std::string principal() const;
  [[nodiscard]] std::string grant(const MissingRight& right) const;
  Result<void> read_one(PartitionId partition, Offset first);

  const KafkaTarget target_;
  const DoctorKafkaOptions options_;
  kafka::KafkaConfig config_;
  std::string protocol_;  // lower case: `sasl_ssl`
  BrokerSettings settings_;
  std::vector<BrokerView> brokers_;
  std::unique_ptr<kafka::Admin> admin_;
  std::vector<kafka::BrokerAddress> members_;  // of the cluster, as it advertises them
  TopicLog topic_log_;
};

}  // namespace culvert
