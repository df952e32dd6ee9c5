// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/batch.h"

#include <string_view>

#include "model/check.h"

namespace culvert::kafka {

namespace {

constexpr std::int64_t kNoTimestamp = -1;

std::optional<std::string_view> bytes(const void* data, std::size_t size) {
  if (data == nullptr) return std::nullopt;
  return std::string_view{static_cast<const char*>(data), size};
}

// librdkafka reports errors of this call as -1, which only a queue in use by two threads could cause.
std::size_t consume(rd_kafka_queue_t* queue, Millis timeout, rd_kafka_message_t** into, std::size_t count) {
  const ssize_t taken = rd_kafka_consume_batch_queue(queue, static_cast<int>(timeout.count()), into, count);
  CULVERT_CHECK(taken >= 0, "a batch of messages could not be taken from its queue");
  return static_cast<std::size_t>(taken);
}

}  // namespace

MessageBatch::MessageBatch(std::size_t capacity, bool with_metadata)
    : with_metadata_(with_metadata), messages_(capacity) {
  CULVERT_CHECK(capacity > 0, "a batch of no messages");
}

std::span<rd_kafka_message_t* const> MessageBatch::refill(rd_kafka_queue_t* queue, Millis timeout,
                                                          std::atomic<bool>* woken) {
  release();
  message_count_ = consume(queue, Millis{0}, messages_.data(), messages_.size());
  // Not sooner: the queue forgets at the call above that it was told to yield.
  const bool in_a_hurry = woken != nullptr && woken->exchange(false);
  if (message_count_ == 0 && timeout > Millis{0} && !in_a_hurry) {
    message_count_ = consume(queue, timeout, messages_.data(), 1);
    if (message_count_ == 1 && messages_.size() > 1) {
      message_count_ += consume(queue, Millis{0}, messages_.data() + 1, messages_.size() - 1);
    }
  }
  return {messages_.data(), message_count_};
}

void MessageBatch::release() {
  for (std::size_t i = 0; i < message_count_; ++i) rd_kafka_message_destroy(messages_[i]);
  message_count_ = 0;
  for (Lane* lane : touched_) {
    lane->records.clear();
    lane->metadata.clear();
  }
  touched_.clear();
  count_ = 0;
}

Record MessageBatch::view(const rd_kafka_message_t& message) {
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  const std::int64_t timestamp = rd_kafka_message_timestamp(&message, &type);
  // Records of the first message format, and of producers that set none, carry Kafka's own sign of no timestamp.
  const bool timestamped = type != RD_KAFKA_TIMESTAMP_NOT_AVAILABLE && timestamp != kNoTimestamp;
  return Record{
      .offset = Offset{message.offset},
      .timestamp = timestamped ? std::optional{RecordTime{timestamp}} : std::nullopt,
      .key = bytes(message.key, message.key_len),
      .value = bytes(message.payload, message.len),
  };
}

RecordMetadata MessageBatch::metadata(const rd_kafka_message_t& message) {
  RecordMetadata result;
  rd_kafka_timestamp_type_t type = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
  (void)rd_kafka_message_timestamp(&message, &type);
  if (type == RD_KAFKA_TIMESTAMP_CREATE_TIME) result.timestamp_type = TimestampType::kCreateTime;
  if (type == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME) result.timestamp_type = TimestampType::kLogAppendTime;
  rd_kafka_headers_t* headers = nullptr;  // the message's own, valid as long as it is
  if (rd_kafka_message_headers(&message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) return result;
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size = 0;
  for (std::size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
       ++i) {
    result.headers.push_back(HeaderView{name, bytes(value, size)});
  }
  return result;
}

Records MessageBatch::records() {
  runs_.clear();
  for (const Lane* lane : touched_) runs_.push_back(PartitionRecords{lane->claim, lane->records, lane->metadata});
  return Records{runs_, count_};
}

}  // namespace culvert::kafka
