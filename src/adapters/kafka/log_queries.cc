// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/log_queries.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <span>

#include "adapters/kafka/errors.h"
#include "model/check.h"

namespace culvert::kafka {

int to_ms(Millis timeout) {
  return static_cast<int>(std::clamp<std::int64_t>(timeout.count(), 0, std::numeric_limits<int>::max()));
}

std::string partition_name(const std::string& topic, PartitionId partition) {
  return fmt::format("topic '{}' partition {}", topic, partition.value());
}

Result<Handle<const rd_kafka_metadata_t>> query_metadata(const Client& client, const std::string* topic,
                                                         Millis timeout) {
  Handle<rd_kafka_topic_t> object;
  if (topic != nullptr) {
    object.reset(rd_kafka_topic_new(client.get(), topic->c_str(), nullptr));
    if (!object) return to_error(rd_kafka_last_error(), fmt::format("topic '{}'", *topic), {});
  }
  const rd_kafka_metadata_t* raw = nullptr;
  rd_kafka_resp_err_t code = rd_kafka_metadata(client.get(), 0, object.get(), &raw, to_ms(timeout));
  Handle<const rd_kafka_metadata_t> metadata{raw};
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(code, fmt::format("brokers {}", client.bootstrap()), {});
  if (topic == nullptr) return metadata;
  code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(code, fmt::format("topic '{}'", *topic), {});
  return metadata;
}

Result<TopicDescription> query_topic(const Client& client, const std::string& topic, Millis timeout) {
  const auto metadata = query_metadata(client, &topic, timeout);
  if (!metadata) return metadata.error();
  return TopicDescription{(*metadata)->topics[0].partition_cnt, (*metadata)->broker_cnt};
}

Result<LogRange> query_log_range(const Client& client, const std::string& topic, PartitionId partition,
                                 Millis timeout) {
  std::int64_t first = 0;
  std::int64_t next = 0;
  const rd_kafka_resp_err_t code =
      rd_kafka_query_watermark_offsets(client.get(), topic.c_str(), partition.value(), &first, &next, to_ms(timeout));
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(code, partition_name(topic, partition), {});
  return LogRange{Offset{first}, Offset{next}};
}

Result<std::optional<Offset>> query_offset_for_time(const Client& client, const std::string& topic,
                                                    PartitionId partition, RecordTime time, Millis timeout) {
  const TopicPartitionList list = make_list(1);
  rd_kafka_topic_partition_t* entry = rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition.value());
  entry->offset = time.value();
  rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client.get(), list.get(), to_ms(timeout));
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = entry->err;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(code, partition_name(topic, partition), {});
  if (entry->offset < 0) return std::optional<Offset>{};
  return std::optional<Offset>{Offset{entry->offset}};
}

Result<std::optional<Offset>> query_committed(const Client& client, const std::string& topic, PartitionId partition,
                                              Millis timeout) {
  const TopicPartitionList list = make_list(1);
  rd_kafka_topic_partition_t* entry = rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition.value());
  rd_kafka_resp_err_t code = rd_kafka_committed(client.get(), list.get(), to_ms(timeout));
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) code = entry->err;
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(code, partition_name(topic, partition), {});
  if (entry->offset < 0) return std::optional<Offset>{};
  return std::optional<Offset>{Offset{entry->offset}};
}

namespace {

// Brokers that lack the request, and users who may not ask, are no reason to stop; a passing fault is one to ask again.
Result<std::string> topic_id_unknown(const Client& client, const std::string& topic, rd_kafka_resp_err_t code,
                                     std::string_view why) {
  Error error = to_error(code, fmt::format("topic '{}'", topic), why);
  const bool lacking = code == RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE || code == RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION;
  if (error.retriable && !lacking) return error;
  client.log(LogLevel::kDebug, fmt::format("topic '{}': its id is not known: {}", topic, why));
  return std::string{};
}

bool lists_controller(const rd_kafka_metadata_t& metadata, std::int32_t controller) {
  const std::span brokers{metadata.brokers, static_cast<std::size_t>(metadata.broker_cnt)};
  return std::any_of(brokers.begin(), brokers.end(), [&](const auto& broker) { return broker.id == controller; });
}

Handle<rd_kafka_AdminOptions_t> options_for(const Client& client, rd_kafka_admin_op_t operation, Millis timeout) {
  Handle<rd_kafka_AdminOptions_t> options{rd_kafka_AdminOptions_new(client.get(), operation)};
  std::array<char, 256> text{};
  const rd_kafka_resp_err_t code =
      rd_kafka_AdminOptions_set_request_timeout(options.get(), to_ms(timeout), text.data(), text.size());
  CULVERT_CHECK(code == RD_KAFKA_RESP_ERR_NO_ERROR, text.data());
  return options;
}

Handle<rd_kafka_event_t> describe_topic(const Client& client, const std::string& topic, rd_kafka_queue_t* queue,
                                        Millis timeout) {
  const char* name = topic.c_str();
  const Handle<rd_kafka_TopicCollection_t> topics{rd_kafka_TopicCollection_of_topic_names(&name, 1)};
  const auto options = options_for(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, timeout);
  rd_kafka_DescribeTopics(client.get(), topics.get(), options.get(), queue);
  return Handle<rd_kafka_event_t>{rd_kafka_queue_poll(queue, to_ms(timeout + Millis{500}))};
}

Handle<rd_kafka_event_t> describe_settings(const Client& client, const std::string& topic, rd_kafka_queue_t* queue,
                                           Millis timeout) {
  const Handle<rd_kafka_ConfigResource_t> resource{rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic.c_str())};
  rd_kafka_ConfigResource_t* asked = resource.get();
  const auto options = options_for(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout);
  rd_kafka_DescribeConfigs(client.get(), &asked, 1, options.get(), queue);
  return Handle<rd_kafka_event_t>{rd_kafka_queue_poll(queue, to_ms(timeout + Millis{500}))};
}

std::optional<bool> policy_unknown(const Client& client, const std::string& topic, std::string_view why) {
  client.log(LogLevel::kDebug, fmt::format("topic '{}': its cleanup policy is not known: {}", topic, why));
  return std::nullopt;
}

}  // namespace

Result<std::string> query_topic_id(const Client& client, const std::string& topic, Millis timeout) {
  // The request goes to the controller.  Waiting for one that no metadata lists (the embedded broker's) would take the
  // whole time-out.
  const auto metadata = query_metadata(client, nullptr, timeout);
  if (!metadata) return metadata.error();
  if (!lists_controller(**metadata, rd_kafka_controllerid(client.get(), 0))) {
    return topic_id_unknown(client, topic, RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, "the brokers name no controller");
  }
  const Handle<rd_kafka_queue_t> queue{rd_kafka_queue_new(client.get())};
  const Handle<rd_kafka_event_t> event = describe_topic(client, topic, queue.get(), timeout);
  if (!event) return topic_id_unknown(client, topic, RD_KAFKA_RESP_ERR__TIMED_OUT, "no answer in time");
  if (const rd_kafka_resp_err_t code = rd_kafka_event_error(event.get()); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return topic_id_unknown(client, topic, code, rd_kafka_event_error_string(event.get()));
  }
  std::size_t count = 0;
  const rd_kafka_TopicDescription_t** described =
      rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event.get()), &count);
  CULVERT_CHECK(count == 1, "one topic was asked for");
  const rd_kafka_error_t* error = rd_kafka_TopicDescription_error(described[0]);
  if (const rd_kafka_resp_err_t code = rd_kafka_error_code(error); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return topic_id_unknown(client, topic, code, rd_kafka_error_string(error));
  }
  const rd_kafka_Uuid_t* id = rd_kafka_TopicDescription_topic_id(described[0]);
  const bool told =
      id != nullptr && (rd_kafka_Uuid_most_significant_bits(id) != 0 || rd_kafka_Uuid_least_significant_bits(id) != 0);
  if (!told) {
    return topic_id_unknown(client, topic, RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, "the brokers do not tell it");
  }
  return std::string{rd_kafka_Uuid_base64str(id)};
}

std::optional<bool> query_compacted(const Client& client, const std::string& topic, Millis timeout) {
  // Goes to the controller, too.
  const auto metadata = query_metadata(client, nullptr, timeout);
  if (!metadata) return policy_unknown(client, topic, metadata.error().message);
  if (!lists_controller(**metadata, rd_kafka_controllerid(client.get(), 0))) {
    return policy_unknown(client, topic, "the brokers name no controller");
  }
  const Handle<rd_kafka_queue_t> queue{rd_kafka_queue_new(client.get())};
  const Handle<rd_kafka_event_t> event = describe_settings(client, topic, queue.get(), timeout);
  if (!event) return policy_unknown(client, topic, "no answer in time");
  if (rd_kafka_event_error(event.get()) != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return policy_unknown(client, topic, rd_kafka_event_error_string(event.get()));
  }
  std::size_t count = 0;
  const auto* results =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event.get()), &count);
  CULVERT_CHECK(count == 1, "one topic was asked for");
  if (const rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(results[0]); code != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return policy_unknown(client, topic, rd_kafka_err2str(code));
  }
  std::size_t entries = 0;
  const rd_kafka_ConfigEntry_t** settings = rd_kafka_ConfigResource_configs(results[0], &entries);
  for (const rd_kafka_ConfigEntry_t* setting : std::span{settings, entries}) {
    const char* value = rd_kafka_ConfigEntry_value(setting);
    if (rd_kafka_ConfigEntry_name(setting) != std::string_view{"cleanup.policy"} || value == nullptr) continue;
    return std::string_view{value}.find("compact") != std::string_view::npos;
  }
  return policy_unknown(client, topic, "it is not among its settings");
}

}  // namespace culvert::kafka
