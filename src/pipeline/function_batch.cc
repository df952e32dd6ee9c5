// SPDX-License-Identifier: Apache-2.0
#include "pipeline/function_batch.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "model/check.h"

namespace culvert {

namespace {

class FunctionBatch {
 public:
  FunctionBatch(AggregateTable& table, const PipelineOptions& options, Decoder& decoder, const StreamPartition& where,
                std::span<const Record> records, const WaitForRetry& wait)
      : table_(table), options_(options), decoder_(decoder), where_(where), records_(records), wait_(wait) {}

  Result<PipelineStats> run() {
    Offset load_before{0};
    for (;;) {
      auto pipeline = begin(load_before);
      if (!pipeline) return pipeline.error();
      if (const auto loaded = load_images(**pipeline); !loaded) return loaded.error();
      if (const auto folded = (*pipeline)->fold(records_); !folded) return folded.error();
      const auto done = flush(**pipeline);
      if (!done) return done.error();
      if (*done) return (*pipeline)->stats();
      // Others folded part of this batch: fold it again, record by record against what is stored now.
      const Error contended = Error::retriable_error(
          ErrorKind::kTryAgain, where_.name() + ": other writers fold the same records at this moment");
      if (!wait_(++attempt_, contended)) return contended;
      load_before = records_.back().offset.next();
    }
  }

 private:
  template <class Call>
  auto retried(Call call) -> decltype(call()) {
    for (;;) {
      auto result = call();
      if (result.ok() || !result.error().retriable || !wait_(++attempt_, result.error())) return result;
    }
  }

  Result<std::unique_ptr<PartitionPipeline>> begin(Offset load_before) {
    auto stored = retried([&] { return table_.load_checkpoint(where_); });
    if (!stored) return stored.error();
    PipelineStart start;
    start.where = where_;
    start.checkpoint_stored = stored->has_value();
    if (*stored) start.checkpoint = **stored;
    start.read_first = records_.front().offset;
    if (options_.gaps_are_empty) start.read_first = std::min(start.read_first, start.checkpoint.next);
    start.load_before = load_before;
    return PartitionPipeline::create(options_, decoder_, std::move(start));
  }

  Result<void> load_images(PartitionPipeline& pipeline) {
    const auto keys = pipeline.missing_images(records_);
    if (keys.empty()) return {};
    auto images = retried([&] { return table_.load(keys); });
    if (!images) return images.error();
    pipeline.provide_images(keys, *std::move(images));
    return {};
  }

  // False: refold.
  Result<bool> flush(PartitionPipeline& pipeline) {
    auto step = pipeline.begin_flush();
    for (;;) {
      if (!step) return step.error();
      if (step->state == PartitionPipeline::FlushState::kDone) return true;
      if (step->state == PartitionPipeline::FlushState::kRefold) return false;
      if (step->error && !wait_(++attempt_, *step->error)) return *step->error;
      step = pipeline.on_flush(table_.flush(*step->request));
    }
  }

  AggregateTable& table_;
  const PipelineOptions& options_;
  Decoder& decoder_;
  const StreamPartition& where_;
  std::span<const Record> records_;
  const WaitForRetry& wait_;
  int attempt_ = 0;
};

}  // namespace

Result<PipelineStats> fold_function_batch(AggregateTable& table, const PipelineOptions& options, Decoder& decoder,
                                          const StreamPartition& where, std::span<const Record> records,
                                          const WaitForRetry& wait) {
  CULVERT_CHECK(!records.empty(), "a batch of no records");
  CULVERT_CHECK(options.emission == Emission::kEarly,
                "a function keeps no state, so it cannot wait for windows to close");
  return FunctionBatch(table, options, decoder, where, records, wait).run();
}

}  // namespace culvert
