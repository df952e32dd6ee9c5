// SPDX-License-Identifier: Apache-2.0
// Owning pointers for librdkafka's C objects.  Private to adapters/kafka: no other folder sees rdkafka.h.
//
// Flow    every .cc of this folder.
// Owner   the holder of the Handle; moving it moves the object.
// Time    none.
// Bounds  the size of a pointer.
// See     librdkafka's rdkafka.h, which says for each object which function destroys it.
#pragma once

#include <librdkafka/rdkafka.h>

#include <memory>

namespace culvert::kafka {

struct Destroy {
  void operator()(rd_kafka_conf_t* conf) const noexcept { rd_kafka_conf_destroy(conf); }
  void operator()(rd_kafka_topic_conf_t* conf) const noexcept { rd_kafka_topic_conf_destroy(conf); }
  void operator()(rd_kafka_topic_t* topic) const noexcept { rd_kafka_topic_destroy(topic); }
  void operator()(rd_kafka_queue_t* queue) const noexcept { rd_kafka_queue_destroy(queue); }
  void operator()(rd_kafka_event_t* event) const noexcept { rd_kafka_event_destroy(event); }
  void operator()(rd_kafka_error_t* error) const noexcept { rd_kafka_error_destroy(error); }
  void operator()(rd_kafka_message_t* message) const noexcept { rd_kafka_message_destroy(message); }
  void operator()(rd_kafka_topic_partition_list_t* list) const noexcept { rd_kafka_topic_partition_list_destroy(list); }
  void operator()(rd_kafka_AdminOptions_t* options) const noexcept { rd_kafka_AdminOptions_destroy(options); }
  void operator()(rd_kafka_NewTopic_t* topic) const noexcept { rd_kafka_NewTopic_destroy(topic); }
  void operator()(rd_kafka_DeleteTopic_t* topic) const noexcept { rd_kafka_DeleteTopic_destroy(topic); }
  void operator()(rd_kafka_ConfigResource_t* resource) const noexcept { rd_kafka_ConfigResource_destroy(resource); }
  void operator()(rd_kafka_TopicCollection_t* topics) const noexcept { rd_kafka_TopicCollection_destroy(topics); }
  void operator()(const rd_kafka_metadata_t* metadata) const noexcept { rd_kafka_metadata_destroy(metadata); }
};

template <class T>
using Handle = std::unique_ptr<T, Destroy>;

using TopicPartitionList = Handle<rd_kafka_topic_partition_list_t>;

[[nodiscard]] inline TopicPartitionList make_list(int size_hint) {
  return TopicPartitionList{rd_kafka_topic_partition_list_new(size_hint)};
}

}  // namespace culvert::kafka
