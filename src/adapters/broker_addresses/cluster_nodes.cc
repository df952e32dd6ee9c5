// SPDX-License-Identifier: Apache-2.0
#include "adapters/broker_addresses/cluster_nodes.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <optional>

#include "adapters/aws/digest.h"

namespace culvert::broker_addresses {

namespace {

namespace json = boost::json;

constexpr double kBrokerIdMost = 1e6;

Error unreadable(std::string_view what) {
  return Error::retriable_error(ErrorKind::kUnavailable, fmt::format("Amazon MSK's answer to ListNodes: {}", what));
}

std::string text_of(const json::object& object, const char* name) {
  const json::value* found = object.if_contains(name);
  if (found == nullptr || !found->is_string()) return {};
  return std::string(found->get_string().data(), found->get_string().size());
}

// A number that the API calls a double.
std::optional<std::int32_t> broker_id(const json::object& broker) {
  const json::value* found = broker.if_contains("brokerId");
  if (found == nullptr || !found->is_number()) return std::nullopt;
  const double id = found->to_number<double>();
  if (!(id >= 1 && id < kBrokerIdMost)) return std::nullopt;
  const auto whole = static_cast<std::int32_t>(id);
  return static_cast<double>(whole) == id ? std::optional(whole) : std::nullopt;
}

}  // namespace

Result<NodePage> parse_node_page(std::string_view text) {
  json::error_code failed;
  const auto value = json::parse(json::string_view(text.data(), text.size()), failed);
  const json::object* page = failed ? nullptr : value.if_object();
  const json::value* list = page == nullptr ? nullptr : page->if_contains("nodeInfoList");
  if (list == nullptr || !list->is_array()) return unreadable("has no nodeInfoList");
  NodePage result;
  result.next_token = text_of(*page, "nextToken");
  for (const json::value& entry : list->get_array()) {
    const json::object* node = entry.if_object();
    const json::value* broker = node == nullptr ? nullptr : node->if_contains("brokerNodeInfo");
    if (broker == nullptr || broker->is_null()) continue;  // a controller
    if (!broker->is_object()) return unreadable("a brokerNodeInfo is no object");
    const json::object& info = broker->get_object();
    const auto id = broker_id(info);
    if (!id) return unreadable("a broker without a brokerId");
    Node& made = result.nodes.emplace_back();
    made.id = *id;
    made.address = text_of(info, "clientVpcIpAddress");
    const json::value* hosts = info.if_contains("endpoints");
    if (hosts == nullptr || !hosts->is_array()) continue;
    for (const json::value& host : hosts->get_array()) {
      if (host.is_string()) made.hosts.emplace_back(host.get_string().data(), host.get_string().size());
    }
  }
  return result;
}

Result<std::vector<Node>> list_nodes(aws::Service& kafka, const std::string& cluster_arn,
                                     aws::Service::Steady deadline) {
  std::vector<Node> nodes;
  std::string token;
  for (int page = 0; page < kPagesMost; ++page) {
    http::Request request;
    request.target = fmt::format("/v1/clusters/{}/nodes?maxResults=100", aws::uri_encode(cluster_arn));
    if (!token.empty()) request.target += "&nextToken=" + aws::uri_encode(token);
    const auto response = kafka.call(request, deadline);
    if (!response) return response.error();
    if (response->status != 200) {
      return Error::fatal(ErrorKind::kPermission,
                          fmt::format("kafka:ListNodes of {}: {} (the function's role must allow it; was the cluster "
                                      "made anew? then apply the stream root)",
                                      cluster_arn, aws::read_refusal(*response).text()));
    }
    auto read = parse_node_page(response->body);
    if (!read) return read.error();
    nodes.insert(nodes.end(), read->nodes.begin(), read->nodes.end());
    if (read->next_token.empty()) return nodes;
    if (read->next_token == token) return unreadable("a page leads back to itself");
    token = std::move(read->next_token);
  }
  return unreadable(fmt::format("more than {} pages", kPagesMost));
}

}  // namespace culvert::broker_addresses
