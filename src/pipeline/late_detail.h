// SPDX-License-Identifier: Apache-2.0
// The detail of a dead letter with reason `late`: which windows the reading missed.
//
// Flow    PartitionPipeline -> [late_detail] -> stored text -> [windows_missed] -> PartitionRedrive.
// Owner   pure functions.
// Time    event time.
// Bounds  three windows are named, the others counted.
// See     docs/semantics.md: watermark and lateness.  What is late is so by its window's end, so the windows missed are
//         always the first ones of those that hold the reading, and their number says which they are.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "model/time.h"
#include "window/assigner.h"

namespace culvert {

// `missed` in ascending order, not empty.
[[nodiscard]] std::string late_detail(std::span<const Window> missed, EventTime watermark);
// How many windows such a text is about; 0: it is none.
[[nodiscard]] std::int64_t windows_missed(std::string_view detail);

}  // namespace culvert
