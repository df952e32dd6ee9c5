// SPDX-License-Identifier: Apache-2.0
#include "app/session/kafka_client_config.h"

#include <chrono>
#include <memory>

#include "adapters/aws/msk_iam.h"
#include "app/cli/aws_session.h"

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

// Shared by all clients of the configuration, also by one that was left behind because it would not end.
kafka::TokenSource iam_tokens(const std::string& region) {
  auto session = std::make_shared<AwsSession>(region);
  return [session, region]() -> Result<kafka::BearerToken> {
    const auto credentials = session->credentials().get_blocking();
    if (!credentials) return credentials.error();
    const auto now = std::chrono::floor<std::chrono::seconds>(session->clock().wall());
    auto token = aws::msk_iam_token(region, **credentials, now);
    return kafka::BearerToken{std::move(token.value), std::move(token.principal), token.expires_at};
  };
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
  if (target.msk_iam) config.token = iam_tokens(target.region);
  return config;
}

}  // namespace culvert
