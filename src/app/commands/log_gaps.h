// SPDX-License-Identifier: Apache-2.0
// Folds from the log what a table's checkpoints passed over: batches that were given up below others that succeeded.
//
// Flow    checkpoints of a topic -> [redrive_gaps] <- records of Kafka; -> fold_function_batch -> AggregateTable.
// Owner   free functions; dead-letters redrive calls them.
// Time    those of the reader; `wait` says how often the table is asked again.
// Bounds  the records of one poll at a time.
// See     docs/semantics.md: dead letters that are redriven; docs/ARCHITECTURE.md: checkpoints.
#pragma once

#include <string>
#include <vector>

#include "adapters/kafka/config.h"
#include "adapters/kafka/reader.h"
#include "app/cli/command.h"
#include "pipeline/function_batch.h"
#include "pipeline/ports.h"

namespace culvert {

// Where the log is read again: from the checkpoint's `next` up to and with the first record of its last range, so that
// what lies between is known to hold nothing else.  Empty if there is no range.
[[nodiscard]] OffsetRange gaps_of(const Checkpoint& checkpoint);

struct GapFigures {
  std::int64_t partitions = 0;  // that had gaps
  std::vector<PipelineStats> batches;
};

// Of one incarnation of the topic.  Error (kData): the log is another one than the table was made from, or does not
// hold the records any more.
[[nodiscard]] Result<GapFigures> redrive_gaps(const kafka::KafkaConfig& config, const std::string& topic,
                                              const std::vector<PartitionCheckpoint>& checkpoints,
                                              AggregateTable& table, PipelineOptions options, Decoder& decoder,
                                              const WaitForRetry& wait, CommandContext& context);

}  // namespace culvert
