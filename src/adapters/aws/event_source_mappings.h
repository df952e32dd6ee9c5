// SPDX-License-Identifier: Apache-2.0
// What AWS Lambda says of the event source mappings that read Kafka topics.
//
// Flow    doctor -> [list_event_source_mappings] -> Service -> values.
// Owner   free function; the Service is the caller's.
// Time    one deadline for all pages.
// Bounds  kMappingsMost mappings; what comes after is not read.
// See     AWS Lambda API: ListEventSourceMappings.
#pragma once

#include <string>
#include <vector>

#include "adapters/aws/service.h"
#include "model/result.h"

namespace culvert::aws {

inline constexpr std::size_t kMappingsMost = 1'000;

struct EventSourceMapping {
  std::string uuid;
  std::string function_arn;
  std::vector<std::string> topics;
  std::string group;              // empty: Lambda's own
  std::string state;              // `Enabled`, `Disabled`, `Creating`, ..
  std::string reason;             // of the latest change of state
  std::string last_result;        // `OK`, `No records processed`, `PROBLEM: ..`; empty: none yet
  std::string starting_position;  // `TRIM_HORIZON`, `LATEST`, ..
};

// Of one function (name or ARN), or (empty) of all in the region.
// Error: kPermission if the identity may not ask; see Service::call().
[[nodiscard]] Result<std::vector<EventSourceMapping>> list_event_source_mappings(Service& service,
                                                                                 const std::string& function,
                                                                                 Service::Steady deadline);

}  // namespace culvert::aws
