// SPDX-License-Identifier: Apache-2.0
// The board as the HTTP API gives it out.
//
// Flow    Board -> [board_json] -> answers of /api/v1, events.
// Owner   free functions.
// Time    instants as milliseconds since the epoch.
// Bounds  one page of devices, one device, kSamplesMost samples, kLettersMost letters.
// See     docs/openapi.yaml, which describes every field.
#pragma once

#include <optional>
#include <string>

#include "dashboard/board.h"

namespace culvert {

[[nodiscard]] std::string status_json(const dashboard::Board& board, const dashboard::Snapshot& now);
[[nodiscard]] std::string history_json(const dashboard::Board& board);
[[nodiscard]] std::string devices_json(const dashboard::Board& board, const dashboard::DeviceQuery& query);
// Nothing: there is no such device.
[[nodiscard]] std::optional<std::string> device_json(const dashboard::Board& board, const std::string& id);
[[nodiscard]] std::string partitions_json(const dashboard::Snapshot& now);
[[nodiscard]] std::string dead_letters_json(const dashboard::Board& board, const dashboard::Snapshot& now,
                                            std::optional<DeadLetterReason> reason, std::size_t most);
[[nodiscard]] std::string configuration_json(const dashboard::Board& board);
[[nodiscard]] std::string version_json(const dashboard::Board& board);

}  // namespace culvert
