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

  // Goes on with `kept` if it can, and leaves behind what the next batch may go on with.
  Result<PipelineStats> run(std::unique_ptr<PartitionPipeline>& kept) {
    CULVERT_CHECK(!records_.empty(), "a batch of no records");
    CULVERT_CHECK(options_.emission == Emission::kEarly,
                  "a function may end at any time, so it cannot wait for windows to close");
    Offset load_before{0};
    for (;;) {
      auto known = std::exchange(kept, nullptr);
      auto pipeline = known && continues(*known) ? Result(std::move(known)) : begin(load_before);
      if (!pipeline) return pipeline.error();
      const PipelineStats before = (*pipeline)->stats();
      if (const auto loaded = load_images(**pipeline); !loaded) return loaded.error();
      if (const auto folded = (*pipeline)->fold(records_); !folded) return folded.error();
      const auto done = flush(**pipeline);
      if (!done) return done.error();
      if (*done) {
        kept = *std::move(pipeline);
        PipelineStats here = kept->stats();
        here.subtract(before);
        return here;
      }
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

  // Only at the checkpoint's own `next`: its maxima are those of everything below, whoever has written it since.  Where
  // offsets lie between, even such as are known to be empty, others may have dealt with records among them, and
  // lateness must be judged by those too: the table knows.
  [[nodiscard]] bool continues(const PartitionPipeline& pipeline) const {
    const auto& stored = pipeline.stored_checkpoint();
    const Offset next = pipeline.read_next();
    return next == records_.front().offset && stored && stored->next == next && stored->ranges.empty() &&
           !pipeline.flushing() && !pipeline.dirty();
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

Result<PipelineStats> FunctionPartition::fold(AggregateTable& table, std::span<const Record> records,
                                              const WaitForRetry& wait) {
  return FunctionBatch(table, options_, *decoder_, where_, records, wait).run(pipeline_);
}

Result<PipelineStats> fold_function_batch(AggregateTable& table, const PipelineOptions& options, Decoder& decoder,
                                          const StreamPartition& where, std::span<const Record> records,
                                          const WaitForRetry& wait) {
  std::unique_ptr<PartitionPipeline> none;
  return FunctionBatch(table, options, decoder, where, records, wait).run(none);
}

}  // namespace culvert
