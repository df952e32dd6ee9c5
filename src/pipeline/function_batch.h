// SPDX-License-Identifier: Apache-2.0
// The same pipeline driven by a stateless function: one delivered batch of one partition, start to finish.
//
// Flow    Lambda event -> records of one partition -> [fold_function_batch] -> table.  No state outlives the call.
// Owner   the caller's thread; may run on many threads at once, each with its own decoder.
// Time    none: `wait` is asked before each retry and says when to give up.
// Bounds  the batch and the items it touches.
// See     docs/ARCHITECTURE.md, "Functions".
#pragma once

#include <functional>
#include <span>

#include "pipeline/partition_pipeline.h"

namespace culvert {

// Pauses before attempt `attempt` (1, 2, ..); false: give up, the batch fails and will be delivered again.
using WaitForRetry = std::function<bool(int attempt, const Error& error)>;

// Folds the records (ascending offsets, gaps allowed, not empty) into the table.  When it returns ok, every record is
// in every item it belongs to or is a dead letter, and the checkpoint says so. Error: the table cannot be used (the
// whole batch must be delivered again), or a stated limit was reached.
[[nodiscard]] Result<PipelineStats> fold_function_batch(AggregateTable& table, const PipelineOptions& options,
                                                        Decoder& decoder, const StreamPartition& where,
                                                        std::span<const Record> records, const WaitForRetry& wait);

}  // namespace culvert
