// SPDX-License-Identifier: Apache-2.0
// The targets of load balancers: which there are, and how they are changed.
//
// Flow    reconciler -> [describe, register, deregister] -> Elastic Load Balancing's query interface.
// Owner   free functions.
// Time    until the deadline of each call.
// Bounds  answers of depth_most nested elements, because the parser takes stack for each.
// See     Elastic Load Balancing API reference, version 2015-12-01.  Registering what is registered and deregistering
//         what is not changes nothing, so each may be repeated.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/aws/service.h"
#include "adapters/broker_addresses/plan.h"
#include "model/result.h"

namespace culvert::broker_addresses {

inline constexpr int kDepthMost = 32;

// Error: kUnavailable, retriable: it is not what DescribeTargetHealth answers.
[[nodiscard]] Result<std::vector<Target>> parse_target_health(const std::string& xml);

[[nodiscard]] Result<std::vector<Target>> describe_targets(aws::Service& balancing, const std::string& target_group_arn,
                                                           aws::Service::Steady deadline);

enum class TargetChange : std::uint8_t { kRegister, kDeregister };
[[nodiscard]] Result<void> change_targets(aws::Service& balancing, TargetChange change,
                                          const std::string& target_group_arn, std::span<const Target> targets,
                                          aws::Service::Steady deadline);

}  // namespace culvert::broker_addresses
