// SPDX-License-Identifier: Apache-2.0
// A Kafka cluster inside this process: librdkafka's mock, which serves real TCP on 127.0.0.1.
//
// Flow    demo and tests: [EmbeddedBroker] <- Producer, Consumer over real connections.
// Owner   one command or test; destroying it drops all topics.
// Time    durations only.
// Bounds  keeps 5 MiB and 100 000 records a partition, then drops the oldest: for demos and fault tests, not for
//         back-logs.  Knows no TLS, no SCRAM, no CreateTopics.
// See     docs/operating.md: demo.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "adapters/kafka/config.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert::kafka {

// Requests whose answers can be made to fail; the numbers are the protocol's.
enum class Request : std::int16_t {
  kProduce = 0,
  kFetch = 1,
  kListOffsets = 2,
  kMetadata = 3,
  kOffsetCommit = 8,
  kOffsetFetch = 9,
  kFindCoordinator = 10,
  kJoinGroup = 11,
  kHeartbeat = 12,
  kLeaveGroup = 13,
  kSyncGroup = 14,
  kInitProducerId = 22,
  kOffsetForLeaderEpoch = 23,
};

class EmbeddedBroker {
 public:
  // Brokers are numbered from 1.
  [[nodiscard]] static Result<std::unique_ptr<EmbeddedBroker>> start(int brokers, LogSink log = {});
  EmbeddedBroker(const EmbeddedBroker&) = delete;
  EmbeddedBroker& operator=(const EmbeddedBroker&) = delete;
  ~EmbeddedBroker();

  [[nodiscard]] std::string bootstrap() const;
  [[nodiscard]] KafkaConfig config() const;  // just the bootstrap servers
  [[nodiscard]] Result<void> create_topic(const std::string& topic, int partitions);

  // The next `count` requests of this kind are answered with the error: a number of the protocol, such as 6 (not the
  // leader); kDisconnect closes the connection instead of answering.
  static constexpr int kDisconnect = -195;
  void fail_requests(Request request, int error, int count);
  void clear_failures(Request request);
  // -1: all brokers.
  [[nodiscard]] Result<void> set_down(int broker);
  [[nodiscard]] Result<void> set_up(int broker);
  // Every answer of the broker takes this much longer.
  [[nodiscard]] Result<void> set_round_trip(int broker, Millis time);
  [[nodiscard]] Result<void> move_leader(const std::string& topic, PartitionId partition, int broker);
  // Tells clients that the partition's leader is `broker` since `epoch`, in the next answer about it.
  [[nodiscard]] Result<void> announce_leader(const std::string& topic, PartitionId partition, int broker, int epoch);
  [[nodiscard]] Result<void> move_coordinator(const std::string& group, int broker);
  // The kinds of requests that arrived since watch_requests(), in order; kinds that Request does not name are in it
  // too.
  void watch_requests();
  [[nodiscard]] std::vector<Request> requests_seen() const;

 private:
  struct State;
  explicit EmbeddedBroker(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace culvert::kafka
