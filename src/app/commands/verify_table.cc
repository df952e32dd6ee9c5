// SPDX-License-Identifier: Apache-2.0
#include "app/commands/verify_table.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "app/cli/progress_line.h"
#include "app/commands/log_scan.h"
#include "app/table/scan_watch.h"

namespace culvert {

namespace {

constexpr Millis kQueryTimeout{30'000};

Result<std::vector<oracle::LogExtent>> log_extents(const kafka::PartitionReader& reader) {
  std::vector<oracle::LogExtent> logs;
  for (std::int32_t i = 0; i < reader.partition_count(); ++i) {
    const auto range = reader.log_range(PartitionId{i}, kQueryTimeout);
    if (!range) return range.error();
    logs.push_back({PartitionId{i}, range->log_start, range->log_end});
  }
  return logs;
}

}  // namespace

Result<oracle::VerifyReport> verify_table(const kafka::KafkaConfig& config, const std::string& topic,
                                          ReadableTable& table, const StopFlag& stop, CommandContext& context) {
  auto loaded = [&]() -> Result<std::unique_ptr<oracle::Verifier>> {
    ScanWatch watch(*table.reader, "verify", "", stop, context);
    if (auto begun = watch.begin(); !begun) return begun.error();
    return oracle::Verifier::load(*table.reader, table.definition, topic);
  }();
  if (!loaded) return loaded.error();
  if (stop.requested()) return Error::fatal(ErrorKind::kTryAgain, "interrupted: nothing was compared");
  oracle::Verifier& verifier = **loaded;
  kafka::ReaderOptions options;
  options.topic = topic;
  auto reader = kafka::PartitionReader::open(config, options);
  if (!reader) return reader.error();
  if (auto same = check_topic_id(**reader, verifier.checkpoints()); !same) return same.error();
  // After the table was read: everything it holds is in the log by now.
  const auto logs = log_extents(**reader);
  if (!logs) return logs.error();
  verifier.log_is_compacted((*reader)->compacted(kQueryTimeout));
  const auto plan = verifier.plan(*logs);
  if (!plan) return plan.error();
  std::vector<kafka::ReadRange> ranges;
  std::int64_t total = 0;
  for (const auto& [partition, range] : *plan) {
    ranges.push_back({partition, range.first, range.next});
    total += range.next - range.first;
  }
  ProgressLine progress("verify", ProgressGoal{total, {}}, context.log, context.live, context.clock);
  std::int64_t done = 0;
  const auto scanned = scan_log(**reader, ranges, stop, [&](PartitionId partition, std::span<const Record> records) {
    verifier.add(partition, records);
    done += static_cast<std::int64_t>(records.size());
    progress.update(done);
    return true;
  });
  progress.finish();
  if (!scanned) return scanned.error();
  if (!*scanned) return Error::fatal(ErrorKind::kTryAgain, "interrupted: nothing was compared");
  return verifier.finish();
}

}  // namespace culvert
