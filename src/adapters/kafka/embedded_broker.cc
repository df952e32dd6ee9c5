// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/embedded_broker.h"

#include <fmt/format.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include <utility>
#include <vector>

#include "adapters/kafka/client.h"
#include "adapters/kafka/log_queries.h"

namespace culvert::kafka {

namespace {

static_assert(EmbeddedBroker::kDisconnect == RD_KAFKA_RESP_ERR__TRANSPORT);

Result<void> done(rd_kafka_resp_err_t code, const std::string& what) {
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) return {};
  return Error::fatal(ErrorKind::kInternal, fmt::format("embedded broker: {}: {}", what, rd_kafka_err2str(code)));
}

}  // namespace

struct EmbeddedBroker::State {
  std::unique_ptr<Client> client;  // only a home for the mock cluster's thread and log: it connects to nobody
  rd_kafka_mock_cluster_t* cluster = nullptr;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (cluster != nullptr) rd_kafka_mock_cluster_destroy(cluster);
  }
};

Result<std::unique_ptr<EmbeddedBroker>> EmbeddedBroker::start(int brokers, LogSink log) {
  // Port 9 is "discard": nothing listens there, and this client never has to connect.
  const KafkaConfig config{.bootstrap = "127.0.0.1:9", .log = std::move(log)};
  auto state = std::make_unique<State>();
  Result<std::unique_ptr<Client>> client = Client::open(config, Role::kProducer, {}, nullptr);
  if (!client) return client.error();
  state->client = *std::move(client);
  state->cluster = rd_kafka_mock_cluster_new(state->client->get(), brokers);
  if (state->cluster == nullptr) {
    return Error::fatal(ErrorKind::kIo,
                        "embedded broker: it cannot listen on 127.0.0.1 (are sockets or ports used up?)");
  }
  // Real brokers wait for further members; here nobody else is coming.
  rd_kafka_mock_group_initial_rebalance_delay_ms(state->cluster, 0);
  return std::unique_ptr<EmbeddedBroker>{new EmbeddedBroker(std::move(state))};
}

EmbeddedBroker::EmbeddedBroker(std::unique_ptr<State> state) : state_(std::move(state)) {}
EmbeddedBroker::~EmbeddedBroker() = default;

std::string EmbeddedBroker::bootstrap() const { return rd_kafka_mock_cluster_bootstraps(state_->cluster); }

KafkaConfig EmbeddedBroker::config() const { return KafkaConfig{.bootstrap = bootstrap()}; }

Result<void> EmbeddedBroker::create_topic(const std::string& topic, int partitions) {
  return done(rd_kafka_mock_topic_create(state_->cluster, topic.c_str(), partitions, 1), "create topic " + topic);
}

void EmbeddedBroker::fail_requests(Request request, int error, int count) {
  const std::vector<rd_kafka_resp_err_t> errors(static_cast<std::size_t>(count),
                                                static_cast<rd_kafka_resp_err_t>(error));
  rd_kafka_mock_push_request_errors_array(state_->cluster, static_cast<std::int16_t>(request), errors.size(),
                                          errors.data());
}

void EmbeddedBroker::clear_failures(Request request) {
  rd_kafka_mock_clear_request_errors(state_->cluster, static_cast<std::int16_t>(request));
}

Result<void> EmbeddedBroker::set_down(int broker) {
  return done(rd_kafka_mock_broker_set_down(state_->cluster, broker), "set broker down");
}

Result<void> EmbeddedBroker::set_up(int broker) {
  return done(rd_kafka_mock_broker_set_up(state_->cluster, broker), "set broker up");
}

Result<void> EmbeddedBroker::set_round_trip(int broker, Millis time) {
  return done(rd_kafka_mock_broker_set_rtt(state_->cluster, broker, to_ms(time)), "set round trip");
}

Result<void> EmbeddedBroker::move_leader(const std::string& topic, PartitionId partition, int broker) {
  return done(rd_kafka_mock_partition_set_leader(state_->cluster, topic.c_str(), partition.value(), broker),
              "move leader of " + topic);
}

Result<void> EmbeddedBroker::announce_leader(const std::string& topic, PartitionId partition, int broker, int epoch) {
  return done(
      rd_kafka_mock_partition_push_leader_response(state_->cluster, topic.c_str(), partition.value(), broker, epoch),
      "announce leader of " + topic);
}

Result<void> EmbeddedBroker::move_coordinator(const std::string& group, int broker) {
  return done(rd_kafka_mock_coordinator_set(state_->cluster, "group", group.c_str(), broker),
              "move coordinator of " + group);
}

void EmbeddedBroker::watch_requests() {
  rd_kafka_mock_clear_requests(state_->cluster);
  rd_kafka_mock_start_request_tracking(state_->cluster);
}

std::vector<Request> EmbeddedBroker::requests_seen() const {
  std::size_t count = 0;
  rd_kafka_mock_request_t** requests = rd_kafka_mock_get_requests(state_->cluster, &count);
  std::vector<Request> result;
  for (std::size_t i = 0; i < count; ++i) {
    result.push_back(static_cast<Request>(rd_kafka_mock_request_api_key(requests[i])));
  }
  rd_kafka_mock_request_destroy_array(requests, count);
  return result;
}

}  // namespace culvert::kafka
