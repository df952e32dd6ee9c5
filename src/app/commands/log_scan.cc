// SPDX-License-Identifier: Apache-2.0
#include "app/commands/log_scan.h"

#include <fmt/format.h>

namespace culvert {

Result<void> check_topic_id(const kafka::PartitionReader& reader, const std::vector<PartitionCheckpoint>& checkpoints) {
  constexpr Millis kQueryTimeout{30'000};
  const auto id = reader.topic_id(kQueryTimeout);
  if (!id) return id.error();
  for (const PartitionCheckpoint& at : checkpoints) {
    const std::string& stored = at.checkpoint.topic_id;
    if (stored.empty() || id->empty() || stored == *id) continue;
    return Error::fatal(ErrorKind::kData,
                        fmt::format("{}: the table was made from a topic with id {}, now it is {}: the topic was made "
                                    "anew (consume it with --generation {}; what the table holds of the former one "
                                    "cannot be compared with a log any more)",
                                    at.where.name(), stored, *id, at.where.generation + 1));
  }
  return {};
}

Result<bool> scan_log(kafka::PartitionReader& reader, std::span<const kafka::ReadRange> ranges, const StopFlag& stop,
                      const VisitRecords& visit) {
  constexpr Millis kPoll{200};
  constexpr Millis kProgressTimeout{60'000};
  if (ranges.empty()) return true;
  if (auto started = reader.start(ranges); !started) return started.error();
  while (!reader.done()) {
    if (stop.requested()) return false;
    const kafka::Polled polled = reader.poll(kPoll);
    if (const auto* failed = std::get_if<kafka::Failed>(&polled); failed != nullptr && !failed->error.retriable) {
      return failed->error;
    }
    if (const auto* records = std::get_if<kafka::Records>(&polled)) {
      for (const kafka::PartitionRecords& run : records->runs) {
        if (!visit(run.claim.partition, run.records)) return false;
      }
    }
    if (auto alive = reader.check_progress(kProgressTimeout); !alive) return alive.error();
  }
  return true;
}

}  // namespace culvert
