// SPDX-License-Identifier: Apache-2.0
// The consumer most people would write: one message at a time, nlohmann-json, strptime, std::unordered_map, doubles, no
// persistence.  Written for the comparison in bench/README.md: same topic, same tumbling windows, same readings
// counted.
//
//   ordinary_consumer BOOTSTRAP TOPIC WINDOW_SECONDS [KEY=VALUE ..]      (properties of the Kafka client)
//
// Prints one JSON line a window, ordered by device and start, when every partition is read to its end.
#include <librdkafka/rdkafka.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

struct Key {
  std::int64_t device;
  std::int64_t start;
  bool operator==(const Key& other) const { return device == other.device && start == other.start; }
};
struct KeyHash {
  std::size_t operator()(const Key& key) const {
    return std::hash<std::int64_t>{}(key.device) * 31 + std::hash<std::int64_t>{}(key.start);
  }
};
struct Aggregate {
  std::int64_t count = 0;
  double sum = 0;
  double min = 0;
  double max = 0;
};
using Windows = std::unordered_map<Key, Aggregate, KeyHash>;

[[noreturn]] void die(const std::string& what) {
  std::fprintf(stderr, "ordinary_consumer: %s\n", what.c_str());
  std::exit(1);
}

void fold(Windows& windows, const char* bytes, std::size_t size, std::int64_t window_s) {
  const auto record = nlohmann::json::parse(bytes, bytes + size);
  const auto text = record.at("timestamp").get<std::string>();
  std::tm time{};
  if (strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) die("timestamp " + text);
  const std::int64_t seconds = timegm(&time);
  const double value = record.at("temperature").get<double>();
  Aggregate& a = windows[Key{record.at("device_id").get<std::int64_t>(), seconds - seconds % window_s}];
  a.min = a.count == 0 ? value : std::min(a.min, value);
  a.max = a.count == 0 ? value : std::max(a.max, value);
  ++a.count;
  a.sum += value;
}

rd_kafka_t* connect(int argc, char** argv) {
  rd_kafka_conf_t* conf = rd_kafka_conf_new();
  char error[512];
  const auto set = [&](const std::string& name, const std::string& value) {
    if (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), error, sizeof error) != RD_KAFKA_CONF_OK) die(error);
  };
  set("bootstrap.servers", argv[1]);
  set("group.id", "ordinary-consumer");
  set("enable.auto.commit", "false");
  set("enable.partition.eof", "true");
  for (int i = 4; i < argc; ++i) {
    const char* equals = std::strchr(argv[i], '=');
    if (equals == nullptr) die(std::string("not KEY=VALUE: ") + argv[i]);
    set(std::string(argv[i], static_cast<std::size_t>(equals - argv[i])), equals + 1);
  }
  rd_kafka_t* kafka = rd_kafka_new(RD_KAFKA_CONSUMER, conf, error, sizeof error);
  if (kafka == nullptr) die(error);
  rd_kafka_poll_set_consumer(kafka);
  return kafka;
}

int assign_all(rd_kafka_t* kafka, const char* topic) {
  rd_kafka_topic_t* handle = rd_kafka_topic_new(kafka, topic, nullptr);
  const rd_kafka_metadata_t* metadata = nullptr;
  if (rd_kafka_metadata(kafka, 0, handle, &metadata, 10'000) != RD_KAFKA_RESP_ERR_NO_ERROR) die("no metadata");
  const int partitions = metadata->topics[0].partition_cnt;
  rd_kafka_topic_partition_list_t* list = rd_kafka_topic_partition_list_new(partitions);
  for (int i = 0; i < partitions; ++i) rd_kafka_topic_partition_list_add(list, topic, i)->offset = 0;
  rd_kafka_assign(kafka, list);
  rd_kafka_topic_partition_list_destroy(list);
  rd_kafka_metadata_destroy(metadata);
  rd_kafka_topic_destroy(handle);
  return partitions;
}

}  // namespace

int main(int argc, char** argv) {  // NOLINT(bugprone-exception-escape): what nobody catches ends the program
  if (argc < 4) die("usage: ordinary_consumer BOOTSTRAP TOPIC WINDOW_SECONDS [KEY=VALUE ..]");
  const std::int64_t window_s = std::strtoll(argv[3], nullptr, 10);
  rd_kafka_t* kafka = connect(argc, argv);
  int open = assign_all(kafka, argv[2]);
  Windows windows;
  while (open > 0) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(kafka, 1000);
    if (message == nullptr) continue;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
      --open;
    } else if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      die(rd_kafka_message_errstr(message));
    } else {
      fold(windows, static_cast<const char*>(message->payload), message->len, window_s);
    }
    rd_kafka_message_destroy(message);
  }
  std::vector<std::pair<Key, Aggregate>> sorted(windows.begin(), windows.end());
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return std::pair(a.first.device, a.first.start) < std::pair(b.first.device, b.first.start);
  });
  for (const auto& [key, a] : sorted) {
    std::printf("{\"device_id\":%lld,\"start\":%lld,\"count\":%lld,\"avg\":%.9f,\"min\":%.9f,\"max\":%.9f}\n",
                static_cast<long long>(key.device), static_cast<long long>(key.start), static_cast<long long>(a.count),
                a.sum / static_cast<double>(a.count), a.min, a.max);
  }
  rd_kafka_consumer_close(kafka);
  rd_kafka_destroy(kafka);
  return 0;
}
