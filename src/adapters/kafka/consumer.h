// SPDX-License-Identifier: Apache-2.0
// A member of a consumer group, reading one topic with the range assignor and eager rebalancing.
//
// Flow    Kafka -> [Consumer] -> Polled -> the command's loop.  Positions come from checkpoints, never from the group:
//         Kafka's committed offset is written for lag monitors only.
// Owner   one command; the thread that polls is the only caller, except for the methods marked "any thread".
// Time    durations; steady clock only.  Heart-beats are sent by the client's own threads between polls.
// Bounds  fetch_bytes_max of records fetched ahead, over all partitions; one fetch answer of each partition may come on
//         top (fetch.message.max.bytes, compressed), and the views of one batch (72 bytes for each record).
// See     polled.h; docs/ARCHITECTURE.md: consuming.
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

struct ConsumerOptions {
  std::string topic;
  std::string group;
  std::int64_t fetch_bytes_max = 64 << 20;  // with librdkafka's own ~400 bytes for each record
  std::size_t batch_records_max = 1'000;
  Millis connect_timeout{30'000};
  bool with_metadata = false;  // also headers and the timestamps' type, at the price of an allocation for each record
};

// A partition that is being read.
struct PartitionStatus {
  Claim claim;
  Offset position;                // next offset to be delivered
  std::optional<Offset> log_end;  // as of the last fetch; absent: nothing was fetched yet
  bool paused = false;
};

class Consumer {
 public:
  // Connects, checks that the topic exists, joins the group.  Blocks up to connect_timeout.
  [[nodiscard]] static Result<std::unique_ptr<Consumer>> open(const KafkaConfig& config,
                                                              const ConsumerOptions& options);
  Consumer(const Consumer&) = delete;
  Consumer& operator=(const Consumer&) = delete;
  // Without close(): leaves as a crash would, and the group notices by its session time-out.
  ~Consumer();

  // Waits for the next event at most `timeout`; returns records as soon as there are any.  Must be called at least
  // every max.poll.interval.ms (5 minutes), or the group takes the partitions back.  For a pause shorter than that it
  // is cheaper not to poll than to pause() every partition: pausing throws away what was fetched ahead.
  [[nodiscard]] Polled poll(Millis timeout);
  // Any thread: the poll that waits, or else the next one, returns at once.
  void wake();

  // Answers Assigned, once for each of its partitions: the first record delivered is the first one at or above `next`.
  void start(PartitionId partition, Offset next);
  // Answers Revoked.  What was committed before is sent before the group hears of it.
  void revoke_done();

  // The next record delivered is the one at `next` (the first above it, if the log has none there); records that were
  // fetched before are dropped.  What the last poll lent stays valid.
  void seek(PartitionId partition, Offset next);
  // No record of the partition is delivered until resume(), which goes on where the last delivered record ended.
  void pause(PartitionId partition);
  void resume(PartitionId partition);

  // Asks the group's coordinator to store `next`; does not wait.  A partition that is not assigned any more is ignored.
  void commit(PartitionId partition, Offset next);

  // Any thread.
  [[nodiscard]] Result<LogRange> log_range(PartitionId partition, Millis timeout) const;
  // The first offset whose record's timestamp is >= `time`; nullopt: there is none.  Any thread.
  [[nodiscard]] Result<std::optional<Offset>> offset_for_time(PartitionId partition, RecordTime time,
                                                              Millis timeout) const;
  // Empty where the brokers do not tell it.  Any thread.
  [[nodiscard]] Result<std::string> topic_id(Millis timeout) const;
  // Whether older records of a key are removed when later ones come; nullopt: the brokers do not tell it, or not to
  // this user.  Any thread.
  [[nodiscard]] std::optional<bool> compacted(Millis timeout) const;
  // What the group committed last; nullopt: nothing.  Any thread.
  [[nodiscard]] Result<std::optional<Offset>> committed(PartitionId partition, Millis timeout) const;

  // Of the started assignments; costs no request.
  [[nodiscard]] std::vector<PartitionStatus> status() const;
  [[nodiscard]] std::int32_t partition_count() const;  // of the topic, when the consumer was opened
  struct Counters {
    std::uint64_t delivered = 0;
    std::uint64_t stale_dropped = 0;   // arrived after a seek, pause or revocation
    std::uint64_t seeks_repeated = 0;  // the first record after a seek lay above its target
    std::uint64_t commits_failed = 0;
  };
  [[nodiscard]] const Counters& counters() const;

  // The watchdog for a client that is stuck without saying so: ok, unless no record arrived for `limit` although the
  // log holds some (then kUnavailable, retriable: open a new Consumer; if that does not help, end).  Costs requests to
  // the brokers only when nothing arrived for `limit`, and then blocks up to 2 s.
  [[nodiscard]] Result<void> check_progress(Millis limit);

  // Waits for commits under way, leaves the group.  Revocation needs no answer any more: drain and commit before.
  // At the deadline it stops waiting and the group finds out by its session time-out; that is an Error (kUnavailable).
  [[nodiscard]] Result<void> close(Millis deadline);

 private:
  class Impl;
  explicit Consumer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace culvert::kafka
