// SPDX-License-Identifier: Apache-2.0
#include "app/cli/option_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "adapters/aws/credentials.h"
#include "app/cli/aws_session.h"
#include "app/cli/bootstrap_servers.h"
#include "app/cli/config_file.h"
#include "app/cli/kafka_access.h"

namespace culvert {

namespace {

bool is_topic_name(std::string_view name) {
  constexpr std::size_t kTopicBytesMost = 249;
  constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !name.empty() && name.size() <= kTopicBytesMost && name != "." && name != ".." &&
         name.find_first_not_of(kAllowed) == std::string_view::npos;
}

Error secret_in_sight(const std::string& key, const OptionSource& source) {
  const std::string_view seen = source.kind == SourceKind::kCommandLine
                                    ? "the command line, which every user of this machine can read"
                                    : "the environment, which child processes and crash reports inherit";
  const std::string_view instead = key == "sasl.password" ? ", or --password-file PATH" : "";
  return Error::fatal(
      source.kind == SourceKind::kCommandLine ? ErrorKind::kUsage : ErrorKind::kConfiguration,
      fmt::format("{} must not stand on {}: put it into a file and say {}=@file:PATH{}", key, seen, key, instead));
}

// Two places for one fact would leave open which of them wins.
Result<void> refuse_option_of_its_own(std::string_view key) {
  const bool group = key == "group.id";
  if (!group && key != "bootstrap.servers" && key != "metadata.broker.list") return {};
  return Error::fatal(ErrorKind::kConfiguration, fmt::format("{} has an option of its own: {}", key,
                                                             group ? "--group (-G)" : "--bootstrap-server (-b)"));
}

}  // namespace

bool is_secret_property(std::string_view key) {
  constexpr std::array<std::string_view, 6> kEndings{"password", "secret", "ssl.key.pem", "ssl_key", "token", ".jwt"};
  return std::any_of(kEndings.begin(), kEndings.end(), [&](std::string_view ending) { return key.ends_with(ending); });
}

// ---- Kafka ----------------------------------------------------------------------------------------------------------

void KafkaOptions::declare(OptionSet& options, GroupOption group) {
  options_ = &options;
  options.heading("Kafka");
  Option& servers = options.text({"bootstrap-server", 'b'}, "HOST:PORT,..", &bootstrap_servers_,
                                 "Brokers to begin with; --connection names them, too.");
  servers.required = true;
  servers.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
    // The client would take port 0 for what is no number and then try it for as long as it may.
    if (const auto parsed = parse_bootstrap(text); !parsed) {
      return Error::fatal(ErrorKind::kUsage, parsed.error().message);
    }
    bootstrap_servers_ = text;
    return {};
  };
  Option& topic = options.text({"topic", 't'}, "TOPIC", &topic_, "The topic.");
  topic.required = true;
  topic.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
    if (!is_topic_name(text))
      return refuse_value(text, "is not a topic name (letters, digits, '.', '_', '-'; at most 249)");
    topic_ = text;
    return {};
  };
  if (group == GroupOption::kRequired) {
    options.text({"group", 'G'}, "GROUP", &group_, "Consumer group; several processes of a group share the partitions.")
        .required = true;
  }
  Option property;
  property.name = "property";
  property.letter = 'X';
  property.value_name = "KEY=VALUE";
  property.help =
      "Property of the Kafka client, as librdkafka's CONFIGURATION.md lists them. A value @file:PATH or @fd:N is read "
      "from there; secrets are taken in no other way.";
  property.repeatable = true;
  property.apply = [this](std::string_view text, const OptionSource& source) -> Result<void> {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) return refuse_value(text, "is not of the form KEY=VALUE");
    return add_property(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)), source);
  };
  options.add(std::move(property));
  Option file;
  file.name = "kafka-config";
  file.value_name = "FILE";
  file.help =
      "Properties of the Kafka client, one KEY=VALUE a line; its bootstrap.servers and group.id stand in for missing "
      "options.";
  file.apply = [this](std::string_view path, const OptionSource&) { return add_property_file(std::string(path)); };
  options.add(std::move(file));
  options.text("password-file", "FILE", &password_file_, "File that holds the password (sasl.password).");
  declare_access(options);
  options.flag("insecure-skip-tls-verification", &insecure_skip_tls_verification_,
               "Accept any certificate: for tests only, as anybody on the path can then read and change the stream.");
  options.properties("kafka", [this](const std::string& key, const std::string& value, const OptionSource& source) {
    return add_property(key, value, source);
  });
}

void KafkaOptions::declare_optional(OptionSet& options) {
  declare(options, GroupOption::kNone);
  options.find("bootstrap-server")->required = false;
  options.find("topic")->required = false;
  options.finish([this]() -> Result<void> {
    const bool brokers = !bootstrap_servers_.empty() || !connection_.empty();
    if (brokers == named()) return {};
    return Error::fatal(ErrorKind::kUsage, brokers ? "brokers are named, but no --topic (-t)"
                                                   : "--topic (-t) needs brokers: --bootstrap-server (-b) or "
                                                     "--connection");
  });
}

void KafkaOptions::declare_access(OptionSet& options) {
  Option& connection =
      options.text("connection", "FILE|secret:ARN", &connection_,
                   "The stream account's hand-over: brokers, way to log in, idle time. Explicit options win over it.");
  connection.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
    if (text.empty()) return refuse_value(text, "names neither a file nor a secret");
    if (auto checked = check_document_reference(text); !checked) return checked;
    connection_ = text;
    options_->find("bootstrap-server")->required = false;
    return {};
  };
  Option& credentials = options.text(
      "credentials", "FILE|secret:ARN", &credentials_,
      "User and password for SCRAM, {\"username\":..,\"password\":..}, as the stream account's secret holds them.");
  credentials.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
    if (text.empty()) return refuse_value(text, "names neither a file nor a secret");
    credentials_ = text;
    return check_document_reference(text);
  };
  options.choice<AuthChoice>("auth", {{"auto", AuthChoice::kAuto}, {"msk-iam", AuthChoice::kMskIam}}, &auth_,
                             "msk-iam: log in to Amazon MSK with this program's AWS identity. auto: as the connection "
                             "document and the client's properties say.");
  options.text("kafka-region", "NAME", &region_, "Region of the cluster that --auth msk-iam logs in to.").default_text =
      "from --connection, the brokers' names or AWS_REGION";
}

Result<void> KafkaOptions::add_property(const std::string& key, const std::string& value, const OptionSource& source) {
  if (auto result = refuse_option_of_its_own(key); !result) return result;
  switch (source.kind) {
    case SourceKind::kFile:
      from_config_[key] = value;
      return {};
    case SourceKind::kEnvironment:
    case SourceKind::kCommandLine:
      if (is_secret_property(key) && !is_secret_reference(value)) return secret_in_sight(key, source);
      (source.kind == SourceKind::kEnvironment ? from_environment_ : from_command_line_)[key] = value;
      return {};
  }
  return {};
}

Result<void> KafkaOptions::add_property_file(const std::string& path) {
  auto text = read_small_file(path);
  if (!text) return text.error();
  auto properties = parse_properties(*text, path);
  if (!properties) return properties.error();
  from_property_file_.clear();  // a later source names another file
  for (Property& property : *properties) {
    if (property.key == "bootstrap.servers" || property.key == "metadata.broker.list") {
      stand_in("bootstrap-server", &bootstrap_servers_, property.value);
    } else if (property.key == "group.id") {
      stand_in("group", &group_, property.value);
    } else {
      from_property_file_[property.key] = std::move(property.value);
    }
  }
  return {};
}

void KafkaOptions::stand_in(std::string_view option_name, std::string* target, const std::string& value) {
  Option* option = options_->find(option_name);
  if (option == nullptr || option->given) return;
  *target = value;
  option->given = true;
}

Result<void> KafkaOptions::add_access(KafkaTarget& target, Log& log) const {
  KafkaAccess access;
  access.auth = auth_;
  access.region = region_;
  access.environment_region = [] { return aws::region_from(aws::process_environment); };
  if (!connection_.empty()) {
    const auto text = read_document(connection_);
    if (!text) return text.error().within("--connection");
    auto connection = parse_connection(*text, connection_);
    if (!connection) return connection.error();
    access.connection = *std::move(connection);
  }
  if (!credentials_.empty()) {
    const auto text = read_document(credentials_);
    if (!text) return text.error().within("--credentials");
    auto user = parse_user_password(*text, credentials_);
    if (!user) return user.error();
    access.credentials = *std::move(user);
  }
  std::vector<std::string> warnings;
  if (auto applied = apply_access(target, access, warnings); !applied) return applied;
  for (const std::string& warning : warnings) log.warning(warning);
  return {};
}

Result<KafkaTarget> KafkaOptions::target(Log& log) const {
  KafkaTarget target;
  target.bootstrap_servers = bootstrap_servers_;
  target.topic = topic_;
  target.group = group_;
  target.insecure_skip_tls_verification = insecure_skip_tls_verification_;
  for (const Properties* source : {&from_config_, &from_property_file_, &from_environment_, &from_command_line_}) {
    for (const auto& [key, value] : *source) target.properties[key] = value;
  }
  if (!password_file_.empty()) target.properties["sasl.password"] = "@file:" + password_file_;
  for (auto& [key, value] : target.properties) {
    if (is_secret_reference(value)) {
      auto secret = read_secret(value);
      if (!secret) return secret.error().within(key);
      value = *std::move(secret);
    }
  }
  if (auto added = add_access(target, log); !added) return added.error();
  for (const auto& [key, value] : target.properties) {
    if (is_secret_property(key)) log.redact(value);
  }
  return target;
}

}  // namespace culvert
