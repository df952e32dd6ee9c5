// SPDX-License-Identifier: Apache-2.0
#include "app/kafka_client_config.h"

namespace culvert {

namespace {

LogLevel level_of(kafka::LogLevel level) {
  switch (level) {
    case kafka::LogLevel::kError:
      return LogLevel::kError;
    case kafka::LogLevel::kWarning:
      return LogLevel::kWarning;
    case kafka::LogLevel::kInfo:
      return LogLevel::kInfo;
    case kafka::LogLevel::kDebug:
      return LogLevel::kDebug;
  }
  return LogLevel::kInfo;
}

}  // namespace

kafka::KafkaConfig kafka_client_config(const KafkaTarget& target, Log& log) {
  kafka::KafkaConfig config;
  config.bootstrap = target.bootstrap_servers;
  for (const auto& [name, value] : target.properties) config.properties.push_back(kafka::Property{name, value});
  config.log = [&log](kafka::LogLevel level, std::string_view text) {
    log.write(level_of(level), "kafka client", {{"detail", text}});
  };
  return config;
}

}  // namespace culvert
