// SPDX-License-Identifier: Apache-2.0
// An idempotent producer of keyed records, with a delivery report for every one of them.
//
// Flow    command `produce`, dead letter redrive, tests -> [Producer] -> Kafka.
// Owner   one command; one thread.
// Time    durations; a record that is not acknowledged within message.timeout.ms (2 minutes) has failed.
// Bounds  queue.buffering.max.messages (500 000) and queue.buffering.max.kbytes (256 MiB) wait for acknowledgement;
// then
//         send() waits.
// See     docs/operating.md: produce.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "adapters/kafka/config.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert::kafka {

struct ProducerOptions {
  std::string topic;
  Millis connect_timeout{30'000};
};

// A null key goes to a random partition; a null value is a tombstone.
struct OutgoingRecord {
  std::optional<std::string_view> key{};
  std::optional<std::string_view> value{};
  std::optional<RecordTime> timestamp{};   // absent: now
  std::optional<PartitionId> partition{};  // absent: by the key, as Java programs choose it
};

// sent == acknowledged + failed + under_way().
struct ProducerCounters {
  std::uint64_t sent = 0;
  std::uint64_t acknowledged = 0;
  std::uint64_t failed = 0;
  std::uint64_t recreated = 0;  // clients replaced after a fatal error of the idempotence protocol
  [[nodiscard]] std::uint64_t under_way() const { return sent - acknowledged - failed; }
};

class Producer {
 public:
  // Connects and checks that the topic exists.  Blocks up to connect_timeout.
  [[nodiscard]] static Result<std::unique_ptr<Producer>> open(const KafkaConfig& config,
                                                              const ProducerOptions& options);
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;
  // Records under way are given up; flush() before.
  ~Producer();

  // Copies the record into the queue; waits while the queue is full, but at most `wait_most`, then it is an Error
  // (kUnavailable, retriable: the record was not taken).  Any other Error is fatal.
  [[nodiscard]] Result<void> send(const OutgoingRecord& record, Millis wait_most = Millis{120'000});
  // Takes delivery reports; send() does it too, now and then.
  void poll(Millis timeout);
  // Waits until every record is acknowledged or has failed, at most `deadline`; calls `progress` a few times a second.
  // Error (kUnavailable): some are still under way at the deadline.
  [[nodiscard]] Result<void> flush(Millis deadline, const std::function<void(const ProducerCounters&)>& progress = {});

  [[nodiscard]] const ProducerCounters& counters() const;
  // Why the first record that failed did.
  [[nodiscard]] const std::optional<Error>& first_failure() const;
  [[nodiscard]] std::int32_t partition_count() const;

 private:
  class Impl;
  explicit Producer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace culvert::kafka
