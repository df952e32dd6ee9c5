// SPDX-License-Identifier: Apache-2.0
// From librdkafka's messages to runs of Record, without copying.  Private to adapters/kafka.
//
// Flow    librdkafka's queue -> [MessageBatch] -> sorted into the Lanes of the partitions -> Records.
// Owner   Consumer and PartitionReader hold one MessageBatch and a Lane for each partition that they read.
// Time    durations only.
// Bounds  capacity messages at a time; a Lane keeps the space of its longest run.
// See     polled.h, position.h.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "adapters/kafka/handle.h"
#include "adapters/kafka/polled.h"
#include "adapters/kafka/position.h"
#include "model/time.h"

namespace culvert::kafka {

// The client said that the log does not hold the position (any more).  Until it is fetched from again, nothing that
// arrives is delivered.
struct Suspicion {
  int times = 0;  // since the last delivered record or end of the log
  bool open = false;
  bool asked_again = false;
  std::chrono::steady_clock::time_point ask_again_at;

  [[nodiscard]] bool waits() const { return open && !asked_again; }
};

// One partition that is being read.
struct Lane {
  Claim claim;
  Position position{Offset{0}};
  bool started = false;  // its position is known and fetching may begin
  bool paused = false;
  bool seek_wanted = false;  // and not carried out yet
  int seek_attempts = 0;
  Suspicion suspicion;
  std::int32_t leader_epoch = -1;                      // of the last delivered record; -1: not known
  const rd_kafka_message_t* last_delivered = nullptr;  // of the present refill
  std::vector<Record> records;                         // of the present batch
  std::vector<RecordMetadata> metadata;                // beside them, if wanted
};

class MessageBatch {
 public:
  MessageBatch(std::size_t capacity, bool with_metadata);
  MessageBatch(const MessageBatch&) = delete;
  MessageBatch& operator=(const MessageBatch&) = delete;
  ~MessageBatch() { release(); }

  // Gives the former batch back and takes what is there, at most capacity; if nothing is, waits for the first message.
  // (Asking librdkafka for a full batch with a time-out would wait for the batch to fill.)
  // Does not wait if `woken` is set, and unsets it; rd_kafka_queue_yield() after setting it ends a wait.
  [[nodiscard]] std::span<rd_kafka_message_t* const> refill(rd_kafka_queue_t* queue, Millis timeout,
                                                            std::atomic<bool>* woken = nullptr);
  // Gives the messages back and empties the lanes: Records of before are invalid.
  void release();

  // Adds a view of the message to the lane.  The lane must live until release().
  void add(Lane& lane, const rd_kafka_message_t& message) {
    if (lane.records.empty()) touched_.push_back(&lane);
    lane.records.push_back(view(message));
    if (with_metadata_) lane.metadata.push_back(metadata(message));
    ++count_;
  }
  // What was added since the refill.
  [[nodiscard]] Records records();

 private:
  [[nodiscard]] static Record view(const rd_kafka_message_t& message);
  [[nodiscard]] static RecordMetadata metadata(const rd_kafka_message_t& message);

  const bool with_metadata_;
  std::vector<rd_kafka_message_t*> messages_;
  std::size_t message_count_ = 0;
  std::size_t count_ = 0;  // of records added
  std::vector<Lane*> touched_;
  std::vector<PartitionRecords> runs_;
};

}  // namespace culvert::kafka
