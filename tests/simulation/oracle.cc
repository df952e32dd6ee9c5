// SPDX-License-Identifier: Apache-2.0
#include "simulation/oracle.h"

#include <algorithm>

namespace culvert::simulation {

namespace {

// Starts of the windows that hold `time`, latest first.
std::vector<std::int64_t> window_starts(std::int64_t time, std::int64_t size, std::int64_t advance) {
  std::vector<std::int64_t> starts;
  for (std::int64_t start = time / advance * advance; start > time - size; start -= advance) starts.push_back(start);
  return starts;
}

}  // namespace

Oracle::Oracle(const World& world) : out_of_orderness_ms_(world.definition().out_of_orderness.count()) {
  for (std::size_t p = 0; p < world.partitions().size(); ++p) judge(world, p);
}

void Oracle::judge(const World& world, std::size_t partition) {
  const Definition& d = world.definition();
  const VirtualPartition& log = world.partitions()[partition];
  std::vector<Fate>& fates = fates_.emplace_back();
  std::vector<Prefix>& prefixes = prefixes_.emplace_back();
  std::vector<std::int64_t> last_ends;  // of each record: end of its last window, or the lowest number
  Prefix now;
  for (std::size_t i = 0; i < log.records.size(); ++i) {
    prefixes.push_back(now);
    const Truth& truth = log.truths[i];
    const Record& record = log.records[i];
    Fate& fate = fates.emplace_back();
    std::int64_t last_end = INT64_MIN;
    ++now.counts.records;
    if (truth.poison != DeadLetterReason::kNone) {
      fate.reason = truth.poison;
      ++now.counts.dead_letters;
      if (truth.readable_later) {
        for (const std::int64_t start : window_starts(truth.event_time.value(), d.size.count(), d.advance.count())) {
          contribute(truth, start, d, {partition, record.offset, truth.value, Contribution::Kind::kUnreadable});
        }
      }
    } else {
      for (const std::int64_t start : window_starts(truth.event_time.value(), d.size.count(), d.advance.count())) {
        const std::int64_t end = start + d.size.count();
        if (now.max_event_time &&
            end + d.allowed_lateness.count() <= now.max_event_time->value() - out_of_orderness_ms_) {
          fate.reason = DeadLetterReason::kLate;
          contribute(truth, start, d, {partition, record.offset, truth.value, Contribution::Kind::kLate});
          continue;
        }
        fate.items.push_back(ItemKey{truth.device, EventTime{start}});
        contribute(truth, start, d, {partition, record.offset, truth.value});
        last_end = std::max(last_end, end);
      }
      ++(fate.items.empty() ? now.counts.late : now.counts.folded);
      if (!now.max_event_time || *now.max_event_time < truth.event_time) now.max_event_time = truth.event_time;
    }
    last_ends.push_back(last_end);
    if (record.timestamp && (!now.max_timestamp || *now.max_timestamp < *record.timestamp)) {
      now.max_timestamp = record.timestamp;
    }
  }
  prefixes.push_back(now);
  Offset open = log.records.empty() ? log.log_start : log.records.back().offset.next();
  for (std::size_t i = log.records.size(); i-- > 0;) {
    if (last_ends[i] != INT64_MIN && !closed(partition, EventTime{last_ends[i]})) open = log.records[i].offset;
  }
  first_open_.push_back(open);
}

void Oracle::contribute(const Truth& truth, std::int64_t start, const Definition& d, const Contribution& contribution) {
  ExpectedItem& item = items_[ItemKey{truth.device, EventTime{start}}];
  item.window_end = EventTime{start + d.size.count()};
  item.contributions.push_back(contribution);
}

bool Oracle::closed(std::size_t partition, EventTime window_end) const {
  const auto& newest = prefixes_[partition].back().max_event_time;
  return newest && window_end.value() <= newest->value() - out_of_orderness_ms_;
}

Offset Oracle::first_open(std::size_t partition) const { return first_open_[partition]; }

}  // namespace culvert::simulation
