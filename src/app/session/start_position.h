// SPDX-License-Identifier: Apache-2.0
// Where a partition begins of which nothing is known yet: `--start`.
//
// Flow    option -> [StartPosition] -> ConsumeSession, BridgeSession.
// Owner   values.
// Time    record time, for kTime.
// Bounds  none.
// See     culvert consume --help.
#pragma once

#include <cstdint>
#include <string_view>

#include "model/result.h"
#include "model/time.h"

namespace culvert {

struct StartPosition {
  enum class Kind : std::uint8_t { kEarliest, kLatest, kTime };
  Kind kind = Kind::kEarliest;
  RecordTime time{0};  // kTime: the first record whose timestamp is not below it
};

// `earliest`, `latest` or a time.
[[nodiscard]] Result<StartPosition> parse_start(std::string_view text);

}  // namespace culvert
