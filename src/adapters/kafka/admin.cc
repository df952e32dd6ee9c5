// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/admin.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "adapters/kafka/client.h"
#include "adapters/kafka/connect.h"
#include "adapters/kafka/errors.h"
#include "adapters/kafka/log_queries.h"
#include "model/check.h"

namespace culvert::kafka {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr Millis kPause{100};
// The broker's own limit comes first; this is for a broker that does not answer at all.
constexpr Millis kAnswerGrace{1'000};

std::vector<BrokerAddress> brokers_of(const rd_kafka_metadata_t& metadata) {
  std::vector<BrokerAddress> result;
  for (int i = 0; i < metadata.broker_cnt; ++i) {
    result.push_back(BrokerAddress{metadata.brokers[i].id, metadata.brokers[i].host, metadata.brokers[i].port});
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return result;
}

std::vector<PartitionInfo> partitions_of(const rd_kafka_metadata_topic_t& topic) {
  std::vector<PartitionInfo> result;
  for (int i = 0; i < topic.partition_cnt; ++i) {
    const rd_kafka_metadata_partition_t& partition = topic.partitions[i];
    result.push_back(
        PartitionInfo{PartitionId{partition.id}, partition.leader, partition.replica_cnt, partition.isr_cnt});
  }
  std::sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.partition < b.partition; });
  return result;
}

// Operations that change topics also take a time-out for the brokers' own work.
enum class Work { kAtBrokers, kQuestion };

Handle<rd_kafka_AdminOptions_t> options_of(const Client& client, rd_kafka_admin_op_t operation, Work work,
                                           Millis timeout) {
  Handle<rd_kafka_AdminOptions_t> options{rd_kafka_AdminOptions_new(client.get(), operation)};
  std::array<char, 256> text{};
  bool set = rd_kafka_AdminOptions_set_request_timeout(options.get(), to_ms(timeout), text.data(), text.size()) ==
             RD_KAFKA_RESP_ERR_NO_ERROR;
  if (set && work == Work::kAtBrokers) {
    set = rd_kafka_AdminOptions_set_operation_timeout(options.get(), to_ms(timeout), text.data(), text.size()) ==
          RD_KAFKA_RESP_ERR_NO_ERROR;
  }
  CULVERT_CHECK(set, text.data());
  return options;
}

Result<void> outcome_of(const rd_kafka_topic_result_t* const* results, std::size_t count, const std::string& what) {
  CULVERT_CHECK(count == 1, "one topic was asked for");
  const rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  const char* text = rd_kafka_topic_result_error_string(results[0]);
  return to_error(code, what, text == nullptr ? "" : text);
}

// kUnknown: the brokers did not say.
Right right_of(const rd_kafka_AclOperation_t* granted, std::size_t count, rd_kafka_AclOperation_t wanted) {
  if (granted == nullptr) return Right::kUnknown;
  const bool has = std::any_of(granted, granted + count, [wanted](rd_kafka_AclOperation_t operation) {
    return operation == wanted || operation == RD_KAFKA_ACL_OPERATION_ALL;
  });
  return has ? Right::kGranted : Right::kDenied;
}

}  // namespace

class Admin::Impl {
 public:
  Result<void> start(const KafkaConfig& config) {
    Result<std::unique_ptr<Client>> client = Client::open(config, Role::kAdmin, {}, &notes_);
    if (!client) return client.error();
    client_ = *std::move(client);
    return {};
  }

  // The cluster is asked first, so that a refusal is told as such and not as a time-out.
  Result<void> reach(Millis timeout) {
    const auto metadata = ask_metadata(*client_, notes_, nullptr, timeout);
    if (!metadata) return metadata.error();
    return {};
  }

  Result<Handle<rd_kafka_event_t>> answer(rd_kafka_queue_t* queue, Millis timeout, const std::string& what) {
    Handle<rd_kafka_event_t> event{rd_kafka_queue_poll(queue, to_ms(timeout + kAnswerGrace))};
    if (!event) return to_error(RD_KAFKA_RESP_ERR__TIMED_OUT, what, {});
    const rd_kafka_resp_err_t code = rd_kafka_event_error(event.get());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(code, what, rd_kafka_event_error_string(event.get()));
    return event;
  }

  ErrorNotes notes_;
  std::unique_ptr<Client> client_;
};

Result<std::unique_ptr<Admin>> Admin::open(const KafkaConfig& config) {
  auto impl = std::make_unique<Impl>();
  if (Result<void> started = impl->start(config); !started) return started.error();
  return std::unique_ptr<Admin>{new Admin(std::move(impl))};
}

Admin::Admin(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Admin::~Admin() = default;

Result<ClusterInfo> Admin::cluster(Millis timeout) {
  const auto metadata = ask_metadata(*impl_->client_, impl_->notes_, nullptr, timeout);
  if (!metadata) return metadata.error();
  return ClusterInfo{brokers_of(**metadata)};
}

Result<TopicInfo> Admin::topic(const std::string& name, Millis timeout) {
  const auto metadata = ask_metadata(*impl_->client_, impl_->notes_, &name, timeout);
  if (!metadata) return metadata.error();
  return TopicInfo{partitions_of((*metadata)->topics[0]), brokers_of(**metadata)};
}

Result<void> Admin::create_topic(const NewTopic& topic, Millis timeout) {
  const std::string what = fmt::format("creating topic '{}'", topic.name);
  if (Result<void> reached = impl_->reach(timeout); !reached) return reached;
  const Client& client = *impl_->client_;
  std::array<char, 256> text{};
  const Handle<rd_kafka_NewTopic_t> request{
      rd_kafka_NewTopic_new(topic.name.c_str(), topic.partitions, topic.replication, text.data(), text.size())};
  if (!request) return Error::fatal(ErrorKind::kConfiguration, fmt::format("{}: {}", what, text.data()));
  for (const Property& property : topic.properties) {
    const rd_kafka_resp_err_t code =
        rd_kafka_NewTopic_set_config(request.get(), property.name.c_str(), property.value.c_str());
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(code, what, property.name);
  }
  const Handle<rd_kafka_queue_t> queue{rd_kafka_queue_new(client.get())};
  const auto options = options_of(client, RD_KAFKA_ADMIN_OP_CREATETOPICS, Work::kAtBrokers, timeout);
  rd_kafka_NewTopic_t* requests[] = {request.get()};
  rd_kafka_CreateTopics(client.get(), requests, 1, options.get(), queue.get());
  const auto event = impl_->answer(queue.get(), timeout, what);
  if (!event) return event.error();
  std::size_t count = 0;
  const auto* results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event->get()), &count);
  return outcome_of(results, count, what);
}

Result<void> Admin::delete_topic(const std::string& name, Millis timeout) {
  const std::string what = fmt::format("deleting topic '{}'", name);
  if (Result<void> reached = impl_->reach(timeout); !reached) return reached;
  const Client& client = *impl_->client_;
  const Handle<rd_kafka_DeleteTopic_t> request{rd_kafka_DeleteTopic_new(name.c_str())};
  const Handle<rd_kafka_queue_t> queue{rd_kafka_queue_new(client.get())};
  const auto options = options_of(client, RD_KAFKA_ADMIN_OP_DELETETOPICS, Work::kAtBrokers, timeout);
  rd_kafka_DeleteTopic_t* requests[] = {request.get()};
  rd_kafka_DeleteTopics(client.get(), requests, 1, options.get(), queue.get());
  const auto event = impl_->answer(queue.get(), timeout, what);
  if (!event) return event.error();
  std::size_t count = 0;
  const auto* results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event->get()), &count);
  return outcome_of(results, count, what);
}

Result<TopicInfo> Admin::wait_for_topic(const std::string& name, Millis timeout) {
  const auto end = SteadyClock::now() + timeout;
  for (;;) {
    const auto left = std::max(Millis{1}, std::chrono::duration_cast<Millis>(end - SteadyClock::now()));
    Result<TopicInfo> found = topic(name, left);
    const bool over = SteadyClock::now() >= end;
    if (!found) {
      const bool unknown = found.error().kind == ErrorKind::kConfiguration;
      if (over || !unknown) return found;
      continue;  // topic() itself waits a while for an unknown one
    }
    const bool led = std::all_of(found->partitions.begin(), found->partitions.end(),
                                 [](const PartitionInfo& partition) { return partition.leader >= 0; });
    if (led && !found->partitions.empty()) return found;
    if (over) {
      return Error::retriable_error(ErrorKind::kUnavailable,
                                    fmt::format("topic '{}': some partition has no leader after {} (check the brokers)",
                                                name, format_duration(timeout)));
    }
    rd_kafka_poll(impl_->client_->get(), to_ms(kPause));
  }
}

Result<std::string> Admin::topic_id(const std::string& name, Millis timeout) {
  return query_topic_id(*impl_->client_, name, timeout);
}

std::optional<bool> Admin::compacted(const std::string& name, Millis timeout) {
  return query_compacted(*impl_->client_, name, timeout);
}

Result<GroupInfo> Admin::group(const std::string& name, Millis timeout) {
  const std::string what = fmt::format("group '{}'", name);
  if (Result<void> reached = impl_->reach(timeout); !reached) return reached.error();
  const Client& client = *impl_->client_;
  const Handle<rd_kafka_queue_t> queue{rd_kafka_queue_new(client.get())};
  const auto options = options_of(client, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, Work::kQuestion, timeout);
  const Handle<rd_kafka_error_t> refused{rd_kafka_AdminOptions_set_include_authorized_operations(options.get(), 1)};
  CULVERT_CHECK(!refused, rd_kafka_error_string(refused.get()));
  const char* group = name.c_str();
  rd_kafka_DescribeConsumerGroups(client.get(), &group, 1, options.get(), queue.get());
  const auto event = impl_->answer(queue.get(), timeout, what);
  if (!event) return event.error();
  std::size_t count = 0;
  const auto* groups =
      rd_kafka_DescribeConsumerGroups_result_groups(rd_kafka_event_DescribeConsumerGroups_result(event->get()), &count);
  CULVERT_CHECK(count == 1, "one group was asked for");
  const rd_kafka_error_t* error = rd_kafka_ConsumerGroupDescription_error(groups[0]);
  const rd_kafka_resp_err_t code = rd_kafka_error_code(error);
  GroupInfo info;
  if (code == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) return GroupInfo{"Dead", 0, Right::kUnknown};
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(error, what);
  info.state = rd_kafka_consumer_group_state_name(rd_kafka_ConsumerGroupDescription_state(groups[0]));
  info.members = rd_kafka_ConsumerGroupDescription_member_count(groups[0]);
  std::size_t operations = 0;
  const rd_kafka_AclOperation_t* granted =
      rd_kafka_ConsumerGroupDescription_authorized_operations(groups[0], &operations);
  info.may_read = right_of(granted, operations, RD_KAFKA_ACL_OPERATION_READ);
  return info;
}

Result<Right> Admin::may_write(const std::string& topic, Millis timeout) {
  const std::string what = fmt::format("topic '{}'", topic);
  if (Result<void> reached = impl_->reach(timeout); !reached) return reached.error();
  const Client& client = *impl_->client_;
  const Handle<rd_kafka_queue_t> queue{rd_kafka_queue_new(client.get())};
  const auto options = options_of(client, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS, Work::kQuestion, timeout);
  const Handle<rd_kafka_error_t> refused{rd_kafka_AdminOptions_set_include_authorized_operations(options.get(), 1)};
  CULVERT_CHECK(!refused, rd_kafka_error_string(refused.get()));
  const char* name = topic.c_str();
  const Handle<rd_kafka_TopicCollection_t> names{rd_kafka_TopicCollection_of_topic_names(&name, 1)};
  rd_kafka_DescribeTopics(client.get(), names.get(), options.get(), queue.get());
  const auto event = impl_->answer(queue.get(), timeout, what);
  if (!event) return event.error();
  std::size_t count = 0;
  const auto* topics =
      rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event->get()), &count);
  CULVERT_CHECK(count == 1, "one topic was asked for");
  const rd_kafka_error_t* error = rd_kafka_TopicDescription_error(topics[0]);
  if (rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(error, what);
  std::size_t operations = 0;
  const auto* granted = rd_kafka_TopicDescription_authorized_operations(topics[0], &operations);
  return right_of(granted, operations, RD_KAFKA_ACL_OPERATION_WRITE);
}

Result<void> Admin::may_read_settings(Millis timeout) {
  const std::string what = "the brokers' settings";
  const Result<ClusterInfo> members = cluster(timeout);
  if (!members) return members.error();
  CULVERT_CHECK(!members->brokers.empty(), "a cluster that answers has a broker");
  const Client& client = *impl_->client_;
  const Handle<rd_kafka_queue_t> queue{rd_kafka_queue_new(client.get())};
  const auto options = options_of(client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, Work::kQuestion, timeout);
  const std::string id = std::to_string(members->brokers.front().id);
  const Handle<rd_kafka_ConfigResource_t> broker{rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_BROKER, id.c_str())};
  rd_kafka_ConfigResource_t* asked = broker.get();
  rd_kafka_DescribeConfigs(client.get(), &asked, 1, options.get(), queue.get());
  const auto event = impl_->answer(queue.get(), timeout, what);
  if (!event) return event.error();
  std::size_t count = 0;
  const auto* results =
      rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event->get()), &count);
  CULVERT_CHECK(count == 1, "one broker was asked for");
  const rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(results[0]);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  const char* text = rd_kafka_ConfigResource_error_string(results[0]);
  return to_error(code, what, text == nullptr ? "" : text);
}

Result<LogRange> Admin::log_range(const std::string& topic, PartitionId partition, Millis timeout) {
  return query_log_range(*impl_->client_, topic, partition, timeout);
}

}  // namespace culvert::kafka
