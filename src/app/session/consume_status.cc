// SPDX-License-Identifier: Apache-2.0
#include "app/session/consume_status.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <optional>
#include <vector>

#include "app/options/values.h"

namespace culvert {

namespace {

std::int64_t dead_letter_count(const PipelineStats& stats) {
  return std::accumulate(stats.dead_letters.begin(), stats.dead_letters.end(), std::int64_t{0});
}

// `0 next=1200 checkpoint=1000 end=1300 watermark=2026-..`: what is not known is left out.
std::string partition_text(const PartitionReport& partition) {
  const PartitionView& view = partition.view;
  std::string out = fmt::format("{} assignment={} {} position={} next={}", view.claim.partition.value(),
                                view.claim.assignment.value(), view.reading ? "reading" : "waiting",
                                partition.position.value(), view.read_next.value());
  if (view.checkpoint_next) out += fmt::format(" checkpoint={}", view.checkpoint_next->value());
  if (partition.log_end) out += fmt::format(" end={}", partition.log_end->value());
  if (view.watermark) out += fmt::format(" watermark={}", format_utc(*view.watermark));
  return out + fmt::format(" open_deltas={} memory_bytes={}", view.open_deltas, view.memory_bytes);
}

std::optional<std::int64_t> lag_of(const PartitionReport& partition) {
  if (!partition.log_end || !partition.view.checkpoint_next) return std::nullopt;
  return std::max<std::int64_t>(0, *partition.log_end - *partition.view.checkpoint_next);
}

std::string count_or_dash(const std::optional<std::int64_t>& count) { return count ? format_count(*count) : "-"; }

LiveRow row_of(const PartitionReport& partition) {
  const PartitionView& view = partition.view;
  const auto number = [](const std::optional<Offset>& offset) {
    return offset ? format_count(offset->value()) : std::string("-");
  };
  const auto lag = lag_of(partition);
  LiveRow row;
  row.cells = {std::to_string(view.claim.partition.value()),
               view.reading ? format_count(partition.position.value()) : "loading",
               number(view.checkpoint_next),
               number(partition.log_end),
               count_or_dash(lag),
               view.watermark ? format_utc(*view.watermark).substr(0, 19) : "-",
               format_count(static_cast<std::int64_t>(view.open_deltas))};
  row.tone = !view.reading ? RowTone::kWarning : lag == 0 ? RowTone::kDim : RowTone::kPlain;
  return row;
}

std::string lag_text(const ConsumeReport& report) {
  return report.lag_records ? format_count(*report.lag_records) : "unknown";
}

}  // namespace

LiveFrame consume_frame(const ConsumeReport& report, std::size_t rows) {
  LiveFrame frame;
  if (!report.assigned) {
    frame.head = {"waiting for the group to assign partitions"};
    return frame;
  }
  const auto late = report.stats.dead_letters.at(static_cast<std::size_t>(DeadLetterReason::kLate));
  frame.head = {
      fmt::format("{}   lag {}   unwritten {}   flush {}   conflicts {}   dead letters {}, of which late {}{}",
                  format_rate(report.records_per_second), lag_text(report),
                  format_count(static_cast<std::int64_t>(report.open_deltas)), format_duration(report.last_flush),
                  format_count(report.stats.conflicts), format_count(dead_letter_count(report.stats)),
                  format_count(late), report.paused_for_memory ? "   paused until memory is free" : ""),
      ""};
  if (report.partitions.empty()) {
    frame.head.back() = "standing by: the other members of the group have all partitions";
    return frame;
  }
  frame.columns = {{"partition"}, {"position"}, {"checkpoint"}, {"end"}, {"lag"}, {"watermark (UTC)"}, {"unwritten"}};
  frame.more_of = "partitions";
  std::vector<const PartitionReport*> shown;
  for (const PartitionReport& partition : report.partitions) shown.push_back(&partition);
  std::sort(shown.begin(), shown.end(), [](const PartitionReport* a, const PartitionReport* b) {
    return a->view.claim.partition < b->view.claim.partition;
  });
  if (shown.size() > rows) {
    std::stable_sort(shown.begin(), shown.end(), [](const PartitionReport* a, const PartitionReport* b) {
      return lag_of(*a).value_or(0) > lag_of(*b).value_or(0);
    });
  }
  for (const PartitionReport* partition : shown) frame.rows.push_back(row_of(*partition));
  return frame;
}

void ConsumeStatus::show(const ConsumeReport& report) {
  if (live_.active()) {
    const TerminalSize size = live_.size();
    constexpr int kAround = 5;  // figures, titles, a line for what does not fit
    const auto rows = static_cast<std::size_t>(std::max(1, size.rows - kAround));
    return live_.show(render_table(consume_frame(report, rows), size, colour_));
  }
  const SteadyTime now = clock_.steady();
  if (last_line_ != SteadyTime{} && now - last_line_ < kLineInterval) return;
  const double seconds =
      std::chrono::duration<double>(now - (last_line_ == SteadyTime{} ? begun_ : last_line_)).count();
  const std::int64_t read = report.stats.read;
  const double rate = seconds > 0 ? static_cast<double>(read - last_read_) / seconds : 0;
  last_line_ = now;
  last_read_ = read;
  log_.info("progress", {{"records", read},
                         {"records_per_second", static_cast<std::int64_t>(rate)},
                         {"lag", report.lag_records},
                         {"partitions", report.partitions.size()},
                         {"open_deltas", report.open_deltas},
                         {"memory_bytes", report.memory_bytes},
                         {"conflicts", report.stats.conflicts},
                         {"dead_letters", dead_letter_count(report.stats)},
                         {"late", report.stats.dead_letters.at(static_cast<std::size_t>(DeadLetterReason::kLate))},
                         {"flush_ms", report.last_flush.count()}});
}

void ConsumeStatus::dump(const ConsumeReport& report) {
  std::string partitions;
  for (const PartitionReport& partition : report.partitions) {
    partitions += (partitions.empty() ? "" : "; ") + partition_text(partition);
  }
  const PipelineStats& s = report.stats;
  log_.info("state", {{"assigned", report.assigned},
                      {"stopping", report.stopping},
                      {"paused_for_memory", report.paused_for_memory},
                      {"records", s.read},
                      {"filtered", s.filtered},
                      {"generation", s.generation},
                      {"held", s.held},
                      {"adopted", s.adopted},
                      {"checkpointed", s.durable.records},
                      {"folded", s.durable.folded},
                      {"late", s.durable.late},
                      {"dead_letters", s.durable.dead_letters},
                      {"lag", report.lag_records},
                      {"records_per_second", static_cast<std::int64_t>(report.records_per_second)},
                      {"open_deltas", report.open_deltas},
                      {"memory_bytes", report.memory_bytes},
                      {"puts", s.puts},
                      {"conflicts", s.conflicts},
                      {"unknown", s.unknown},
                      {"refolds", report.refolds},
                      {"flushes", report.flushes},
                      {"flush_retries", report.flush_retries},
                      {"flush_ms", report.last_flush.count()},
                      {"partitions", partitions}});
}

std::string ConsumeStatus::line(const ConsumeReport& report) {
  if (report.stopping) return "stopping: flushing what was read";
  if (!report.assigned) return "waiting for the group to assign partitions";
  return fmt::format("{}, lag {}, {} partitions", format_rate(report.records_per_second), lag_text(report),
                     report.partitions.size());
}

void ConsumeStatus::finish(const ConsumeReport& report) {
  live_.clear();
  const PipelineStats& s = report.stats;
  const double seconds = std::chrono::duration<double>(clock_.steady() - begun_).count();
  log_.info("stopped", {{"records", s.read},
                        {"folded", s.durable.folded},
                        {"late", s.durable.late},
                        {"dead_letters", s.durable.dead_letters},
                        {"filtered", s.filtered},
                        {"fence_filtered", s.fence_filtered},
                        {"unwritten", s.held},
                        {"puts", s.puts},
                        {"conflicts", s.conflicts},
                        {"refolds", report.refolds},
                        {"flushes", report.flushes},
                        {"seconds", seconds}});
}

}  // namespace culvert
