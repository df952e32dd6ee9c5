// SPDX-License-Identifier: Apache-2.0
#include "app/bridge/status.h"

#include <fmt/format.h>

#include <chrono>

#include "app/options/values.h"

namespace culvert {

void BridgeStatus::show(const BridgeReport& report) {
  if (live_.active()) {
    if (!report.assigned) return live_.show({"waiting for the group to assign partitions"});
    const auto& m = report.mapping;
    const auto& i = report.invoker;
    return live_.show(
        {fmt::format("{}  lag {}  partitions {}  under way {}", format_rate(report.records_per_second),
                     report.lag_records ? format_count(*report.lag_records) : "unknown", report.partitions,
                     report.under_way),
         fmt::format("invocations {}  errors {}  crashes {}  retries {}  discarded {}", format_count(i.invocations),
                     i.function_errors + i.timeouts + i.unreachable, i.crashes, m.retries, m.discarded_records)});
  }
  const SteadyTime now = clock_.steady();
  if (last_line_ != SteadyTime{} && now - last_line_ < kLineInterval) return;
  const double seconds =
      std::chrono::duration<double>(now - (last_line_ == SteadyTime{} ? begun_ : last_line_)).count();
  const double rate = seconds > 0 ? static_cast<double>(report.mapping.records - last_records_) / seconds : 0;
  last_line_ = now;
  last_records_ = report.mapping.records;
  log_.info("progress", {{"records", report.mapping.records},
                         {"records_per_second", static_cast<std::int64_t>(rate)},
                         {"lag", report.lag_records},
                         {"partitions", report.partitions},
                         {"under_way", report.under_way},
                         {"batches", report.mapping.batches},
                         {"invocations", report.invoker.invocations},
                         {"retries", report.mapping.retries},
                         {"function_errors", report.invoker.function_errors},
                         {"timeouts", report.invoker.timeouts},
                         {"crashes", report.invoker.crashes},
                         {"discarded_records", report.mapping.discarded_records}});
}

void BridgeStatus::finish(const BridgeReport& report) {
  live_.clear();
  const auto& m = report.mapping;
  const auto& i = report.invoker;
  const auto average = i.invocations > 0 ? i.busy.count() / i.invocations : 0;
  log_.info("stopped", {{"batches", m.batches},
                        {"records", m.records},
                        {"invocations", i.invocations},
                        {"average_ms", average},
                        {"retries", m.retries},
                        {"bisects", m.bisects},
                        {"partial_failures", m.partial_failures},
                        {"discarded_batches", m.discarded_batches},
                        {"discarded_records", m.discarded_records},
                        {"function_errors", i.function_errors},
                        {"timeouts", i.timeouts},
                        {"crashes", i.crashes},
                        {"unreachable", i.unreachable},
                        {"too_large", report.too_large},
                        {"cold_starts", i.cold_starts},
                        {"duplicated", m.duplicated},
                        {"reversed", m.reversed},
                        {"replies_dropped", m.replies_dropped},
                        {"seconds", std::chrono::duration<double>(clock_.steady() - begun_).count()}});
}

}  // namespace culvert
