// SPDX-License-Identifier: Apache-2.0
#include "app/cli/kafka_access.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace culvert {

namespace {

constexpr std::string_view kIdle = "connections.max.idle.ms";
constexpr std::int64_t kIdleMsDefault = 240'000;  // as adapters/kafka has it

Error usage(std::string message) { return Error::fatal(ErrorKind::kUsage, std::move(message)); }
Error configuration(std::string message) { return Error::fatal(ErrorKind::kConfiguration, std::move(message)); }

using Properties = std::map<std::string, std::string>;

// librdkafka knows the mechanism under two names.
const std::string* find_mechanism(const Properties& properties) {
  for (const char* name : {"sasl.mechanisms", "sasl.mechanism"}) {
    if (const auto found = properties.find(name); found != properties.end()) return &found->second;
  }
  return nullptr;
}

void fill(Properties& properties, const char* name, const std::string& value) { properties.try_emplace(name, value); }

void fill_login(Properties& properties, const char* protocol, const char* mechanism) {
  fill(properties, "security.protocol", protocol);
  if (mechanism != nullptr && find_mechanism(properties) == nullptr) properties["sasl.mechanism"] = mechanism;
}

Result<void> fill_credentials(KafkaTarget& target, const UserPassword& user) {
  for (const char* name : {"sasl.username", "sasl.password"}) {
    if (!target.properties.contains(name)) continue;
    return usage(fmt::format("--credentials gives {}, which is given otherwise, too: leave one of them out", name));
  }
  target.properties["sasl.username"] = user.username;
  target.properties["sasl.password"] = user.password;
  return {};
}

Result<void> fill_scram(KafkaTarget& target, const KafkaAccess& access) {
  fill_login(target.properties, "SASL_SSL", "SCRAM-SHA-512");
  if (access.credentials) {
    if (auto filled = fill_credentials(target, *access.credentials); !filled) return filled;
  }
  if (target.properties.contains("sasl.username") && target.properties.contains("sasl.password")) return {};
  return configuration(
      "the connection document says that clients log in by SCRAM, and no user is given (--credentials secret:ARN with "
      "the user's secret, or -X sasl.username=NAME and --password-file FILE)");
}

Result<void> fill_certificate(KafkaTarget& target) {
  fill_login(target.properties, "SSL", nullptr);
  constexpr std::array kCertificates{"ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location"};
  const bool has = std::any_of(kCertificates.begin(), kCertificates.end(),
                               [&](const char* name) { return target.properties.contains(name); });
  if (has) return {};
  return configuration(
      "the connection document says that clients log in with a certificate, and none is given "
      "(-X ssl.certificate.location=FILE and -X ssl.key.location=FILE)");
}

Result<void> fill_iam(KafkaTarget& target, const KafkaAccess& access) {
  const std::string* mechanism = find_mechanism(target.properties);
  if (mechanism != nullptr && *mechanism != "OAUTHBEARER") {
    if (access.auth == AuthChoice::kAuto) return {};  // the document's word, and somebody knows better
    return usage(fmt::format("--auth msk-iam logs in by OAUTHBEARER, and sasl.mechanism is {}", *mechanism));
  }
  if (access.credentials) {
    return usage("--credentials gives a user and a password, and msk-iam logs in with neither: leave it out");
  }
  fill_login(target.properties, "SASL_SSL", "OAUTHBEARER");
  target.msk_iam = true;
  target.region = access.region;
  if (target.region.empty() && access.connection) target.region = access.connection->region;
  if (target.region.empty()) target.region = region_of_brokers(target.bootstrap_servers);
  if (target.region.empty() && access.environment_region) target.region = access.environment_region().value_or("");
  if (!target.region.empty()) return {};
  return configuration(
      "--auth msk-iam needs the cluster's region, which the brokers' names do not tell (--kafka-region NAME, or "
      "AWS_REGION)");
}

// Below what the load balancers on the path forget; a longer time of the user's own is his to answer for.
void fill_idle(KafkaTarget& target, std::int64_t most, std::vector<std::string>& warnings) {
  const auto found = target.properties.find(std::string(kIdle));
  if (found == target.properties.end()) {
    target.properties[std::string(kIdle)] = std::to_string(std::min(most, kIdleMsDefault));
    return;
  }
  std::int64_t chosen = 0;
  const std::string& text = found->second;
  std::from_chars(text.data(), text.data() + text.size(), chosen);
  if (chosen > 0 && chosen <= most) return;  // 0: never closed
  warnings.push_back(
      fmt::format("{}={} is longer than the path keeps an idle connection ({} ms, says the connection "
                  "document): expect connections that hang",
                  kIdle, text, most));
}

}  // namespace

std::string region_of_brokers(std::string_view bootstrap_servers) {
  const std::string_view host = bootstrap_servers.substr(0, bootstrap_servers.find_first_of(":,"));
  for (const std::string_view service : {".kafka.", ".kafka-serverless."}) {
    const auto at = host.find(service);
    const auto end = host.rfind(".amazonaws.com");
    if (at == std::string_view::npos || end == std::string_view::npos || at + service.size() >= end) continue;
    const std::string_view region = host.substr(at + service.size(), end - at - service.size());
    if (region.find('.') == std::string_view::npos) return std::string(region);
  }
  return {};
}

Result<void> apply_access(KafkaTarget& target, const KafkaAccess& access, std::vector<std::string>& warnings) {
  if (access.connection) {
    if (target.bootstrap_servers.empty()) target.bootstrap_servers = access.connection->bootstrap_servers();
    if (access.connection->client_idle_ms_max) fill_idle(target, *access.connection->client_idle_ms_max, warnings);
  }
  if (access.auth == AuthChoice::kMskIam) return fill_iam(target, access);
  if (access.connection) {
    switch (access.connection->authentication) {
      case Authentication::kScram:
        return fill_scram(target, access);
      case Authentication::kIam:
        return fill_iam(target, access);
      case Authentication::kMtls:
        return fill_certificate(target);
    }
  }
  if (!access.credentials) return {};
  fill_login(target.properties, "SASL_SSL", "SCRAM-SHA-512");
  return fill_credentials(target, *access.credentials);
}

}  // namespace culvert
