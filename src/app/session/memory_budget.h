// SPDX-License-Identifier: Apache-2.0
// How the memory of a consuming process is divided.
//
// Flow    --memory-limit or the machine -> [memory_budget] -> fetch queue and delta budget.
// Owner   value.
// Time    none.
// Bounds  base + fetch + deltas <= limit, where base is what the program needs with nothing in flight.
// See     docs/operating.md: sizing.
#pragma once

#include <cstdint>
#include <optional>

#include "model/result.h"

namespace culvert {

struct MemoryBudget {
  std::int64_t limit_bytes = 0;
  std::int64_t fetch_bytes = 0;  // fetched ahead by the Kafka client, compressed as it came
  std::int64_t delta_bytes = 0;  // unwritten contributions, images and dead letters of all partitions
};

// `limit_bytes` as given by the user, or absent: 80 % of the smaller of the control group's limit and the memory of the
// machine.  Error (kConfiguration): the limit leaves no room to work in.
[[nodiscard]] Result<MemoryBudget> memory_budget(std::optional<std::int64_t> limit_bytes);

}  // namespace culvert
