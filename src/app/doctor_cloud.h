// SPDX-License-Identifier: Apache-2.0
// The hops that concern this machine's standing with AWS: clock, credentials.
//
// Flow    options -> [.._finding] -> hops.
// Owner   free functions, on the command's thread.
// Time    bounded by --timeout each.
// Bounds  one request each.
// See     docs/doctor.md, adapters/aws.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "adapters/clock/kernel_time.h"
#include "app/doctor_hops.h"
#include "model/time.h"

namespace culvert {

// What another clock says of ours.
struct ClockComparison {
  std::string by;                   // `http://..`
  std::chrono::milliseconds ahead;  // ours minus theirs; negative: behind
};

// Signatures are refused when clocks differ by five minutes, and certificates are judged by ours.
[[nodiscard]] Finding clock_finding(const std::optional<ClockComparison>& comparison, const KernelTime& kernel);

// Whether AWS credentials can be had, and which.
[[nodiscard]] Finding credentials_finding(const std::string& region, Millis timeout);

}  // namespace culvert
