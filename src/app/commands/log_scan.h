// SPDX-License-Identifier: Apache-2.0
// Reads given ranges of a topic once, without a group.
//
// Flow    ranges -> [scan_log] -> every record, in offset order within its partition -> verify, redrive.
// Owner   free function; the reader is the caller's.
// Time    gives up when no record arrives for progress_timeout although some are left.
// Bounds  those of PartitionReader.
// See     adapters/kafka/reader.h.
#pragma once

#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "adapters/kafka/reader.h"
#include "app/cli/signals.h"
#include "pipeline/checkpoint.h"

namespace culvert {

// False: stop.
using VisitRecords = std::function<bool(PartitionId partition, std::span<const Record> records)>;

// Error (kData): a checkpoint was written for a topic with another id: it was made anew, whatever its offsets are.
[[nodiscard]] Result<void> check_topic_id(const kafka::PartitionReader& reader,
                                          const std::vector<PartitionCheckpoint>& checkpoints);

// False: stopped before the end, by `stop` or by `visit`.
[[nodiscard]] Result<bool> scan_log(kafka::PartitionReader& reader, std::span<const kafka::ReadRange> ranges,
                                    const StopFlag& stop, const VisitRecords& visit);

}  // namespace culvert
