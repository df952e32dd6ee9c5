// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "adapters/kafka/settings.h"

namespace culvert::kafka {

namespace {

constexpr std::array<std::string_view, 9> kSecrets{"sasl.password",           "sasl.oauthbearer.client.secret",
                                                   "sasl.oauthbearer.config", "ssl.key.password",
                                                   "ssl.keystore.password",   "ssl.key.pem",
                                                   "sasl.kerberos.kinit.cmd", "ssl.ca.pem.password",
                                                   "sasl.jaas.config"};

}  // namespace

bool is_secret(std::string_view name) { return std::find(kSecrets.begin(), kSecrets.end(), name) != kSecrets.end(); }

std::string redacted_text(const KafkaConfig& config) {
  std::string text = fmt::format("bootstrap.servers={}", config.bootstrap);
  for (const Property& property : config.properties) {
    text += fmt::format(" {}={}", property.name, is_secret(property.name) ? "***" : property.value);
  }
  if (config.insecure_skip_tls_verification) text += " insecure_skip_tls_verification=true";
  return text;
}

std::string redact(std::string text, std::span<const std::string> secrets) {
  for (const std::string& secret : secrets) {
    for (auto at = text.find(secret); at != std::string::npos; at = text.find(secret, at + 3)) {
      text.replace(at, secret.size(), "***");
    }
  }
  return text;
}

std::vector<std::string> secret_values(const KafkaConfig& config) {
  std::vector<std::string> values;
  for (const Property& property : config.properties) {
    if (is_secret(property.name) && !property.value.empty()) values.push_back(property.value);
  }
  return values;
}

Result<void> validate(const KafkaConfig& config, Role role) {
  Result<Handle<rd_kafka_conf_t>> conf = make_conf(config, role, {});
  if (!conf) return conf.error();
  return {};
}

Result<std::string> effective_value(const KafkaConfig& config, Role role, const std::string& name) {
  const Result<Handle<rd_kafka_conf_t>> conf = make_conf(config, role, {});
  if (!conf) return conf.error();
  std::array<char, 512> text{};
  std::size_t size = text.size();
  const rd_kafka_conf_res_t got = rd_kafka_conf_get(conf->get(), name.c_str(), text.data(), &size);
  CULVERT_CHECK(got == RD_KAFKA_CONF_OK, "asked for a property that does not exist: " + name);
  return std::string{text.data()};
}

}  // namespace culvert::kafka
