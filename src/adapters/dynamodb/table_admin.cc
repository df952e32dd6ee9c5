// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <boost/json.hpp>
#include <thread>
#include <utility>

#include "adapters/dynamodb/dynamodb_table.h"

namespace culvert::dynamodb {

namespace {

constexpr std::chrono::seconds kCreationMost{60};
constexpr std::chrono::milliseconds kCreationPoll{200};

std::string text_of(const boost::json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

struct Key {
  std::string name;
  std::string type;
};

// The HASH or RANGE key of a table's description; empty names where it has none.
Key key_of(const boost::json::object& table, std::string_view role) {
  Key key;
  const auto* schema = table.if_contains("KeySchema");
  if (schema == nullptr || !schema->is_array()) return key;
  for (const auto& entry : schema->get_array()) {
    if (entry.is_object() && text_of(entry.get_object(), "KeyType") == role) {
      key.name = text_of(entry.get_object(), "AttributeName");
    }
  }
  const auto* attributes = table.if_contains("AttributeDefinitions");
  if (attributes == nullptr || !attributes->is_array()) return key;
  for (const auto& entry : attributes->get_array()) {
    if (entry.is_object() && text_of(entry.get_object(), "AttributeName") == key.name) {
      key.type = text_of(entry.get_object(), "AttributeType");
    }
  }
  return key;
}

std::string key_text(const Key& key) { return key.name.empty() ? "none" : fmt::format("{} ({})", key.name, key.type); }

}  // namespace

std::array<DynamoDbTable::KeySchema, 3> DynamoDbTable::schemas(std::optional<KeyType> key_type) const {
  const std::string_view device = !key_type ? "" : *key_type == KeyType::kNumber ? "N" : "S";
  return {{{names_.items, "device_id", device, "window_start", "S"},
           {names_.checkpoints, "stream", "S", "partition", "N"},
           {names_.dead_letters, "position", "S", "offset", "N"}}};
}

Result<std::optional<DynamoDbTable::JsonObject>> DynamoDbTable::description(const std::string& table) {
  const ApiResult result = call("DescribeTable", table, fmt::format(R"({{"TableName":"{}"}})", table));
  if (result.type == "ResourceNotFoundException") return std::optional<JsonObject>();
  if (result.answer != Answer::kOk) return result.error;
  boost::json::error_code failed;
  auto value = boost::json::parse(result.body, failed);
  auto* object = failed ? nullptr : value.if_object();
  auto* description = object == nullptr ? nullptr : object->if_contains("Table");
  if (description == nullptr || !description->is_object()) {
    return Error::retriable_error(ErrorKind::kUnavailable,
                                  fmt::format("table '{}': DescribeTable: a response that cannot be read", table));
  }
  return std::optional<JsonObject>(std::move(description->get_object()));
}

Result<std::optional<TableSize>> DynamoDbTable::size_estimate() {
  const auto table = description(names_.items);
  if (!table) {
    if (table.error().kind == ErrorKind::kPermission) return std::optional<TableSize>();
    return table.error();
  }
  if (!*table) return std::optional<TableSize>();
  const auto number = [&](const char* name) -> std::int64_t {
    const auto* found = (*table)->if_contains(name);
    return found != nullptr && found->is_int64() ? found->get_int64() : 0;
  };
  return std::optional(TableSize{number("ItemCount"), number("TableSizeBytes")});
}

Result<DynamoDbTable::TableState> DynamoDbTable::describe(const KeySchema& schema) {
  const auto described = description(schema.table);
  if (!described) return described.error();
  if (!*described) return TableState::kMissing;
  const JsonObject& table = **described;
  const Key hash = key_of(table, "HASH");
  const Key range = key_of(table, "RANGE");
  const bool known_type = hash.type == "N" || hash.type == "S";
  const bool right_type = schema.hash_type.empty() ? known_type : hash.type == schema.hash_type;
  if (hash.name == schema.hash && known_type && !right_type && schema.hash == "device_id") {
    const bool number = hash.type == "N";
    return Error::fatal(ErrorKind::kConfiguration,
                        fmt::format("table '{}': device_id is of type {}, which is --key-type {} (choose that, or "
                                    "another table)",
                                    schema.table, hash.type, number ? "number" : "string"));
  }
  if (hash.name != schema.hash || !right_type || range.name != schema.range || range.type != schema.range_type) {
    return Error::fatal(
        ErrorKind::kConfiguration,
        fmt::format("table '{}': its partition key is {} and its sort key is {}, but must be {} ({}) and "
                    "{} ({}) (make it with infra/modules/aggregate_table, or --create-table)",
                    schema.table, key_text(hash), key_text(range), schema.hash,
                    schema.hash_type.empty() ? "N or S" : schema.hash_type, schema.range, schema.range_type));
  }
  const std::string status = text_of(table, "TableStatus");
  return status == "ACTIVE" || status == "UPDATING" ? TableState::kReady : TableState::kNotReady;
}

Result<void> DynamoDbTable::check_tables(std::optional<KeyType> key_type) {
  std::string missing;
  for (const KeySchema& schema : schemas(key_type)) {
    const auto state = describe(schema);
    if (!state) {
      if (state.error().kind == ErrorKind::kPermission) continue;  // see the header
      return state.error();
    }
    if (*state == TableState::kMissing) missing += fmt::format("{}'{}'", missing.empty() ? "" : ", ", schema.table);
    if (*state == TableState::kNotReady) {
      return Error::retriable_error(ErrorKind::kTryAgain,
                                    fmt::format("table '{}': being created or deleted: try again", schema.table));
    }
  }
  if (missing.empty()) return {};
  return Error::fatal(ErrorKind::kConfiguration,
                      fmt::format("table {}: not found in {} at {} (create it with infra/modules/aggregate_table, or "
                                  "--create-table)",
                                  missing, options_.region, api_->endpoint().authority()));
}

Result<void> DynamoDbTable::check_writable(KeyType key_type) {
  for (const KeySchema& schema : schemas(key_type)) {
    const auto value = [](std::string_view type) { return type == "N" ? "0" : "culvert-doctor"; };
    const ApiResult result =
        call("PutItem", schema.table,
             fmt::format(R"json({{"TableName":"{0}","Item":{{"{1}":{{"{2}":"{3}"}},"{4}":{{"{5}":"{6}"}}}},)json"
                         R"json("ConditionExpression":"attribute_exists(#key) AND attribute_not_exists(#key)",)json"
                         R"json("ExpressionAttributeNames":{{"#key":"{1}"}}}})json",
                         schema.table, schema.hash, schema.hash_type, value(schema.hash_type), schema.range,
                         schema.range_type, value(schema.range_type)));
    if (result.answer == Answer::kConditionFailed) continue;
    if (result.answer != Answer::kOk) return result.error;
    return Error::fatal(ErrorKind::kInternal,
                        fmt::format("table '{}': a condition that cannot hold was accepted", schema.table));
  }
  return {};
}

Result<void> DynamoDbTable::create_table(const KeySchema& schema) {
  const std::string body = fmt::format(
      R"({{"TableName":"{0}","BillingMode":"PAY_PER_REQUEST",)"
      R"("AttributeDefinitions":[{{"AttributeName":"{1}","AttributeType":"{2}"}},)"
      R"({{"AttributeName":"{3}","AttributeType":"{4}"}}],)"
      R"("KeySchema":[{{"AttributeName":"{1}","KeyType":"HASH"}},{{"AttributeName":"{3}","KeyType":"RANGE"}}]}})",
      schema.table, schema.hash, schema.hash_type, schema.range, schema.range_type);
  const ApiResult result = call("CreateTable", schema.table, body);
  // In use: somebody else makes it at the same moment, or our own first attempt did.
  if (result.answer == Answer::kOk || result.type == "ResourceInUseException") return {};
  return result.error;
}

Result<void> DynamoDbTable::enable_expiry() {
  const ApiResult result = call(
      "UpdateTimeToLive", names_.items,
      fmt::format(R"({{"TableName":"{}","TimeToLiveSpecification":{{"Enabled":true,"AttributeName":"expires_at"}}}})",
                  names_.items));
  if (result.answer == Answer::kOk) return {};
  // Refused where it is on already.
  if (result.type == "ValidationException" && result.error.message.find("already enabled") != std::string::npos) {
    return {};
  }
  return result.error;
}

Result<void> DynamoDbTable::create_tables(KeyType key_type) {
  for (const KeySchema& schema : schemas(key_type)) {
    auto state = describe(schema);
    if (!state) return state.error();
    if (*state == TableState::kMissing) {
      if (auto created = create_table(schema); !created) return created;
    }
    const auto until = std::chrono::steady_clock::now() + kCreationMost;
    while (*state != TableState::kReady) {
      if (std::chrono::steady_clock::now() >= until) {
        return Error::retriable_error(
            ErrorKind::kTryAgain, fmt::format("table '{}': not ready {} s after its creation: try again", schema.table,
                                              kCreationMost.count()));
      }
      std::this_thread::sleep_for(kCreationPoll);
      state = describe(schema);
      if (!state) return state.error();
    }
  }
  if (format_.retention) return enable_expiry();
  return {};
}

}  // namespace culvert::dynamodb
