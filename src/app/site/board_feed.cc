// SPDX-License-Identifier: Apache-2.0
#include "app/site/board_feed.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace culvert {

namespace {

constexpr std::chrono::seconds kRateSpan{5};

std::string kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
      return "usage";
    case ErrorKind::kData:
      return "data";
    case ErrorKind::kUnavailable:
      return "unavailable";
    case ErrorKind::kInternal:
      return "internal";
    case ErrorKind::kIo:
      return "io";
    case ErrorKind::kTryAgain:
      return "try_again";
    case ErrorKind::kPermission:
      return "permission";
    case ErrorKind::kConfiguration:
      return "configuration";
  }
  return "unknown";
}

}  // namespace

std::int64_t wall_ms(const Clock& clock) {
  return std::chrono::duration_cast<Millis>(clock.wall().time_since_epoch()).count();
}

BoardFeed::BoardFeed(dashboard::Board& board, const Definition& definition, const Clock& clock)
    : board_(board), out_of_orderness_(definition.out_of_orderness), clock_(clock), started_ms_(wall_ms(clock)) {
  on_report({});
}

void BoardFeed::on_flush(const FlushRequest& request, const FlushResult& result, std::chrono::microseconds took) {
  const double seconds = std::chrono::duration<double>(took).count();
  flushes_.add(seconds);
  if (flush_ms_.size() < kFlushesKept) flush_ms_.push_back(0);
  flush_ms_[flush_at_++ % kFlushesKept] = seconds * 1e3;
  table_error_.reset();
  if (result.error) {
    ++retries_[kind_name(result.error->kind)];
    table_error_ = result.error->message;
  }
  put_items(request, result);
  if (result.dead_letters != PutStatus::kStored) return;
  for (const DeadLetter& letter : request.dead_letters) board_.letters().add(letter);
}

void BoardFeed::put_items(const FlushRequest& request, const FlushResult& result) {
  std::optional<EventTime> newest;
  if (request.checkpoint) newest = request.checkpoint->desired.progress.max_event_time;
  ++flush_number_;
  const std::int64_t now = wall_ms(clock_);
  for (std::size_t i = 0; i < std::min(request.items.size(), result.items.size()); ++i) {
    if (result.items[i].status != PutStatus::kStored) continue;
    const ItemPut& put = request.items[i];
    dashboard::WindowEntry window{put.key.window_start, put.window_end, put.desired.aggregate};
    if (put.desired.fences.entries().size() == 1) window.partition = request.where.partition;
    board_.devices().put({put.key.device, window, newest, now, flush_number_});
  }
  // Everything below the checkpoint is written, so from here on a change of a window that it closes is a correction.
  if (newest && result.checkpoint.status == PutStatus::kStored) {
    board_.devices().close_until(request.where.partition, *newest - out_of_orderness_);
  }
}

double BoardFeed::rate(std::int64_t read) {
  const SteadyTime now = clock_.steady();
  reads_.push_back({now, read});
  while (reads_.size() > 2 && now - reads_[1].at >= kRateSpan) reads_.pop_front();
  const double seconds = std::chrono::duration<double>(now - reads_.front().at).count();
  return seconds > 0 ? static_cast<double>(read - reads_.front().read) / seconds : 0;
}

std::optional<double> BoardFeed::flush_p99_ms() const {
  if (flush_ms_.empty()) return std::nullopt;
  std::vector<double> sorted = flush_ms_;
  const std::size_t at = std::min(sorted.size() - 1, sorted.size() * 99 / 100);
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(at), sorted.end());
  return sorted[at];
}

dashboard::Snapshot BoardFeed::snapshot(const ConsumeReport& report) {
  dashboard::Snapshot now;
  now.at_ms = wall_ms(clock_);
  now.ticked = clock_.steady();
  now.started_ms = started_ms_;
  now.consuming = true;
  now.assigned = report.assigned;
  now.table_reachable = !table_error_;
  now.records_per_second = rate(report.stats.read);
  now.lag_records = report.lag_records;
  now.flush_p99_ms = flush_p99_ms();
  now.records_read = report.stats.read;
  now.bytes_read = report.bytes_read;
  now.records_stored = report.stats.durable.records;
  now.filtered = report.stats.filtered;
  now.fence_filtered = report.stats.fence_filtered;
  now.late = report.stats.dead_letters.at(static_cast<std::size_t>(DeadLetterReason::kLate));
  now.dead_letters = report.stats.dead_letters;
  now.puts = report.stats.puts;
  now.conflicts = report.stats.conflicts;
  now.unknown_outcomes = report.stats.unknown;
  now.refolds = report.refolds;
  now.rebalances = report.rebalances;
  now.open_items = static_cast<std::int64_t>(report.open_deltas);
  now.memory_bytes = static_cast<std::int64_t>(report.memory_bytes);
  now.flushes = flushes_;
  now.retries = retries_;
  now.partitions_of_topic = report.partitions_of_topic;
  std::optional<EventTime> newest;
  for (const PartitionReport& partition : report.partitions) {
    const PartitionView& view = partition.view;
    now.partitions.push_back({view.claim.partition, view.reading, partition.position, view.checkpoint_next,
                              partition.log_end, view.max_event_time, view.watermark,
                              static_cast<std::int64_t>(view.open_deltas),
                              static_cast<std::int64_t>(view.memory_bytes)});
    if (view.max_event_time) newest = std::max(newest.value_or(*view.max_event_time), *view.max_event_time);
  }
  std::sort(now.partitions.begin(), now.partitions.end(),
            [](const auto& a, const auto& b) { return a.partition < b.partition; });
  if (newest) now.event_lag_ms = now.at_ms - newest->value();
  judge(report, now);
  return now;
}

void BoardFeed::judge(const ConsumeReport& report, dashboard::Snapshot& now) const {
  using dashboard::StreamState;
  // A few seconds' worth of records is on its way at any time.
  const double usual = 5 * std::max(200.0, now.records_per_second);
  if (table_error_) {
    now.state = StreamState::kTableFails;
    now.note = *table_error_;
  } else if (!report.assigned) {
    now.state = StreamState::kStarting;
  } else if (report.paused_for_memory) {
    now.state = StreamState::kPaused;
  } else if (report.partitions.empty()) {
    now.state = StreamState::kStandby;
  } else if (static_cast<double>(report.lag_records.value_or(0)) > usual) {
    now.state = StreamState::kCatchingUp;
    if (now.records_per_second < 1) now.note = "records are waiting, but none arrive";
  } else if (now.records_per_second > 0) {
    now.state = StreamState::kFlowing;
  } else {
    now.state = StreamState::kQuiet;
  }
}

void BoardFeed::on_report(const ConsumeReport& report) {
  last_ = report;
  board_.publish(snapshot(report));
}

void BoardFeed::finish(std::string note) {
  dashboard::Snapshot now = snapshot(last_);
  now.state = dashboard::StreamState::kFinished;
  now.note = std::move(note);
  now.records_per_second = 0;
  board_.publish(std::move(now));
}

}  // namespace culvert
