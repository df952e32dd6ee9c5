// SPDX-License-Identifier: Apache-2.0
// The board in Prometheus' text format.
//
// Flow    Board -> [metrics_text] -> GET /metrics.
// Owner   free function.
// Time    none: the scraper sets the time.
// Bounds  one line for each metric, and a handful for each partition.
// See     docs/operating.md: metrics; packaging/prometheus for alerts on them.
#pragma once

#include <string>

#include "dashboard/board.h"

namespace culvert {

[[nodiscard]] std::string metrics_text(const dashboard::Board& board, const dashboard::Snapshot& now);

}  // namespace culvert
