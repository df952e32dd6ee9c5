// SPDX-License-Identifier: Apache-2.0
// How to reach a Kafka cluster: bootstrap servers, ordered properties, and culvert's own settings around them.
//
// Flow    options -> [KafkaConfig] -> Consumer, PartitionReader, Producer, Admin.
// Owner   value; copied into each client.
// Time    none.
// Bounds  none of its own.
// See     docs/operating.md: Kafka properties.
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace culvert::kafka {

enum class LogLevel { kError, kWarning, kInfo, kDebug };

// Called from any thread, also from the client's own: it must be thread-safe and must not block for long.  Secrets of
// the configuration are already replaced in the text.
using LogSink = std::function<void(LogLevel level, std::string_view text)>;

// What a client logs in with by SASL/OAUTHBEARER.
struct BearerToken {
  std::string value;      // secret
  std::string principal;  // for people
  std::chrono::sys_time<std::chrono::milliseconds> expires_at;
};

// Called on a thread of the client's own, when it starts and again at four fifths of each token's life; may block for
// some seconds.  After an error it is asked again in ten seconds; one that is not retriable ends connecting.
using TokenSource = std::function<Result<BearerToken>()>;

struct Property {
  std::string name;
  std::string value;
  friend bool operator==(const Property&, const Property&) = default;
};

struct KafkaConfig {
  std::string bootstrap{};             // host:port[,host:port..]
  std::vector<Property> properties{};  // librdkafka's names; a later one wins over an earlier one
  // Accept any certificate.  A property cannot do it, so that it always carries this name.
  bool insecure_skip_tls_verification = false;
  LogSink log{};        // empty: nothing is logged
  TokenSource token{};  // set: log in with its tokens; sasl.mechanism is then OAUTHBEARER
};

// What the client is used for: decides which of culvert's settings apply.
enum class Role { kConsumer, kReader, kProducer, kAdmin };

// ok, or an Error (kConfiguration, fatal) that names the first property at fault: one that culvert owns (with the
// reason), one that librdkafka does not know (with the nearest name), or a value that it refuses.
[[nodiscard]] Result<void> validate(const KafkaConfig& config, Role role);

// What the client will work with: the property's value as configured, culvert's own, or librdkafka's default.
[[nodiscard]] Result<std::string> effective_value(const KafkaConfig& config, Role role, const std::string& name);

// True for a property whose value must not be shown: passwords, private keys, tokens.
[[nodiscard]] bool is_secret(std::string_view name);

// For logs and dumps: `bootstrap.servers=.. name=value ..` with secret values shown as `***`.
[[nodiscard]] std::string redacted_text(const KafkaConfig& config);

// The text with every occurrence of a secret value of the configuration replaced by `***`.
[[nodiscard]] std::string redact(std::string text, std::span<const std::string> secrets);
[[nodiscard]] std::vector<std::string> secret_values(const KafkaConfig& config);

}  // namespace culvert::kafka
