// SPDX-License-Identifier: Apache-2.0
#include "app/site/board_about.h"

#include "app/cli/visible_text.h"
#include "app/options/values.h"
#include "app/site/build_info.h"

namespace culvert {

namespace {

void add_definition(dashboard::About& about, const Definition& definition) {
  const auto add = [&](std::string name, std::string value) {
    about.settings.push_back({"Windows", std::move(name), std::move(value)});
  };
  add("kind", std::string(window_kind_name(definition.kind)));
  add("window", format_duration(definition.size));
  add("advance", format_duration(definition.advance));
  add("out-of-orderness", format_duration(definition.out_of_orderness));
  add("allowed-lateness", format_duration(definition.allowed_lateness));
  add("max-future", format_duration(definition.max_future));
  add("device field", visible_text(definition.fields.device));
  add("timestamp field", visible_text(definition.fields.timestamp));
  add("value field", visible_text(definition.fields.value));
  add("devices are", definition.key_type == KeyType::kNumber ? "numbers" : "strings");
  add("record-bytes-max", format_bytes(definition.record_bytes_max));
}

}  // namespace

dashboard::About board_about(const std::string& table, const Definition& definition) {
  dashboard::About about;
  about.table = table;
  about.value_name = visible_text(definition.fields.value);
  about.key_type = definition.key_type;
  about.window = definition.size;
  about.advance = definition.advance;
  about.settings.push_back({"Table", "table", table});
  add_definition(about, definition);
  about.versions = build_info();
  return about;
}

void add_kafka(dashboard::About& about, const KafkaTarget& target) {
  about.topic = target.topic;
  about.group = target.group;
  about.settings.push_back({"Kafka", "bootstrap-server", target.bootstrap_servers});
  about.settings.push_back({"Kafka", "topic", target.topic});
  if (!target.group.empty()) about.settings.push_back({"Kafka", "group", target.group});
  for (const auto& [name, value] : target.properties) {
    about.settings.push_back({"Kafka", name, is_secret_property(name) ? "(hidden)" : visible_text(value)});
  }
  if (target.insecure_skip_tls_verification) {
    about.settings.push_back({"Kafka", "insecure-skip-tls-verification", "true"});
  }
}

void add_consumer(dashboard::About& about, const ConsumeSettings& settings) {
  const auto add = [&](std::string name, std::string value) {
    about.settings.push_back({"Consumer", std::move(name), std::move(value)});
  };
  add("generation", std::to_string(settings.member.generation));
  add("flush-interval", format_duration(settings.flush_interval));
  add("emit", settings.member.pipeline.emission == Emission::kEarly ? "early" : "final");
  add("unwritten contributions, at most", format_bytes(static_cast<std::int64_t>(settings.member.memory_limit_bytes)));
  add("fetched ahead, at most", format_bytes(settings.consumer.fetch_bytes_max));
}

}  // namespace culvert
