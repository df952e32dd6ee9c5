// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace culvert::kafka {

namespace {

constexpr std::string_view kResults = "culvert's results depend on it";
constexpr std::string_view kCheckpoints = "the checkpoint decides where reading starts and what is committed";
constexpr std::string_view kDelivery = "culvert produces idempotently, with a delivery report for every record";

constexpr std::array kOwned{
    OwnedKey{"bootstrap.servers", "use --bootstrap-server"},
    OwnedKey{"metadata.broker.list", "use --bootstrap-server"},
    OwnedKey{"group.id", "use --group"},
    OwnedKey{"enable.auto.commit", kCheckpoints},
    OwnedKey{"auto.commit.enable", kCheckpoints},
    OwnedKey{"auto.commit.interval.ms", kCheckpoints},
    OwnedKey{"enable.auto.offset.store", kCheckpoints},
    OwnedKey{"auto.offset.reset", "use --start; once there is a checkpoint a lost position is an error, never a reset"},
    OwnedKey{"offset.store.method", kCheckpoints},
    OwnedKey{"partition.assignment.strategy", "eager `range` only: cooperative rebalancing can lose an assignment"},
    OwnedKey{"group.protocol", "`classic` only: the client has the other protocol as a preview"},
    OwnedKey{"group.remote.assignor", "the classic protocol only"},
    OwnedKey{"isolation.level", kResults},
    OwnedKey{"enable.partition.eof", "culvert follows the ends of partitions itself"},
    OwnedKey{"consume.callback.max.messages", "culvert consumes in batches"},
    OwnedKey{"queued.max.messages.kbytes", "use --memory-limit"},
    OwnedKey{"queued.min.messages", "use --memory-limit"},
    OwnedKey{"acks", kDelivery},
    OwnedKey{"request.required.acks", kDelivery},
    OwnedKey{"enable.idempotence", kDelivery},
    OwnedKey{"enable.gapless.guarantee", kDelivery},
    OwnedKey{"delivery.report.only.error", kDelivery},
    OwnedKey{"transactional.id", kDelivery},
    OwnedKey{"partitioner", "`murmur2_random`, so that Java programs agree on a device's partition"},
    OwnedKey{"plugin.library.paths", "culvert loads no code that a configuration names"},
    OwnedKey{"test.mock.num.brokers", "use `culvert demo`"},
    OwnedKey{"test.mock.broker.rtt", "use `culvert demo`"},
    OwnedKey{"log.queue", "culvert takes the log itself"},
    OwnedKey{"enable.ssl.certificate.verification", "use --insecure-skip-tls-verification, which says what it does"},
};

// connections.max.idle.ms: a load balancer drops connections that were idle for 350 s without telling either end.
// allow.auto.create.topics: asking for a topic, or producing to it, must not create it.
// enable.metrics.push: culvert has metrics of its own, and a last push delays the end of a client by up to a second.
// fetch.queue.backoff.ms: the default of a second leaves a fast consumer waiting with an empty queue.
constexpr std::array kCommon{
    Default{"client.id", "culvert"},
    Default{"socket.keepalive.enable", "true"},
    Default{"socket.nagle.disable", "true"},
    Default{"connections.max.idle.ms", "240000"},
    Default{"reconnect.backoff.ms", "100"},
    Default{"reconnect.backoff.max.ms", "2000"},
    Default{"topic.metadata.refresh.interval.ms", "60000"},
    Default{"log.connection.close", "false"},
    Default{"allow.auto.create.topics", "false"},
    Default{"enable.metrics.push", "false"},
};

constexpr std::array kFetching{
    Default{"enable.auto.commit", "false"},
    Default{"enable.auto.offset.store", "false"},
    Default{"auto.offset.reset", "error"},
    Default{"enable.partition.eof", "true"},
    Default{"isolation.level", "read_committed"},
    Default{"check.crcs", "true"},
    Default{"fetch.queue.backoff.ms", "5"},
    Default{"fetch.min.bytes", "65536"},
    Default{"fetch.wait.max.ms", "50"},
    Default{"fetch.error.backoff.ms", "100"},
    Default{"fetch.message.max.bytes", "1048576"},
    Default{"fetch.max.bytes", "52428800"},
    Default{"receive.message.max.bytes", "104857600"},
};

constexpr std::array kGroup{
    Default{"partition.assignment.strategy", "range"},
    Default{"session.timeout.ms", "45000"},
    Default{"heartbeat.interval.ms", "1000"},
    Default{"max.poll.interval.ms", "300000"},
};

// message.timeout.ms: longer than a broker's restart, so that a rolling restart fails no record.
constexpr std::array kProducing{
    Default{"enable.idempotence", "true"},
    Default{"acks", "all"},
    Default{"compression.codec", "lz4"},
    Default{"partitioner", "murmur2_random"},
    Default{"linger.ms", "20"},
    Default{"batch.size", "1048576"},
    Default{"batch.num.messages", "100000"},
    Default{"queue.buffering.max.messages", "500000"},
    Default{"queue.buffering.max.kbytes", "262144"},
    Default{"message.timeout.ms", "120000"},
    Default{"delivery.report.only.error", "false"},
};

template <std::size_t... Ns>
constexpr auto join(const std::array<Default, Ns>&... parts) {
  std::array<Default, (Ns + ...)> all{};
  std::size_t at = 0;
  ((std::copy(parts.begin(), parts.end(), all.begin() + static_cast<std::ptrdiff_t>(at)), at += Ns), ...);
  return all;
}

constexpr auto kConsumerDefaults = join(kCommon, kFetching, kGroup);
constexpr auto kReaderDefaults = join(kCommon, kFetching);
constexpr auto kProducerDefaults = join(kCommon, kProducing);

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({substituted, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row.back();
}

// The names of all properties: the first words of the lines of the table that librdkafka prints.
std::vector<std::string> known_names() {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* file = open_memstream(&text, &size);
  if (file == nullptr) return {};
  rd_kafka_conf_properties_show(file);
  std::fclose(file);
  std::istringstream lines(std::string(text, size));
  std::free(text);
  std::vector<std::string> names;
  for (std::string line; std::getline(lines, line);) {
    const std::string name = line.substr(0, line.find(' '));
    if (name.find('.') != std::string::npos || line.find(" | ") != std::string::npos) names.push_back(name);
  }
  return names;
}

// The property nearest in spelling, or nothing if none is near enough to be a slip.
std::string nearest_name(std::string_view name) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, name.size() / 4) + 1;
  for (const std::string& known : known_names()) {
    const std::size_t distance = edit_distance(name, known);
    if (distance < best_distance) {
      best = known;
      best_distance = distance;
    }
  }
  return best;
}

Result<void> set(rd_kafka_conf_t* conf, const std::string& name, const std::string& value) {
  std::array<char, 512> text{};
  switch (rd_kafka_conf_set(conf, name.c_str(), value.c_str(), text.data(), text.size())) {
    case RD_KAFKA_CONF_OK:
      return {};
    case RD_KAFKA_CONF_UNKNOWN: {
      const std::string near = nearest_name(name);
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("Kafka property '{}' is unknown ({})", name,
                                      near.empty() ? "see librdkafka's configuration properties"
                                                   : fmt::format("did you mean '{}'?", near)));
    }
    case RD_KAFKA_CONF_INVALID:
    default:
      // librdkafka's text quotes the value, which may be a secret.
      return Error::fatal(ErrorKind::kConfiguration,
                          is_secret(name) ? fmt::format("Kafka property '{}': the value is refused", name)
                                          : fmt::format("Kafka property '{}': {}", name, text.data()));
  }
}

Result<void> check_owned(const KafkaConfig& config) {
  for (const Property& property : config.properties) {
    const auto owned =
        std::find_if(kOwned.begin(), kOwned.end(), [&](const OwnedKey& key) { return key.name == property.name; });
    if (owned != kOwned.end()) {
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("Kafka property '{}' cannot be set: {}", property.name, owned->reason));
    }
    if (property.name == "ssl.endpoint.identification.algorithm" && property.value == "none") {
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("Kafka property '{}' cannot be `none`: use --insecure-skip-tls-verification, "
                                      "which says what it does",
                                      property.name));
    }
  }
  return {};
}

// A producer's property in a consumer (and the other way round) is harmless; librdkafka would only warn about it.
Result<void> set_all(rd_kafka_conf_t* conf, const KafkaConfig& config, Role role, std::span<const Property> settings) {
  for (const Default& entry : defaults(role)) {
    if (Result<void> done = set(conf, std::string(entry.name), std::string(entry.value)); !done) return done;
  }
  for (const Property& property : config.properties) {
    if (Result<void> done = set(conf, property.name, property.value); !done) return done;
  }
  for (const Property& property : settings) {
    if (Result<void> done = set(conf, property.name, property.value); !done) return done;
  }
  if (config.insecure_skip_tls_verification) {
    return set(conf, "enable.ssl.certificate.verification", "false");
  }
  return {};
}

}  // namespace

std::span<const OwnedKey> owned_keys() { return kOwned; }

std::span<const Default> defaults(Role role) {
  switch (role) {
    case Role::kConsumer:
      return kConsumerDefaults;
    case Role::kReader:
      return kReaderDefaults;
    case Role::kProducer:
      return kProducerDefaults;
    case Role::kAdmin:
      break;
  }
  return kCommon;
}

std::vector<Property> fetch_limits(std::int64_t bytes_max) {
  constexpr std::int64_t kRecordBytes = 512;  // librdkafka's own and a small record's
  const std::int64_t kbytes = std::clamp<std::int64_t>(bytes_max / 1024, 1, 2'097'151);
  const std::int64_t records = std::clamp<std::int64_t>(bytes_max / kRecordBytes, 1'000, 1'000'000);
  return {Property{"queued.max.messages.kbytes", fmt::format("{}", kbytes)},
          Property{"queued.min.messages", fmt::format("{}", records)}};
}

Result<Handle<rd_kafka_conf_t>> make_conf(const KafkaConfig& config, Role role, std::span<const Property> settings) {
  if (config.bootstrap.empty()) {
    return Error::fatal(ErrorKind::kConfiguration, "no Kafka brokers are named (use --bootstrap-server host:port)");
  }
  if (Result<void> allowed = check_owned(config); !allowed) return allowed.error();
  Handle<rd_kafka_conf_t> conf{rd_kafka_conf_new()};
  if (Result<void> done = set(conf.get(), "bootstrap.servers", config.bootstrap); !done) return done.error();
  if (Result<void> done = set_all(conf.get(), config, role, settings); !done) return done.error();
  return conf;
}

}  // namespace culvert::kafka
