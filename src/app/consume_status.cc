// SPDX-License-Identifier: Apache-2.0
#include "app/consume_status.h"

#include <fmt/format.h>

#include <chrono>
#include <numeric>

#include "app/values.h"

namespace culvert {

namespace {

std::int64_t dead_letter_count(const PipelineStats& stats) {
  return std::accumulate(stats.dead_letters.begin(), stats.dead_letters.end(), std::int64_t{0});
}

std::string lag_text(const ConsumeReport& report) {
  return report.lag_records ? format_count(*report.lag_records) : "unknown";
}

}  // namespace

void ConsumeStatus::show(const ConsumeReport& report) {
  if (live_.active()) {
    if (!report.assigned) return live_.show({"waiting for the group to assign partitions"});
    live_.show({fmt::format("{}  lag {}  partitions {}  open {}  flush {}  conflicts {}  dead letters {}{}",
                            format_rate(report.records_per_second), lag_text(report), report.partitions.size(),
                            format_count(static_cast<std::int64_t>(report.open_deltas)),
                            format_duration(report.last_flush), report.stats.conflicts, dead_letter_count(report.stats),
                            report.paused_for_memory ? "  paused: memory" : "")});
    return;
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
                         {"lag", report.lag_records.value_or(-1)},
                         {"partitions", report.partitions.size()},
                         {"open_deltas", report.open_deltas},
                         {"memory_bytes", report.memory_bytes},
                         {"conflicts", report.stats.conflicts},
                         {"dead_letters", dead_letter_count(report.stats)},
                         {"late", report.stats.dead_letters.at(static_cast<std::size_t>(DeadLetterReason::kLate))},
                         {"flush_ms", report.last_flush.count()}});
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
