// SPDX-License-Identifier: Apache-2.0
// Where a cluster's brokers are, as Amazon MSK says.
//
// Flow    MSK ListNodes, page by page -> [list_nodes] -> plan.h.
// Owner   free functions.
// Time    until the deadline, over all pages.
// Bounds  pages_most pages; a page that leads back to itself is an error.
// See     Amazon MSK API reference, ListNodes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "adapters/aws/service.h"
#include "adapters/broker_addresses/plan.h"
#include "model/result.h"

namespace culvert::broker_addresses {

inline constexpr int kPagesMost = 50;

// One page: its brokers (controllers are left out), and how to ask for the next; empty: it is the last.
// Error: kUnavailable, retriable: it is not what ListNodes answers.
struct NodePage {
  std::vector<Node> nodes;
  std::string next_token;
};
[[nodiscard]] Result<NodePage> parse_node_page(std::string_view text);

[[nodiscard]] Result<std::vector<Node>> list_nodes(aws::Service& kafka, const std::string& cluster_arn,
                                                   aws::Service::Steady deadline);

}  // namespace culvert::broker_addresses
