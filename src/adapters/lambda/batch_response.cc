// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/batch_response.h"

#include <boost/json.hpp>
#include <optional>

namespace culvert::lambda {

namespace {

namespace json = boost::json;

BatchResponse malformed(std::string why) { return BatchResponse{{}, std::move(why)}; }

std::optional<ItemFailure> parse_item(const json::value& item) {
  const json::object* object = item.if_object();
  const json::value* identifier = object != nullptr ? object->if_contains("itemIdentifier") : nullptr;
  const json::object* fields = identifier != nullptr ? identifier->if_object() : nullptr;
  if (fields == nullptr) return std::nullopt;
  const json::value* partition = fields->if_contains("partition");
  const json::value* offset = fields->if_contains("offset");
  if (partition == nullptr || !partition->is_string() || partition->get_string().empty()) return std::nullopt;
  if (offset == nullptr || !offset->is_int64()) return std::nullopt;
  return ItemFailure{std::string(partition->get_string()), offset->get_int64()};
}

}  // namespace

BatchResponse parse_batch_response(std::string_view body) {
  if (body.empty()) return {};
  json::error_code error;
  const json::value value = json::parse(json::string_view(body.data(), body.size()), error);
  if (error) return malformed("the response is not JSON");
  if (value.is_null()) return {};
  if (!value.is_object()) return malformed("the response is neither an object nor null");
  const json::value* list = value.get_object().if_contains("batchItemFailures");
  if (list == nullptr || list->is_null()) return {};
  if (!list->is_array()) return malformed("batchItemFailures is not a list");
  BatchResponse response;
  for (const json::value& item : list->get_array()) {
    auto failure = parse_item(item);
    if (!failure) return malformed(R"(an entry of batchItemFailures is not {"itemIdentifier":{"partition","offset"}})");
    response.failures.push_back(*std::move(failure));
  }
  return response;
}

}  // namespace culvert::lambda
