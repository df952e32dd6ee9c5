// SPDX-License-Identifier: Apache-2.0
// Reads partitions of a topic without a group: from given offsets, up to given ends or for ever.
//
// Flow    Kafka -> [PartitionReader] -> commands `verify`, `tail`, dead letter redrive.
// Owner   one command; the thread that polls is the only caller, except for the methods marked "any thread".
// Time    durations; steady clock only.
// Bounds  as Consumer: fetch_bytes_max fetched ahead over all partitions, and one batch.
// See     polled.h, consumer.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "adapters/kafka/config.h"
#include "adapters/kafka/polled.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert::kafka {

struct ReaderOptions {
  std::string topic;
  std::int64_t fetch_bytes_max = 64 << 20;
  std::size_t batch_records_max = 1'000;
  Millis connect_timeout{30'000};
};

// Half-open [first, next); without `next` the partition is followed for ever.
struct ReadRange {
  PartitionId partition;
  Offset first;
  std::optional<Offset> next{};
};

class PartitionReader {
 public:
  // Connects and checks that the topic exists.  Blocks up to connect_timeout.
  [[nodiscard]] static Result<std::unique_ptr<PartitionReader>> open(const KafkaConfig& config,
                                                                     const ReaderOptions& options);
  PartitionReader(const PartitionReader&) = delete;
  PartitionReader& operator=(const PartitionReader&) = delete;
  ~PartitionReader();

  // Once.  Each range must begin inside the log (log_range() tells); a partition named twice is a bug.
  [[nodiscard]] Result<void> start(std::span<const ReadRange> ranges);

  // Records, EndReached, Failed or Nothing.  A partition with an end reports EndReached once, with `next` = its end,
  // when everything below was delivered; one that is followed reports it each time the log's end is reached.
  [[nodiscard]] Polled poll(Millis timeout);
  // Every range was delivered and every event polled; never true while a partition is followed.
  [[nodiscard]] bool done() const;
  // Ok, or kUnavailable if nothing arrived for `limit` although ranges with an end are not done.
  [[nodiscard]] Result<void> check_progress(Millis limit) const;

  [[nodiscard]] std::int32_t partition_count() const;
  // Any thread, all four.
  [[nodiscard]] Result<LogRange> log_range(PartitionId partition, Millis timeout) const;
  [[nodiscard]] Result<std::optional<Offset>> offset_for_time(PartitionId partition, RecordTime time,
                                                              Millis timeout) const;
  [[nodiscard]] Result<std::string> topic_id(Millis timeout) const;
  // As Consumer::compacted().
  [[nodiscard]] std::optional<bool> compacted(Millis timeout) const;

 private:
  class Impl;
  explicit PartitionReader(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace culvert::kafka
