// SPDX-License-Identifier: Apache-2.0
// The hops that concern this machine's standing with AWS: clock, credentials, hand-over, event source mapping.
//
// Flow    options -> [.._finding] -> hops.
// Owner   free functions, on the command's thread.
// Time    bounded by --timeout each.
// Bounds  one request each.
// See     docs/doctor.md, adapters/aws.
#pragma once

#include <chrono>
#include <optional>
#include <span>
#include <string>

#include "adapters/aws/event_source_mappings.h"
#include "adapters/clock/kernel_time.h"
#include "adapters/http/message.h"
#include "app/cli/connection.h"
#include "app/doctor/hops.h"
#include "model/time.h"

namespace culvert {

// What another clock says of ours.
struct ClockComparison {
  std::string by;                   // `http://..`
  std::chrono::milliseconds ahead;  // ours minus theirs; negative: behind
};

// Signatures are refused when clocks differ by five minutes, and certificates are judged by ours.
[[nodiscard]] Finding clock_finding(const std::optional<ClockComparison>& comparison, const KernelTime& kernel);

// Asks an HTTP server, which need not like the question, for its time; nullopt: it does not answer, or without a Date.
[[nodiscard]] std::optional<ClockComparison> compare_clock(const http::Endpoint& endpoint, Millis timeout,
                                                           const Clock& clock);

// Whether AWS credentials can be had, and which.
[[nodiscard]] Finding credentials_finding(const std::string& region, Millis timeout);

// The hand-over that a document or secret holds, as it was read.
[[nodiscard]] Finding connection_finding(const Connection& connection);

// Whether a function reads `topic`, and how it fares.  `function`: the one that must; empty: any.
[[nodiscard]] Finding mapping_finding(std::span<const aws::EventSourceMapping> mappings, const std::string& topic,
                                      const std::string& group, const std::string& function);
// The same, after asking Lambda.  Where this identity may not ask, the hop is skipped.
[[nodiscard]] Finding ask_mappings(const std::string& region, const std::string& topic, const std::string& group,
                                   const std::string& function, Millis timeout);

}  // namespace culvert
