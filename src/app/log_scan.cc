// SPDX-License-Identifier: Apache-2.0
#include "app/log_scan.h"

namespace culvert {

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
