// SPDX-License-Identifier: Apache-2.0
#include "fakes/dynamodb_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <optional>
#include <utility>

#include "fakes/dynamodb_expression.h"
#include "model/check.h"

namespace culvert::fakes {

namespace {

namespace json = boost::json;

constexpr std::size_t kItemBytesMost = std::size_t{400} * 1024;

std::string text_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value == nullptr || !value->is_string() ? "" : std::string(value->get_string());
}

const json::object* object_of(const json::object& object, const char* name) {
  const auto* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

StoreReply ok(const json::object& body) { return {200, json::serialize(body)}; }

StoreReply invalid(std::string_view message) { return error_reply(400, "ValidationException", message); }

std::size_t significant_digits(std::string_view number) {
  std::string digits;
  for (const char c : number.substr(0, number.find_first_of("eE"))) {
    if (c >= '0' && c <= '9' && (c != '0' || !digits.empty())) digits += c;
  }
  while (!digits.empty() && digits.back() == '0') digits.pop_back();
  return digits.size();
}

// Adds up an attribute's bytes as DynamoDB counts them, roughly; false if a number has too many digits.
bool measure(const json::value& attribute, std::size_t& bytes) {
  const auto* object = attribute.if_object();
  if (object == nullptr || object->size() != 1) return false;
  const auto& [type, value] = *object->begin();
  if (type == "N") {
    if (!value.is_string() || significant_digits(std::string_view(value.get_string())) > 38) return false;
    bytes += value.get_string().size() / 2 + 1;
    return true;
  }
  if (type == "B" && value.is_string()) return bytes += value.get_string().size() / 4 * 3, true;
  if (type == "S" && value.is_string()) return bytes += value.get_string().size(), true;
  if (type == "L" && value.is_array()) {
    return std::all_of(value.get_array().begin(), value.get_array().end(),
                       [&](const json::value& v) { return measure(v, bytes); });
  }
  if (type == "M" && value.is_object()) {
    return std::all_of(value.get_object().begin(), value.get_object().end(), [&](const auto& entry) {
      bytes += entry.key().size();
      return measure(entry.value(), bytes);
    });
  }
  return type == "BOOL" || type == "NULL";
}

std::optional<std::size_t> item_bytes(const json::object& item) {
  std::size_t bytes = 0;
  for (const auto& entry : item) {
    bytes += entry.key().size();
    if (!measure(entry.value(), bytes)) return std::nullopt;
  }
  return bytes;
}

json::object project(const json::object& item, const json::object& request) {
  const std::string projection = text_of(request, "ProjectionExpression");
  if (projection.empty()) return item;
  const auto* names = object_of(request, "ExpressionAttributeNames");
  json::object out;
  for (std::size_t at = 0; at < projection.size();) {
    std::string name = projection.substr(at, projection.find(',', at) - at);
    at += name.size() + 1;
    if (name.starts_with('#') && names != nullptr) name = text_of(*names, name.c_str());
    if (const auto* value = item.if_contains(name)) out[name] = *value;
  }
  return out;
}

}  // namespace

StoreReply error_reply(int status, std::string_view type, std::string_view message) {
  json::object body;
  body["__type"] = fmt::format("com.amazonaws.dynamodb.v20120810#{}", type);
  body["message"] = json::string_view(message.data(), message.size());
  return {status, json::serialize(body)};
}

bool DynamoDbStore::KeyLess::operator()(const json::value& a, const json::value& b) const {
  const auto order = compare_attributes(a, b);
  CULVERT_CHECK(order.has_value(), "keys of a table are of one type");
  return *order < 0;
}

std::string DynamoDbStore::key_error(const Table& table, const json::object& key) {
  for (const auto& [name, type] : {std::pair(table.hash, table.hash_type), {table.range, table.range_type}}) {
    const auto* attribute = object_of(key, name.c_str());
    if (attribute == nullptr) return fmt::format("One of the required keys was not given a value: {}", name);
    const auto* value = attribute->if_contains(type);
    if (value == nullptr || !value->is_string()) return fmt::format("Type mismatch for key {}", name);
    if (type == "S" && value->get_string().empty()) return fmt::format("Empty key {}", name);
  }
  return {};
}

const json::object* DynamoDbStore::find(const Table& table, const json::object& key) const {
  const auto hash = table.items.find(key.at(table.hash));
  if (hash == table.items.end()) return nullptr;
  const auto range = hash->second.find(key.at(table.range));
  return range == hash->second.end() ? nullptr : &range->second;
}

StoreReply DynamoDbStore::put(Table& table, const json::object& request) {
  const auto* item = object_of(request, "Item");
  if (item == nullptr) return invalid("no item");
  if (const auto error = key_error(table, *item); !error.empty()) return invalid(error);
  const auto bytes = item_bytes(*item);
  if (!bytes)
    return invalid("Attempting to store more than 38 significant digits in a Number, or a malformed attribute");
  if (*bytes > kItemBytesMost) return invalid("Item size has exceeded the maximum allowed size");
  const auto* before = find(table, *item);
  if (const std::string condition = text_of(request, "ConditionExpression"); !condition.empty()) {
    const ExpressionContext context{object_of(request, "ExpressionAttributeNames"),
                                    object_of(request, "ExpressionAttributeValues")};
    const auto satisfied = holds(condition, context, before);
    if (!satisfied) return invalid(satisfied.error().message);
    if (!*satisfied) {
      auto reply = error_reply(400, "ConditionalCheckFailedException", "The conditional request failed");
      if (before != nullptr && text_of(request, "ReturnValuesOnConditionCheckFailure") == "ALL_OLD") {
        reply.body.pop_back();
        reply.body += ",\"Item\":" + json::serialize(*before) + "}";
      }
      return reply;
    }
  }
  table.items[item->at(table.hash)][item->at(table.range)] = *item;
  return {};
}

StoreReply DynamoDbStore::get(Table& table, const json::object& request) {
  const auto* key = object_of(request, "Key");
  if (key == nullptr) return invalid("no key");
  if (const auto error = key_error(table, *key); !error.empty()) return invalid(error);
  json::object body;
  if (const auto* item = find(table, *key)) body["Item"] = *item;
  return ok(body);
}

StoreReply DynamoDbStore::batch_get(const json::object& request) {
  const auto* wanted = object_of(request, "RequestItems");
  if (wanted == nullptr || wanted->size() != 1) return invalid("one table is expected");
  const std::string name(wanted->begin()->key());
  const auto at = tables_.find(name);
  if (at == tables_.end()) return error_reply(400, "ResourceNotFoundException", "Requested resource not found");
  const auto& keys = wanted->begin()->value().at("Keys").as_array();
  if (keys.size() > 100) return invalid("Too many items requested for the BatchGetItem call");
  json::array found;
  json::array rest;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const auto& key = keys[i].as_object();
    if (const auto error = key_error(at->second, key); !error.empty()) return invalid(error);
    if (std::find(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(i), keys[i]) !=
        keys.begin() + static_cast<std::ptrdiff_t>(i)) {
      return invalid("Provided list of item keys contains duplicates");
    }
    if (i >= batch_keys_most) {
      rest.push_back(keys[i]);
    } else if (const auto* item = find(at->second, key)) {
      found.push_back(*item);
    }
  }
  json::object body{{"Responses", {{name, found}}}, {"UnprocessedKeys", json::object()}};
  if (!rest.empty()) body["UnprocessedKeys"] = json::object{{name, {{"ConsistentRead", true}, {"Keys", rest}}}};
  return ok(body);
}

StoreReply DynamoDbStore::read_pages(Table& table, const json::object& request, bool query) {
  const ExpressionContext context{object_of(request, "ExpressionAttributeNames"),
                                  object_of(request, "ExpressionAttributeValues")};
  const std::string key_condition = text_of(request, "KeyConditionExpression");
  const std::string filter = text_of(request, "FilterExpression");
  if (query == key_condition.empty()) return invalid("a Query has a key condition and a Scan has none");
  const auto* start = object_of(request, "ExclusiveStartKey");
  const auto segments = request.if_contains("TotalSegments") ? request.at("TotalSegments").to_number<std::size_t>() : 1;
  const auto segment = request.if_contains("Segment") ? request.at("Segment").to_number<std::size_t>() : 0;
  bool started = start == nullptr;
  std::size_t bytes = 0;
  json::array items;
  json::object body;
  for (const auto& [hash, range] : table.items) {
    if (std::hash<std::string>{}(json::serialize(hash)) % segments != segment) continue;
    for (const auto& [sort, item] : range) {
      if (!started) {
        started = same_attribute(hash, start->at(table.hash)) && same_attribute(sort, start->at(table.range));
        continue;
      }
      const auto wanted = key_condition.empty() ? Result<bool>(true) : holds(key_condition, context, &item);
      if (!wanted) return invalid(wanted.error().message);
      if (!*wanted) continue;
      const auto kept = filter.empty() ? Result<bool>(true) : holds(filter, context, &item);
      if (!kept) return invalid(kept.error().message);
      if (*kept) items.push_back(project(item, request));
      bytes += item_bytes(item).value_or(0);
      if (bytes >= page_bytes) {
        body["LastEvaluatedKey"] = json::object{{table.hash, hash}, {table.range, sort}};
        body["Items"] = std::move(items);
        return ok(body);
      }
    }
  }
  body["Items"] = std::move(items);
  return ok(body);
}

void DynamoDbStore::create(const std::string& name, const json::object& request) {
  Table table;
  for (const auto& key : request.at("KeySchema").as_array()) {
    const std::string attribute(key.at("AttributeName").as_string());
    (key.at("KeyType").as_string() == "HASH" ? table.hash : table.range) = attribute;
    for (const auto& definition : request.at("AttributeDefinitions").as_array()) {
      if (definition.at("AttributeName").as_string() != attribute) continue;
      (key.at("KeyType").as_string() == "HASH" ? table.hash_type : table.range_type) =
          std::string(definition.at("AttributeType").as_string());
    }
  }
  table.description = {{"TableName", name},
                       {"KeySchema", request.at("KeySchema")},
                       {"AttributeDefinitions", request.at("AttributeDefinitions")}};
  table.creating = creating_calls;
  tables_.insert_or_assign(name, std::move(table));
}

StoreReply DynamoDbStore::create_table(const json::object& request) {
  const std::string name = text_of(request, "TableName");
  if (tables_.contains(name)) return error_reply(400, "ResourceInUseException", "Table already exists: " + name);
  if (text_of(request, "BillingMode") != "PAY_PER_REQUEST") return invalid("No provisioned throughput specified");
  create(name, request);
  return ok({{"TableDescription", tables_.at(name).description}});
}

StoreReply DynamoDbStore::describe(Table& table) {
  json::object description = table.description;
  description["TableStatus"] = table.creating > 0 ? "CREATING" : "ACTIVE";
  if (table.creating > 0) --table.creating;
  std::size_t items = 0;
  std::size_t bytes = 0;
  for (const auto& [hash, row] : table.items) {
    for (const auto& [range, item] : row) {
      ++items;
      bytes += json::serialize(item).size();
    }
  }
  description["ItemCount"] = items;
  description["TableSizeBytes"] = bytes;
  return ok({{"Table", description}});
}

StoreReply DynamoDbStore::run(const std::string& operation, const json::object& request) {
  if (operation == "CreateTable") return create_table(request);
  if (operation == "BatchGetItem") return batch_get(request);
  const std::string name = text_of(request, "TableName");
  const auto at = tables_.find(name);
  if (at == tables_.end()) {
    return error_reply(400, "ResourceNotFoundException", "Requested resource not found: Table: " + name + " not found");
  }
  Table& table = at->second;
  if (operation == "DescribeTable") return describe(table);
  if (operation == "PutItem") return put(table, request);
  if (operation == "GetItem") return get(table, request);
  if (operation == "Query") return read_pages(table, request, true);
  if (operation == "Scan") return read_pages(table, request, false);
  if (operation == "UpdateTimeToLive") {
    const std::string wanted = text_of(request.at("TimeToLiveSpecification").as_object(), "AttributeName");
    if (table.time_to_live == wanted) return invalid("TimeToLive is already enabled");
    table.time_to_live = wanted;
    return {};
  }
  return error_reply(400, "UnknownOperationException", operation);
}

std::vector<json::object> DynamoDbStore::items(const std::string& name) const {
  std::vector<json::object> all;
  const auto at = tables_.find(name);
  if (at == tables_.end()) return all;
  for (const auto& [hash, range] : at->second.items) {
    for (const auto& [sort, item] : range) all.push_back(item);
  }
  return all;
}

std::string DynamoDbStore::time_to_live(const std::string& name) const { return tables_.at(name).time_to_live; }

void DynamoDbStore::put_raw(const std::string& name, json::object item) {
  Table& table = tables_.at(name);
  auto& slot = table.items[item.at(table.hash)][item.at(table.range)];
  slot = std::move(item);
}

void DynamoDbStore::remove(const std::string& name, const json::object& key) {
  Table& table = tables_.at(name);
  table.items[key.at(table.hash)].erase(key.at(table.range));
}

}  // namespace culvert::fakes
