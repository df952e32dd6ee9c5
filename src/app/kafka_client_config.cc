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

kafka::LogSink kafka_client_log(Log& log) {
  return [&log](kafka::LogLevel level, std::string_view text) {
    const LogField detail{"detail", text};
    log.write(level_of(level), "kafka client", {&detail, 1});
  };
}

kafka::KafkaConfig kafka_client_config(const KafkaTarget& target, Log& log) {
  kafka::KafkaConfig config;
  config.bootstrap = target.bootstrap_servers;
  for (const auto& [name, value] : target.properties) config.properties.push_back(kafka::Property{name, value});
  config.insecure_skip_tls_verification = target.insecure_skip_tls_verification;
  if (target.insecure_skip_tls_verification) {
    log.warning("the brokers' certificates are not verified: anybody on the path can read and change the stream",
                {{"option", "--insecure-skip-tls-verification"}});
  }
  config.log = kafka_client_log(log);
  return config;
}

}  // namespace culvert
