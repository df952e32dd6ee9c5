// SPDX-License-Identifier: Apache-2.0
// What the embedded broker tests share: a topic, records whose content says where they belong, and polling with an end.
//
// Flow    tests/broker/*_test.cc.
// Owner   one test each.
// Time    every wait is bounded; a test that would wait longer fails.
// Bounds  a few ten thousand records.
// See     adapters/kafka/embedded_broker.h.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/kafka/consumer.h"
#include "adapters/kafka/embedded_broker.h"
#include "adapters/kafka/producer.h"

namespace culvert::kafka {

inline constexpr Millis kPatience{90'000};
inline const std::string kTopic = "telemetry";
inline const std::string kGroup = "readers";

// Quick time-outs, so that faults show within a test's patience.
[[nodiscard]] KafkaConfig quick(const EmbeddedBroker& broker);

// Produces `count` records to every partition, keyed `p/i` with value `value p/i`, numbered from `first`, and waits for
// all of them to be acknowledged.
void fill(const KafkaConfig& config, int partitions, int count, int first = 0);

// A group member that starts every partition at `start_at` (0 unless named) and keeps everything that it was told.
class Reader {
 public:
  explicit Reader(const KafkaConfig& config, const ConsumerOptions& options = {.topic = kTopic, .group = kGroup});

  // Polls until `done` holds; a failure of the test at the end of patience.
  void poll_until(const std::function<bool()>& done, const std::string& what);
  void poll_once(Millis timeout = Millis{50});

  [[nodiscard]] Consumer& consumer() { return *consumer_; }
  void leave() {
    const Result<void> closed = consumer_->close(Millis{5'000});
    EXPECT_TRUE(closed.ok()) << (closed.ok() ? "" : closed.error().message);
    consumer_.reset();
  }
  void crash() { consumer_.reset(); }

  [[nodiscard]] std::size_t received() const;
  [[nodiscard]] std::size_t ends() const { return end_of.size(); }

  // Where the partitions begin. Members that share `position` go on where the group has got to, as checkpoints would
  // have it: however often the partitions change hands, no record is read twice.
  std::map<std::int32_t, std::int64_t> start_at;
  std::map<std::int32_t, std::int64_t>* position = nullptr;
  std::map<std::int32_t, std::vector<std::int64_t>> offsets;  // by partition, in the order of delivery
  std::map<std::int32_t, std::vector<std::string>> values;
  std::map<std::int32_t, std::int64_t> end_of;
  std::vector<std::vector<Claim>> assigned;
  std::vector<std::vector<Claim>> revoked;
  std::vector<bool> lost;
  std::vector<Claim> owned;
  std::vector<Error> errors;
  // Called for each run; the default keeps offsets and values.
  std::function<void(const PartitionRecords&)> on_run;
  bool hold_revocation = false;  // answer it by hand

 private:
  void take(const Polled& polled);
  std::unique_ptr<Consumer> consumer_;
};

// Three brokers with the topic kTopic of four partitions.
class BrokerTest : public testing::Test {
 protected:
  void SetUp() override;

  std::unique_ptr<EmbeddedBroker> broker;
  KafkaConfig config;
};

// 0, 1, .. count - 1.
[[nodiscard]] std::vector<std::int64_t> sequence(std::int64_t count, std::int64_t first = 0);

}  // namespace culvert::kafka
