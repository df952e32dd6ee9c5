// SPDX-License-Identifier: Apache-2.0
// From librdkafka's messages to runs of Record, without copying.  Private to adapters/kafka.
//
// Flow    librdkafka's queue -> [MessageBatch] -> sorted into the Lanes of the partitions -> Records.
// Owner   Consumer and PartitionReader hold one.
// Time    durations only.
// Bounds  capacity messages at a time.
// See     polled.h, lane.h.
#pragma once

#include <atomic>
#include <cstddef>
#include <span>
#include <vector>

#include "adapters/kafka/handle.h"
#include "adapters/kafka/lane.h"
#include "adapters/kafka/polled.h"
#include "model/time.h"

namespace culvert::kafka {

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
