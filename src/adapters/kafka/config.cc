// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>

#include "adapters/kafka/settings.h"

namespace culvert::kafka {

namespace {

constexpr std::size_t kSecretBytesMost = 64 * 1024;
constexpr std::string_view kFileSuffix = ".file";

constexpr std::array<std::string_view, 9> kSecrets{"sasl.password",           "sasl.oauthbearer.client.secret",
                                                   "sasl.oauthbearer.config", "ssl.key.password",
                                                   "ssl.keystore.password",   "ssl.key.pem",
                                                   "sasl.kerberos.kinit.cmd", "ssl.ca.pem.password",
                                                   "sasl.jaas.config"};

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

Result<std::string> read_secret(const std::string& path, std::string_view name) {
  std::ifstream file(path, std::ios::binary);
  std::string content(kSecretBytesMost + 1, '\0');
  if (file) file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (!file.is_open() || file.bad()) {
    return Error::fatal(ErrorKind::kIo,
                        fmt::format("{}: the file '{}' cannot be read (check path and permissions)", name, path));
  }
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (content.size() > kSecretBytesMost) {
    return Error::fatal(ErrorKind::kIo, fmt::format("{}: the file '{}' is larger than {} bytes (is it the right one?)",
                                                    name, path, kSecretBytesMost));
  }
  if (content.ends_with('\n')) content.pop_back();
  if (content.ends_with('\r')) content.pop_back();
  return content;
}

}  // namespace

bool is_secret(std::string_view name) { return std::find(kSecrets.begin(), kSecrets.end(), name) != kSecrets.end(); }

Result<KafkaConfig> with_secret_files(KafkaConfig config) {
  for (Property& property : config.properties) {
    if (!property.name.ends_with(kFileSuffix)) continue;
    const std::string name = property.name.substr(0, property.name.size() - kFileSuffix.size());
    if (!is_secret(name)) continue;
    Result<std::string> content = read_secret(property.value, property.name);
    if (!content) return content.error();
    property = Property{name, *std::move(content)};
  }
  return config;
}

Result<std::vector<Property>> parse_properties(std::string_view text) {
  std::vector<Property> result;
  for (int line = 1; !text.empty(); ++line) {
    const auto end = text.find('\n');
    const std::string_view content = trim(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view{} : text.substr(end + 1);
    if (content.empty() || content.front() == '#') continue;
    const auto equals = content.find('=');
    const std::string_view name = trim(content.substr(0, equals));
    if (equals == std::string_view::npos || name.empty()) {
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("line {} of the Kafka properties: expected `name=value`", line));
    }
    result.push_back(Property{std::string(name), std::string(trim(content.substr(equals + 1)))});
  }
  return result;
}

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

}  // namespace culvert::kafka
