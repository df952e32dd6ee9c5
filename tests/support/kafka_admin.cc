// SPDX-License-Identifier: Apache-2.0
// Kafka administration for tests: one command, one JSON value on stdout.
//
// Kafka's own tools start a JVM each time (2 s a call); this takes a tenth of a second.  Failures are exceptions here
// and end in one line on stderr and exit code 1: a test tool has nobody to hand a Result to.
#include <librdkafka/rdkafka.h>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

namespace json = boost::json;

constexpr std::size_t kErrorTextBytes = 512;

template <typename T, void (*destroy)(T*)>
struct Destroy {
  void operator()(T* object) const { destroy(object); }
};
template <typename T, void (*destroy)(T*)>
using Owned = std::unique_ptr<T, Destroy<T, destroy>>;

using Event = Owned<rd_kafka_event_t, rd_kafka_event_destroy>;
using Options = Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
using Partitions = Owned<rd_kafka_topic_partition_list_t, rd_kafka_topic_partition_list_destroy>;
using Binding = Owned<rd_kafka_AclBinding_t, rd_kafka_AclBinding_destroy>;

[[noreturn]] void fail(std::string_view what, std::string_view detail) {
  throw std::runtime_error(std::string(what) + ": " + std::string(detail));
}

// Brokers and librdkafka give a code and, mostly, a text.
void check(std::string_view what, rd_kafka_resp_err_t code, const char* text = nullptr) {
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) fail(what, text != nullptr ? text : rd_kafka_err2str(code));
}

void check(std::string_view what, const rd_kafka_error_t* error) {
  if (error != nullptr) fail(what, rd_kafka_error_string(error));
}

std::pair<std::string, std::string> split_pair(const std::string& text) {
  const auto at = text.find('=');
  if (at == std::string::npos) fail(text, "not of the form name=value");
  return {text.substr(0, at), text.substr(at + 1)};
}

class Admin {
 public:
  // With a group: as a consumer of it (which never joins), otherwise as a producer (which never produces).
  Admin(std::vector<std::string> properties, std::chrono::seconds timeout, const std::string& group)
      : timeout_ms_(to_ms(timeout)) {
    if (!group.empty()) properties.push_back("group.id=" + group);
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    std::string error(kErrorTextBytes, '\0');
    for (const auto& property : properties) {
      const auto [name, value] = split_pair(property);
      if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error.data(), error.size()) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        fail("-X " + name, error.c_str());
      }
    }
    rd_kafka_conf_set_opaque(conf, this);
    rd_kafka_conf_set_error_cb(conf, on_error);
    client_.reset(
        rd_kafka_new(group.empty() ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER, conf, error.data(), error.size()));
    if (client_ == nullptr) {
      rd_kafka_conf_destroy(conf);
      fail("client", error.c_str());
    }
    queue_.reset(rd_kafka_queue_new(client_.get()));
  }

  // Runs one asynchronous call: `send` gets the options and the queue for its answer.
  using Send = std::function<void(const rd_kafka_AdminOptions_t*, rd_kafka_queue_t*)>;
  Event call(std::string_view what, rd_kafka_admin_op_t operation, const Send& send) const {
    const Options options(rd_kafka_AdminOptions_new(client_.get(), operation));
    std::string error(kErrorTextBytes, '\0');
    check(what, rd_kafka_AdminOptions_set_request_timeout(options.get(), timeout_ms_, error.data(), error.size()),
          error.c_str());
    send(options.get(), queue_.get());
    Event event = await();
    if (event == nullptr && !refused_.empty()) fail(what, refused_);
    if (event == nullptr) fail(what, "no answer within " + std::to_string(timeout_ms_) + " ms");
    check(what, rd_kafka_event_error(event.get()), rd_kafka_event_error_string(event.get()));
    return event;
  }

  Admin(const Admin&) = delete;
  Admin& operator=(const Admin&) = delete;

  [[nodiscard]] rd_kafka_t* client() const { return client_.get(); }
  [[nodiscard]] int timeout_ms() const { return timeout_ms_; }

 private:
  // librdkafka goes on trying after a refusal, until the request times out; a test wants to know at once.
  static void on_error(rd_kafka_t* /*client*/, int code, const char* reason, void* self) {
    if (code == RD_KAFKA_RESP_ERR__AUTHENTICATION || code == RD_KAFKA_RESP_ERR__SSL) {
      static_cast<Admin*>(self)->refused_ = reason;
    }
  }

  // The answer, or nothing: refused, or too late.
  [[nodiscard]] Event await() const {
    // Longer than the request's own limit, so that its error, which says more, comes first.
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms_ + 2000);
    while (refused_.empty() && std::chrono::steady_clock::now() < end) {
      rd_kafka_poll(client_.get(), 0);  // serves on_error
      if (Event event{rd_kafka_queue_poll(queue_.get(), 20)}) return event;
    }
    return nullptr;
  }

  static int to_ms(std::chrono::seconds timeout) {
    return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(timeout).count());
  }

  int timeout_ms_;
  std::string refused_;
  Owned<rd_kafka_t, rd_kafka_destroy> client_;
  Owned<rd_kafka_queue_t, rd_kafka_queue_destroy> queue_;
};

void check_topics(std::string_view what, const rd_kafka_topic_result_t** results, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    check(what, rd_kafka_topic_result_error(results[i]), rd_kafka_topic_result_error_string(results[i]));
  }
}

json::value create_topic(const Admin& admin, const std::string& name, int partitions, int replication,
                         const std::vector<std::string>& config) {
  std::string error(kErrorTextBytes, '\0');
  const Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy> topic(
      rd_kafka_NewTopic_new(name.c_str(), partitions, replication, error.data(), error.size()));
  if (topic == nullptr) fail(name, error.c_str());
  for (const auto& entry : config) {
    const auto [key, value] = split_pair(entry);
    check(key, rd_kafka_NewTopic_set_config(topic.get(), key.c_str(), value.c_str()));
  }
  auto* raw = topic.get();
  const auto event =
      admin.call("create-topic " + name, RD_KAFKA_ADMIN_OP_CREATETOPICS,
                 [&](auto* options, auto* queue) { rd_kafka_CreateTopics(admin.client(), &raw, 1, options, queue); });
  std::size_t count = 0;
  const auto* result = rd_kafka_event_CreateTopics_result(event.get());
  check_topics("create-topic " + name, rd_kafka_CreateTopics_result_topics(result, &count), count);
  return json::object{{"name", name}};
}

json::value delete_topic(const Admin& admin, const std::string& name) {
  const Owned<rd_kafka_DeleteTopic_t, rd_kafka_DeleteTopic_destroy> topic(rd_kafka_DeleteTopic_new(name.c_str()));
  auto* raw = topic.get();
  const auto event =
      admin.call("delete-topic " + name, RD_KAFKA_ADMIN_OP_DELETETOPICS,
                 [&](auto* options, auto* queue) { rd_kafka_DeleteTopics(admin.client(), &raw, 1, options, queue); });
  std::size_t count = 0;
  const auto* result = rd_kafka_event_DeleteTopics_result(event.get());
  check_topics("delete-topic " + name, rd_kafka_DeleteTopics_result_topics(result, &count), count);
  return json::object{{"name", name}};
}

json::value add_partitions(const Admin& admin, const std::string& name, std::size_t total) {
  std::string error(kErrorTextBytes, '\0');
  const Owned<rd_kafka_NewPartitions_t, rd_kafka_NewPartitions_destroy> partitions(
      rd_kafka_NewPartitions_new(name.c_str(), total, error.data(), error.size()));
  if (partitions == nullptr) fail(name, error.c_str());
  auto* raw = partitions.get();
  const auto event = admin.call(
      "add-partitions " + name, RD_KAFKA_ADMIN_OP_CREATEPARTITIONS,
      [&](auto* options, auto* queue) { rd_kafka_CreatePartitions(admin.client(), &raw, 1, options, queue); });
  std::size_t count = 0;
  const auto* result = rd_kafka_event_CreatePartitions_result(event.get());
  check_topics("add-partitions " + name, rd_kafka_CreatePartitions_result_topics(result, &count), count);
  return json::object{{"name", name}, {"partitions", total}};
}

json::value alter_topic(const Admin& admin, const std::string& name, const std::vector<std::string>& config) {
  const Owned<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy> resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  for (const auto& entry : config) {
    const auto [key, value] = split_pair(entry);
    check(key, rd_kafka_ConfigResource_add_incremental_config(resource.get(), key.c_str(),
                                                              RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, value.c_str()));
  }
  auto* raw = resource.get();
  const auto event = admin.call(
      "alter-topic " + name, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS,
      [&](auto* options, auto* queue) { rd_kafka_IncrementalAlterConfigs(admin.client(), &raw, 1, options, queue); });
  std::size_t count = 0;
  const auto* resources = rd_kafka_IncrementalAlterConfigs_result_resources(
      rd_kafka_event_IncrementalAlterConfigs_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) {
    check("alter-topic " + name, rd_kafka_ConfigResource_error(resources[i]),
          rd_kafka_ConfigResource_error_string(resources[i]));
  }
  return json::object{{"name", name}};
}

json::array node_ids(const rd_kafka_Node_t** nodes, std::size_t count) {
  json::array ids;
  for (std::size_t i = 0; i < count; ++i) ids.emplace_back(rd_kafka_Node_id(nodes[i]));
  return ids;
}

json::object describe_partition(const rd_kafka_TopicPartitionInfo_t* partition) {
  const auto* leader = rd_kafka_TopicPartitionInfo_leader(partition);
  std::size_t replicas_count = 0;
  std::size_t isr_count = 0;
  const auto** replicas = rd_kafka_TopicPartitionInfo_replicas(partition, &replicas_count);
  const auto** isr = rd_kafka_TopicPartitionInfo_isr(partition, &isr_count);
  return {{"partition", rd_kafka_TopicPartitionInfo_partition(partition)},
          {"leader", leader == nullptr ? -1 : rd_kafka_Node_id(leader)},
          {"replicas", node_ids(replicas, replicas_count)},
          {"isr", node_ids(isr, isr_count)}};
}

json::object describe_topic(const Admin& admin, const std::string& name) {
  const char* raw = name.c_str();
  const Owned<rd_kafka_TopicCollection_t, rd_kafka_TopicCollection_destroy> topics(
      rd_kafka_TopicCollection_of_topic_names(&raw, 1));
  const auto event = admin.call(
      "describe-topic " + name, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS,
      [&](auto* options, auto* queue) { rd_kafka_DescribeTopics(admin.client(), topics.get(), options, queue); });
  std::size_t count = 0;
  const auto** described =
      rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event.get()), &count);
  if (count != 1) fail("describe-topic " + name, "not one answer but " + std::to_string(count));
  check("describe-topic " + name, rd_kafka_TopicDescription_error(described[0]));
  const auto** partitions = rd_kafka_TopicDescription_partitions(described[0], &count);
  json::array list;
  for (std::size_t i = 0; i < count; ++i) list.emplace_back(describe_partition(partitions[i]));
  const auto* id = rd_kafka_TopicDescription_topic_id(described[0]);
  return {{"name", name}, {"id", rd_kafka_Uuid_base64str(id)}, {"partitions", std::move(list)}};
}

// Every partition of a topic, each with the given offset or offset specification.
Partitions all_partitions(const Admin& admin, const std::string& topic, std::int64_t offset) {
  const auto described = describe_topic(admin, topic);
  const auto& list = described.at("partitions").as_array();
  Partitions partitions(rd_kafka_topic_partition_list_new(static_cast<int>(list.size())));
  for (const auto& entry : list) {
    const auto number = entry.at("partition").to_number<std::int32_t>();
    rd_kafka_topic_partition_list_add(partitions.get(), topic.c_str(), number)->offset = offset;
  }
  return partitions;
}

// Produces the values in one transaction and ends it, so that the log holds them all and a marker; with the properties'
// transactional.id.
json::value transact(const Admin& admin, const std::string& topic, int partition,
                     const std::vector<std::string>& values, bool aborted) {
  check("init-transactions", rd_kafka_init_transactions(admin.client(), admin.timeout_ms()));
  check("begin-transaction", rd_kafka_begin_transaction(admin.client()));
  const Owned<rd_kafka_topic_t, rd_kafka_topic_destroy> to(rd_kafka_topic_new(admin.client(), topic.c_str(), nullptr));
  for (std::string value : values) {
    if (rd_kafka_produce(to.get(), partition, RD_KAFKA_MSG_F_COPY, value.data(), value.size(), nullptr, 0, nullptr) !=
        0) {
      check("produce", rd_kafka_last_error());
    }
  }
  check("flush", rd_kafka_flush(admin.client(), admin.timeout_ms()));
  if (aborted) {
    check("abort", rd_kafka_abort_transaction(admin.client(), admin.timeout_ms()));
  } else {
    check("commit", rd_kafka_commit_transaction(admin.client(), admin.timeout_ms()));
  }
  return json::object{{"produced", values.size()}};
}

// {"0": 17, "1": 4}; partitions without an offset are left out.
json::object offsets_object(std::string_view what, const rd_kafka_topic_partition_list_t* list) {
  json::object offsets;
  for (int i = 0; i < list->cnt; ++i) {
    const auto& entry = list->elems[i];
    check(what, entry.err);
    if (entry.offset >= 0) offsets[std::to_string(entry.partition)] = entry.offset;
  }
  return offsets;
}

json::value list_offsets(const Admin& admin, const std::string& topic, rd_kafka_OffsetSpec_t which) {
  const auto partitions = all_partitions(admin, topic, which);
  const auto event = admin.call("offsets of " + topic, RD_KAFKA_ADMIN_OP_LISTOFFSETS, [&](auto* options, auto* queue) {
    rd_kafka_ListOffsets(admin.client(), partitions.get(), options, queue);
  });
  std::size_t count = 0;
  const auto** infos = rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event.get()), &count);
  json::object offsets;
  for (std::size_t i = 0; i < count; ++i) {
    const auto* entry = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
    check("offsets of " + topic, entry->err);
    offsets[std::to_string(entry->partition)] = entry->offset;
  }
  return offsets;
}

json::value delete_records(const Admin& admin, const std::string& topic, int partition, std::int64_t before) {
  const Partitions list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), partition)->offset = before;
  const Owned<rd_kafka_DeleteRecords_t, rd_kafka_DeleteRecords_destroy> request(rd_kafka_DeleteRecords_new(list.get()));
  auto* raw = request.get();
  const auto event =
      admin.call("delete-records " + topic, RD_KAFKA_ADMIN_OP_DELETERECORDS,
                 [&](auto* options, auto* queue) { rd_kafka_DeleteRecords(admin.client(), &raw, 1, options, queue); });
  return offsets_object("delete-records " + topic,
                        rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event.get())));
}

// By a consumer of that group, not by ListConsumerGroupOffsets: librdkafka 2.8.0 dereferences a null pointer when that
// is called on a producer's handle while the group's coordinator moves or starts.
// A group that is new, or whose coordinator moves, has none for a moment.
bool coordinator_is_settling(rd_kafka_resp_err_t code) {
  return code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR || code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE ||
         code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS;
}

json::value group_offsets(const Admin& consumer, const std::string& group, const std::string& topic) {
  const auto partitions = all_partitions(consumer, topic, RD_KAFKA_OFFSET_INVALID);
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(consumer.timeout_ms());
  auto code = rd_kafka_committed(consumer.client(), partitions.get(), consumer.timeout_ms());
  while (coordinator_is_settling(code) && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    code = rd_kafka_committed(consumer.client(), partitions.get(), consumer.timeout_ms());
  }
  check("group-offsets " + group, code);
  return offsets_object("group-offsets " + group, partitions.get());
}

struct AclRule {
  std::string principal;
  std::string operation;
  std::string resource_type;
  std::string resource;
  bool prefixed = false;
  bool deny = false;
};

rd_kafka_AclOperation_t acl_operation(const std::string& name) {
  static const std::map<std::string, rd_kafka_AclOperation_t> operations{
      {"ALL", RD_KAFKA_ACL_OPERATION_ALL},           {"READ", RD_KAFKA_ACL_OPERATION_READ},
      {"WRITE", RD_KAFKA_ACL_OPERATION_WRITE},       {"CREATE", RD_KAFKA_ACL_OPERATION_CREATE},
      {"DELETE", RD_KAFKA_ACL_OPERATION_DELETE},     {"ALTER", RD_KAFKA_ACL_OPERATION_ALTER},
      {"DESCRIBE", RD_KAFKA_ACL_OPERATION_DESCRIBE}, {"DESCRIBE_CONFIGS", RD_KAFKA_ACL_OPERATION_DESCRIBE_CONFIGS}};
  const auto found = operations.find(name);
  if (found == operations.end()) fail("operation", name + " is not known");
  return found->second;
}

json::value create_acl(const Admin& admin, const AclRule& rule) {
  static const std::map<std::string, rd_kafka_ResourceType_t> kTypes{
      {"topic", RD_KAFKA_RESOURCE_TOPIC}, {"group", RD_KAFKA_RESOURCE_GROUP}, {"cluster", RD_KAFKA_RESOURCE_BROKER}};
  const auto type = kTypes.at(rule.resource_type);
  const auto pattern = rule.prefixed ? RD_KAFKA_RESOURCE_PATTERN_PREFIXED : RD_KAFKA_RESOURCE_PATTERN_LITERAL;
  const auto permission = rule.deny ? RD_KAFKA_ACL_PERMISSION_TYPE_DENY : RD_KAFKA_ACL_PERMISSION_TYPE_ALLOW;
  std::string error(kErrorTextBytes, '\0');
  const Binding binding(rd_kafka_AclBinding_new(type, rule.resource.c_str(), pattern, rule.principal.c_str(), "*",
                                                acl_operation(rule.operation), permission, error.data(), error.size()));
  if (binding == nullptr) fail("create-acl", error.c_str());
  auto* raw = binding.get();
  const auto event = admin.call("create-acl", RD_KAFKA_ADMIN_OP_CREATEACLS, [&](auto* options, auto* queue) {
    rd_kafka_CreateAcls(admin.client(), &raw, 1, options, queue);
  });
  std::size_t count = 0;
  const auto** results = rd_kafka_CreateAcls_result_acls(rd_kafka_event_CreateAcls_result(event.get()), &count);
  for (std::size_t i = 0; i < count; ++i) check("create-acl", rd_kafka_acl_result_error(results[i]));
  return json::object{{"created", count}};
}

json::value delete_acls(const Admin& admin, const std::string& principal) {
  std::string error(kErrorTextBytes, '\0');
  const Binding filter(rd_kafka_AclBindingFilter_new(RD_KAFKA_RESOURCE_ANY, nullptr, RD_KAFKA_RESOURCE_PATTERN_ANY,
                                                     principal.c_str(), nullptr, RD_KAFKA_ACL_OPERATION_ANY,
                                                     RD_KAFKA_ACL_PERMISSION_TYPE_ANY, error.data(), error.size()));
  if (filter == nullptr) fail("delete-acls", error.c_str());
  auto* raw = filter.get();
  const auto event = admin.call("delete-acls", RD_KAFKA_ADMIN_OP_DELETEACLS, [&](auto* options, auto* queue) {
    rd_kafka_DeleteAcls(admin.client(), &raw, 1, options, queue);
  });
  std::size_t count = 0;
  const auto** responses = rd_kafka_DeleteAcls_result_responses(rd_kafka_event_DeleteAcls_result(event.get()), &count);
  std::size_t deleted = 0;
  for (std::size_t i = 0; i < count; ++i) {
    check("delete-acls", rd_kafka_DeleteAcls_result_response_error(responses[i]));
    std::size_t matching = 0;
    rd_kafka_DeleteAcls_result_response_matching_acls(responses[i], &matching);
    deleted += matching;
  }
  return json::object{{"deleted", deleted}};
}

// Waits until the cluster's metadata names at least that many brokers.
json::value wait_ready(const Admin& admin, int nodes) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(admin.timeout_ms());
  std::string last = "no answer";
  while (std::chrono::steady_clock::now() < end) {
    const rd_kafka_metadata_t* metadata = nullptr;
    const auto code = rd_kafka_metadata(admin.client(), 0, nullptr, &metadata, 1000);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      const int seen = metadata->broker_cnt;
      rd_kafka_metadata_destroy(metadata);
      if (seen >= nodes) return json::object{{"brokers", seen}};
      last = std::to_string(seen) + " of " + std::to_string(nodes) + " brokers";
    } else {
      last = rd_kafka_err2str(code);
    }
  }
  fail("wait-ready", last);
}

// The command line: one subcommand each, which sets `command` to what is to be done once connected.
class CommandLine {
 public:
  using Command = std::function<json::value(const Admin&)>;

  CommandLine() {
    app_.add_option("-X", properties_, "librdkafka property, name=value")->allow_extra_args(false);
    app_.add_option("--timeout", timeout_s_, "seconds for each request");
    app_.require_subcommand(1);
    add_topic_commands();
    add_offset_commands();
    add_produce_command();
    add_acl_commands();
  }

  // Parses, connects, runs; returns only after a usage error or a request for help.
  int run(int argc, char** argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return app_.exit(error);
    }
    const Admin admin(properties_, std::chrono::seconds(timeout_s_), group_);
    std::cout << json::serialize(command_(admin)) << std::endl;
    std::_Exit(0);  // destroying a client takes up to a second; nothing is in flight that the end of the process loses
  }

 private:
  CLI::App* add(const std::string& name, Command command) {
    auto* subcommand = app_.add_subcommand(name);
    subcommand->callback([this, command = std::move(command)] { command_ = command; });
    return subcommand;
  }

  void add_topic_commands() {
    auto* create = add("create-topic", [this](const Admin& admin) {
      return create_topic(admin, name_, partitions_, replication_, config_);
    });
    create->add_option("name", name_)->required();
    create->add_option("--partitions", partitions_);
    create->add_option("--replication", replication_);
    create->add_option("--config", config_)->allow_extra_args(false);
    add("delete-topic", [this](const Admin& admin) { return delete_topic(admin, name_); })
        ->add_option("name", name_)
        ->required();
    add("describe-topic", [this](const Admin& admin) { return describe_topic(admin, name_); })
        ->add_option("name", name_)
        ->required();
    auto* more = add("add-partitions", [this](const Admin& admin) {
      return add_partitions(admin, name_, static_cast<std::size_t>(partitions_));
    });
    more->add_option("name", name_)->required();
    more->add_option("total", partitions_)->required()->check(CLI::PositiveNumber);
    auto* alter = add("alter-topic", [this](const Admin& admin) { return alter_topic(admin, name_, config_); });
    alter->add_option("name", name_)->required();
    alter->add_option("config", config_)->required();
    add("wait-ready", [this](const Admin& admin) { return wait_ready(admin, partitions_); })
        ->add_option("nodes", partitions_)
        ->required();
  }

  void add_offset_commands() {
    add("end-offsets", [this](const Admin& admin) { return list_offsets(admin, name_, RD_KAFKA_OFFSET_SPEC_LATEST); })
        ->add_option("name", name_)
        ->required();
    add("start-offsets",
        [this](const Admin& admin) { return list_offsets(admin, name_, RD_KAFKA_OFFSET_SPEC_EARLIEST); })
        ->add_option("name", name_)
        ->required();
    auto* remove =
        add("delete-records", [this](const Admin& admin) { return delete_records(admin, name_, partition_, before_); });
    remove->add_option("name", name_)->required();
    remove->add_option("partition", partition_)->required();
    remove->add_option("before", before_)->required();
    auto* group = add("group-offsets", [this](const Admin& admin) { return group_offsets(admin, group_, name_); });
    group->add_option("group", group_)->required();
    group->add_option("name", name_)->required();
  }

  void add_produce_command() {
    auto* produce =
        add("transact", [this](const Admin& admin) { return transact(admin, name_, partition_, values_, aborted_); });
    produce->add_option("name", name_)->required();
    produce->add_option("partition", partition_)->required();
    produce->add_option("values", values_)->required();
    produce->add_flag("--abort", aborted_);
  }

  void add_acl_commands() {
    auto* create = add("create-acl", [this](const Admin& admin) { return create_acl(admin, rule_); });
    create->add_option("principal", rule_.principal)->required();
    create->add_option("operation", rule_.operation)->required();
    create->add_option("type", rule_.resource_type)->required()->check(CLI::IsMember({"topic", "group", "cluster"}));
    create->add_option("name", rule_.resource)->required();
    create->add_flag("--prefixed", rule_.prefixed);
    create->add_flag("--deny", rule_.deny);
    add("delete-acls", [this](const Admin& admin) { return delete_acls(admin, rule_.principal); })
        ->add_option("principal", rule_.principal)
        ->required();
  }

  CLI::App app_{"Kafka administration for tests"};
  std::vector<std::string> properties_;
  int timeout_s_ = 30;
  std::string name_;
  std::string group_;
  int partitions_ = 1;
  int partition_ = 0;
  int replication_ = 1;
  std::int64_t before_ = 0;
  std::vector<std::string> values_;
  bool aborted_ = false;
  std::vector<std::string> config_;
  AclRule rule_;
  Command command_;
};

}  // namespace

int main(int argc, char** argv) {
  try {
    return CommandLine().run(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "kafka_admin: " << error.what() << "\n";
    return 1;
  }
}
