// SPDX-License-Identifier: Apache-2.0
// Groups of options that several commands share.
//
// Flow    a command holds the groups it needs as members, declares them in its declare() and asks them in its run().
// Owner   the command.
// Time    none.
// Bounds  checked while reading; definition() goes through the model's validate().
// See     docs/formats.md: configuration file; docs/security.md: secrets.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/cli/log.h"
#include "app/options/definition_options.h"
#include "app/options/option_set.h"
#include "app/options/table_options.h"
#include "model/result.h"

namespace culvert {

// Where and how to reach Kafka: what adapters/kafka needs, in plain values.
struct KafkaTarget {
  std::string bootstrap_servers;                  // HOST:PORT,..
  std::string topic;                              // empty where the command has no topic
  std::string group;                              // empty where the command has no group
  std::map<std::string, std::string> properties;  // of the client, secrets resolved
  bool insecure_skip_tls_verification = false;
  bool msk_iam = false;  // log in with a token of this program's AWS identity ..
  std::string region{};  // .. for a cluster in this region
};

// What --auth says: auto is what the connection document and the client's properties say.
enum class AuthChoice : std::uint8_t { kAuto, kMskIam };

enum class GroupOption : std::uint8_t { kNone, kRequired };

class KafkaOptions {
 public:
  KafkaOptions() = default;
  KafkaOptions(const KafkaOptions&) = delete;
  KafkaOptions& operator=(const KafkaOptions&) = delete;
  ~KafkaOptions() = default;

  void declare(OptionSet& options, GroupOption group);
  // For commands that do without Kafka unless they are told of it: brokers and topic come together or not at all.
  void declare_optional(OptionSet& options);
  [[nodiscard]] bool named() const { return !topic_.empty(); }

  // bootstrap.servers and group.id of a property file stand in for missing options, as in Kafka's own tools.
  // Merges the sources (--connection < [kafka] < --kafka-config < environment < -X), reads secrets and registers them
  // with the log.
  [[nodiscard]] Result<KafkaTarget> target(Log& log) const;

 private:
  using Properties = std::map<std::string, std::string>;
  Result<void> add_property(const std::string& key, const std::string& value, const OptionSource& source);
  Result<void> add_property_file(const std::string& path);
  void declare_access(OptionSet& options);
  Result<void> add_access(KafkaTarget& target, Log& log) const;

  void stand_in(std::string_view option_name, std::string* target, const std::string& value);

  OptionSet* options_ = nullptr;
  std::string bootstrap_servers_;
  std::string topic_;
  std::string group_;
  std::string password_file_;
  std::string connection_;
  std::string credentials_;
  AuthChoice auth_ = AuthChoice::kAuto;
  std::string region_;
  bool insecure_skip_tls_verification_ = false;
  Properties from_config_;
  Properties from_property_file_;
  Properties from_environment_;
  Properties from_command_line_;
};

// True for properties of the Kafka client whose value is a password, key or other secret.
[[nodiscard]] bool is_secret_property(std::string_view key);

}  // namespace culvert
