// SPDX-License-Identifier: Apache-2.0
#include "app/commands/log_gaps.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "app/cli/progress_line.h"
#include "app/commands/log_scan.h"

namespace culvert {

namespace {

constexpr Millis kQueryTimeout{30'000};

Result<void> check_log(const kafka::PartitionReader& reader, const PartitionCheckpoint& at, const OffsetRange& gaps) {
  const auto log = reader.log_range(at.where.partition, kQueryTimeout);
  if (!log) return log.error();
  if (gaps.next > log->log_end) {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("{}: the table has folded offset {}, but the log ends at {}: this is not the log "
                                    "that the table was made from",
                                    at.where.name(), gaps.next.value() - 1, log->log_end.value()));
  }
  if (gaps.first >= log->log_start) return {};
  return Error::fatal(ErrorKind::kData,
                      fmt::format("{}: retention removed {} offsets from {} on before they were redriven: what the "
                                  "on-failure documents hold of them is all there is",
                                  at.where.name(), log->log_start - gaps.first, gaps.first.value()));
}

}  // namespace

OffsetRange gaps_of(const Checkpoint& checkpoint) {
  if (checkpoint.ranges.empty()) return {checkpoint.next, checkpoint.next};
  return {checkpoint.next, checkpoint.ranges.back().offsets.first.next()};
}

Result<GapFigures> redrive_gaps(const kafka::KafkaConfig& config, const std::string& topic,
                                const std::vector<PartitionCheckpoint>& checkpoints, AggregateTable& table,
                                PipelineOptions options, Decoder& decoder, const WaitForRetry& wait,
                                CommandContext& context) {
  GapFigures figures;
  auto reader = kafka::PartitionReader::open(config, {.topic = topic});
  if (!reader) return reader.error();
  if (auto same = check_topic_id(**reader, checkpoints); !same) return same.error();
  std::vector<kafka::ReadRange> ranges;
  std::map<PartitionId, StreamPartition> streams;
  std::int64_t total = 0;
  for (const PartitionCheckpoint& at : checkpoints) {
    const OffsetRange gaps = gaps_of(at.checkpoint);
    if (gaps.first == gaps.next) continue;
    if (auto good = check_log(**reader, at, gaps); !good) return good.error();
    ranges.push_back({at.where.partition, gaps.first, gaps.next});
    streams.emplace(at.where.partition, at.where);
    total += gaps.next - gaps.first;
    ++figures.partitions;
  }
  // Everything between two records was read, and there was nothing.
  options.gaps_are_empty = true;
  ProgressLine progress("redrive: reading the log", ProgressGoal{total, {}}, context.log, context.live, context.clock);
  std::int64_t done = 0;
  std::optional<Error> failed;
  const auto scanned = scan_log(**reader, ranges, context.stop, [&](PartitionId id, std::span<const Record> records) {
    auto stats = fold_function_batch(table, options, decoder, streams.at(id), records, wait);
    if (!stats) {
      failed = stats.error();
      return false;
    }
    figures.batches.push_back(*std::move(stats));
    progress.update(done += static_cast<std::int64_t>(records.size()));
    return true;
  });
  progress.finish();
  if (failed) return *failed;
  if (!scanned) return scanned.error();
  if (!*scanned) return Error::fatal(ErrorKind::kTryAgain, "interrupted: the next run does the rest");
  return figures;
}

}  // namespace culvert
