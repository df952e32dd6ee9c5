// SPDX-License-Identifier: Apache-2.0
// The same pipeline driven by a function: one delivered batch of one partition, start to finish.
//
// Flow    Lambda event -> records of one partition -> [FunctionPartition] -> table.
// Owner   the caller, one thread at a time; partitions are independent of each other.
// Time    none: `wait` is asked before each retry and says when to give up.
// Bounds  the batch, the items it touches, and the images of PipelineOptions::images_most items between batches.
// See     docs/ARCHITECTURE.md, "One object for each assignment".
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <utility>

#include "pipeline/partition_pipeline.h"

namespace culvert {

// Pauses before attempt `attempt` (1, 2, ..); false: give up, the batch fails and will be delivered again.
using WaitForRetry = std::function<bool(int attempt, const Error& error)>;

// A partition as a function that stays warm knows it.  A batch that begins where the one before ended is folded by the
// same pipeline, as a daemon would: the checkpoint need not be loaded, and items are put against their known images
// instead of being found to exist.  What is remembered may be out of date, as a zombie's is, and is believed no more
// than a zombie's: every put says what it expects.
class FunctionPartition {
 public:
  FunctionPartition(PipelineOptions options, std::unique_ptr<Decoder> decoder, StreamPartition where)
      : options_(std::move(options)), decoder_(std::move(decoder)), where_(std::move(where)) {}

  // Folds the records (ascending offsets, gaps allowed, not empty) into the table.  When it returns ok, every record is
  // in every item it belongs to or is a dead letter, and the checkpoint says so.  Error: the table cannot be used (the
  // whole batch must be delivered again), or a stated limit was reached; nothing is remembered then.
  [[nodiscard]] Result<PipelineStats> fold(AggregateTable& table, std::span<const Record> records,
                                           const WaitForRetry& wait);

  [[nodiscard]] const StreamPartition& where() const { return where_; }
  // Of what is remembered.
  [[nodiscard]] std::size_t memory_bytes() const { return pipeline_ ? pipeline_->memory_bytes() : 0; }

 private:
  const PipelineOptions options_;
  const std::unique_ptr<Decoder> decoder_;
  const StreamPartition where_;
  std::unique_ptr<PartitionPipeline> pipeline_;
};

// The same for one batch alone, of which nothing is remembered.
[[nodiscard]] Result<PipelineStats> fold_function_batch(AggregateTable& table, const PipelineOptions& options,
                                                        Decoder& decoder, const StreamPartition& where,
                                                        std::span<const Record> records, const WaitForRetry& wait);

}  // namespace culvert
