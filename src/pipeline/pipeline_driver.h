// SPDX-License-Identifier: Apache-2.0
// Drives one partition pipeline in a test: records in, flush by hand, table out.  No broker, no thread, milliseconds.
//
// Flow    test -> [PipelineDriver] -> PartitionPipeline <-> any AggregateTable.
// Owner   the test.
// Time    moves only by the records that are piped in.
// Bounds  gives up after attempts_most rounds of one flush.
// See     docs/ARCHITECTURE.md, "Tests".
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/check.h"
#include "pipeline/partition_pipeline.h"

namespace culvert {

class PipelineDriver {
 public:
  static constexpr int attempts_most = 1000;

  PipelineDriver(AggregateTable& table, PipelineOptions options, Decoder& decoder, StreamPartition where)
      : table_(table), options_(std::move(options)), decoder_(decoder), where_(std::move(where)) {}

  // Loads the checkpoint and starts a new pipeline, as a process does that was just assigned the partition.
  // `read_first` overrides where reading begins (a function's batch).  Returns where records are expected from.
  Result<Offset> start(std::optional<Offset> read_first = {}, Offset load_before = Offset{0},
                       std::optional<Offset> replay_from = {}) {
    auto stored = table_.load_checkpoint(where_);
    if (!stored) return stored.error();
    PipelineStart begin;
    begin.where = where_;
    begin.assignment = AssignmentId{++assignments_};
    begin.checkpoint_stored = stored->has_value();
    if (*stored) begin.checkpoint = **stored;
    begin.read_first = read_first.value_or(begin.checkpoint.next);
    begin.load_before = load_before;
    begin.replay_from = replay_from;
    auto pipeline = PartitionPipeline::create(options_, decoder_, std::move(begin));
    if (!pipeline) return pipeline.error();
    pipeline_ = *std::move(pipeline);
    return pipeline_->read_next();
  }

  Result<void> pipe(std::span<const Record> records) {
    const auto missing = pipeline_->missing_images(records);
    if (!missing.empty()) {
      auto images = table_.load(missing);
      if (!images) return images.error();
      pipeline_->provide_images(missing, *std::move(images));
    }
    return pipeline_->fold(records);
  }

  // Flushes until everything is stored.  False: the pipeline asks for a refold (call start() with its load_before).
  Result<bool> flush() {
    auto step = pipeline_->begin_flush();
    for (int attempt = 0; attempt < attempts_most; ++attempt) {
      if (!step) return step.error();
      if (step->state == PartitionPipeline::FlushState::kDone) return true;
      if (step->state == PartitionPipeline::FlushState::kRefold) return false;
      step = pipeline_->on_flush(table_.flush(*step->request));
    }
    return Error::fatal(ErrorKind::kInternal, "a flush did not end");
  }

  // The whole life of a reader: from the checkpoint through `log`, flushing every `flush_every` records, folding again
  // when asked to.
  Result<void> run(std::span<const Record> log, std::size_t flush_every, std::optional<Offset> replay_from = {}) {
    Offset load_before{0};
    if (replay_from) load_before = log.empty() ? Offset{0} : log.back().offset.next();
    for (int attempt = 0; attempt < attempts_most; ++attempt) {
      const auto from = replay_from ? start(Offset{0}, load_before, replay_from) : start({}, load_before);
      if (!from) return from.error();
      auto done = run_once(log, flush_every);
      if (!done) return done.error();
      if (*done) return {};
      load_before = pipeline_->read_next();
    }
    return Error::fatal(ErrorKind::kInternal, "refolding did not end");
  }

  [[nodiscard]] PartitionPipeline& pipeline() { return *pipeline_; }
  // A crash: everything unwritten is gone.
  void crash() { pipeline_.reset(); }

 private:
  Result<bool> run_once(std::span<const Record> log, std::size_t flush_every) {
    std::size_t at = 0;
    while (at < log.size() && log[at].offset < pipeline_->read_next()) ++at;
    while (at < log.size()) {
      const std::size_t count = std::min(flush_every, log.size() - at);
      if (auto piped = pipe(log.subspan(at, count)); !piped) return piped.error();
      at += count;
      auto flushed = flush();
      if (!flushed || !*flushed) return flushed;
    }
    return flush();
  }

  AggregateTable& table_;
  PipelineOptions options_;
  Decoder& decoder_;
  StreamPartition where_;
  std::uint64_t assignments_ = 0;
  std::unique_ptr<PartitionPipeline> pipeline_;
};

}  // namespace culvert
