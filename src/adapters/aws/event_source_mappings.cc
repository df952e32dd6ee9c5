// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/event_source_mappings.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "adapters/aws/digest.h"

namespace culvert::aws {

namespace {

using boost::json::object;

std::string text_of(const object& from, const char* name) {
  const auto* value = from.if_contains(name);
  const auto* text = value == nullptr ? nullptr : value->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

std::string group_of(const object& mapping) {
  for (const char* kind : {"SelfManagedKafkaEventSourceConfig", "AmazonManagedKafkaEventSourceConfig"}) {
    const auto* config = mapping.if_contains(kind);
    if (config != nullptr && config->is_object()) return text_of(config->get_object(), "ConsumerGroupId");
  }
  return {};
}

EventSourceMapping read_mapping(const object& from) {
  EventSourceMapping mapping;
  mapping.uuid = text_of(from, "UUID");
  mapping.function_arn = text_of(from, "FunctionArn");
  mapping.group = group_of(from);
  mapping.state = text_of(from, "State");
  mapping.reason = text_of(from, "StateTransitionReason");
  mapping.last_result = text_of(from, "LastProcessingResult");
  mapping.starting_position = text_of(from, "StartingPosition");
  const auto* topics = from.if_contains("Topics");
  if (topics != nullptr && topics->is_array()) {
    for (const auto& topic : topics->get_array()) {
      if (topic.is_string()) mapping.topics.emplace_back(topic.get_string().data(), topic.get_string().size());
    }
  }
  return mapping;
}

}  // namespace

Result<std::vector<EventSourceMapping>> list_event_source_mappings(Service& service, const std::string& function,
                                                                   Service::Steady deadline) {
  std::vector<EventSourceMapping> mappings;
  std::string marker;
  do {
    http::Request request;
    request.target = "/2015-03-31/event-source-mappings/?MaxItems=100";
    if (!function.empty()) request.target += "&FunctionName=" + uri_encode(function);
    if (!marker.empty()) request.target += "&Marker=" + uri_encode(marker);
    const auto response = service.call(request, deadline);
    if (!response) return response.error().within("event source mappings");
    if (response->status < 200 || response->status >= 300) {
      const Refusal refusal = read_refusal(*response);
      const bool forbidden = response->status == 401 || response->status == 403;
      return Error::fatal(forbidden ? ErrorKind::kPermission : ErrorKind::kUnavailable,
                          fmt::format("event source mappings: {}", refusal.text()));
    }
    boost::json::error_code failed;
    const auto value = boost::json::parse(response->body, failed);
    const auto* page = failed ? nullptr : value.if_object();
    const auto* list = page == nullptr ? nullptr : page->if_contains("EventSourceMappings");
    if (list == nullptr || !list->is_array()) {
      return Error::retriable_error(ErrorKind::kUnavailable, "event source mappings: a response that is not Lambda's");
    }
    for (const auto& mapping : list->get_array()) {
      if (mapping.is_object()) mappings.push_back(read_mapping(mapping.get_object()));
    }
    marker = text_of(*page, "NextMarker");
  } while (!marker.empty() && mappings.size() < kMappingsMost);
  return mappings;
}

}  // namespace culvert::aws
