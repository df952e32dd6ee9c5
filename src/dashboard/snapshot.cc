// SPDX-License-Identifier: Apache-2.0
#include "dashboard/snapshot.h"

#include <algorithm>
#include <numeric>

namespace culvert::dashboard {

std::string_view state_name(StreamState state) {
  switch (state) {
    case StreamState::kStarting:
      return "starting";
    case StreamState::kFlowing:
      return "flowing";
    case StreamState::kCatchingUp:
      return "catching-up";
    case StreamState::kQuiet:
      return "quiet";
    case StreamState::kPaused:
      return "paused";
    case StreamState::kTableFails:
      return "table-fails";
    case StreamState::kStandby:
      return "standby";
    case StreamState::kTable:
      return "table";
    case StreamState::kUnreachable:
      return "unreachable";
    case StreamState::kFinished:
      return "finished";
  }
  return "unknown";
}

std::optional<std::int64_t> PartitionState::lag() const {
  if (!log_end || !committed) return std::nullopt;
  return std::max<std::int64_t>(0, *log_end - *committed);
}

void FlushTimes::add(double seconds) {
  const auto at = std::lower_bound(kMost.begin(), kMost.end(), seconds);
  ++counts[static_cast<std::size_t>(at - kMost.begin())];
  sum_seconds += seconds;
  ++count;
}

std::int64_t Snapshot::dead_letter_count() const {
  return std::accumulate(dead_letters.begin(), dead_letters.end(), std::int64_t{0});
}

}  // namespace culvert::dashboard
