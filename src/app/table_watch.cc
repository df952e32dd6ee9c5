// SPDX-License-Identifier: Apache-2.0
#include "app/table_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/board_feed.h"
#include "app/window_rows.h"

namespace culvert {

namespace {

constexpr Millis kAskTimeout{2'000};
constexpr Millis kAskAgain{30'000};
// Reading takes at most about a tenth of the time, so that a big table is not read without a pause.
constexpr int kPausePerLook = 9;

// `readings@1/3`
std::optional<PartitionId> partition_of(const StoredItem& item) {
  const auto& fences = item.image.fences.entries();
  if (fences.size() != 1) return std::nullopt;
  const auto slash = fences.front().name.rfind('/');
  const auto number = DeviceId::parse_number(std::string_view(fences.front().name).substr(slash + 1));
  if (slash == std::string::npos || !number) return std::nullopt;
  return PartitionId{static_cast<std::int32_t>(*number)};
}

}  // namespace

TableWatch::TableWatch(ReadableTable& table, kafka::PartitionReader* kafka, WatchLimits limits, dashboard::Board& board,
                       const Clock& clock)
    : table_(table), kafka_(kafka), limits_(limits), board_(board), clock_(clock) {
  now_.state = dashboard::StreamState::kTable;
  now_.started_ms = wall_ms(clock);
  now_.assigned = true;
}

void TableWatch::tick() {
  if (clock_.steady() >= next_look_) {
    const SteadyTime begun = clock_.steady();
    const auto looked = look();
    now_.table_reachable = looked.ok();
    now_.state = looked ? dashboard::StreamState::kTable : dashboard::StreamState::kUnreachable;
    now_.note = !looked                ? looked.error().message
                : items_cut_           ? fmt::format("only the first {} windows are shown", limits_.items_most)
                : !kafka_note_.empty() ? kafka_note_
                                       : "";
    const SteadyTime done = clock_.steady();
    next_look_ = done + std::max<SteadyTime::duration>(limits_.refresh, (done - begun) * kPausePerLook);
    looked_ = done;
  }
  now_.at_ms = wall_ms(clock_);
  now_.ticked = clock_.steady();
  std::optional<EventTime> newest;
  for (const auto& partition : now_.partitions) {
    if (partition.newest) newest = std::max(newest.value_or(*partition.newest), *partition.newest);
  }
  if (newest) now_.event_lag_ms = now_.at_ms - newest->value();
  board_.publish(now_);
}

Result<void> TableWatch::look() {
  // Before the items: they may only know more than the checkpoints, so that `closed` is never said too early.
  const auto checkpoints = table_.reader->checkpoints();
  if (!checkpoints) return checkpoints.error();
  if (kafka_ != nullptr && clock_.steady() >= next_kafka_) ask_kafka();
  if (auto items = look_at_items(*checkpoints); !items) return items;
  if (auto letters = look_at_letters(); !letters) return letters;
  take(*checkpoints);
  ++looks_;
  return {};
}

void TableWatch::ask_kafka() {
  kafka_note_.clear();
  for (std::int32_t number = 0; number < kafka_->partition_count(); ++number) {
    const auto range = kafka_->log_range(PartitionId{number}, kAskTimeout);
    if (!range) {
      kafka_note_ = "Kafka: " + range.error().message;
      next_kafka_ = clock_.steady() + kAskAgain;
      log_ends_.clear();
      return;
    }
    log_ends_.insert_or_assign(PartitionId{number}, range->log_end);
  }
}

Result<void> TableWatch::look_at_items(const std::vector<PartitionCheckpoint>& checkpoints) {
  ItemFilter recent;
  for (const PartitionCheckpoint& at : checkpoints) {
    const auto newest = at.checkpoint.progress.max_event_time;
    if (!newest) continue;
    const EventTime from = *newest - limits_.windows_shown * table_.definition.advance - table_.definition.size;
    // The slowest partition decides, so that none of its windows is left out.
    recent.from = std::min(recent.from.value_or(from), from);
  }
  if (recent.from && *recent.from < kEventTimeFirst) recent.from.reset();
  const WindowStates states(checkpoints, table_.definition);
  const std::int64_t now = wall_ms(clock_);
  std::size_t items = 0;
  items_cut_ = false;
  return table_.reader->scan_items(recent, [&](const StoredItem& item) {
    if (++items > limits_.items_most) {
      items_cut_ = true;
      return false;
    }
    dashboard::WindowEntry window{item.key.window_start, item.window_end, item.image.aggregate, states.closed(item)};
    window.partition = partition_of(item);
    // The first look cannot know when a window was written; its end is the best guess.
    const std::int64_t heard = looks_ > 0 ? now : std::min(now, item.window_end.value());
    board_.devices().put({item.key.device, window, std::nullopt, heard, looks_});
    return true;
  });
}

Result<void> TableWatch::look_at_letters() {
  std::array<std::int64_t, 14> counts{};
  std::size_t letters = 0;
  std::vector<DeadLetter> kept;
  bool complete = true;
  const auto scanned = table_.reader->scan_dead_letters([&](const DeadLetter& letter) {
    if (++letters > limits_.letters_most) return complete = false;
    ++counts.at(static_cast<std::size_t>(letter.reason));
    if (kept.size() == dashboard::DeadLetterLog::kLettersMost) kept.erase(kept.begin(), kept.begin() + 100);
    kept.push_back(letter);
    return true;
  });
  if (!scanned) return scanned;
  now_.dead_letters = counts;
  now_.dead_letters_complete = complete;
  now_.late = counts.at(static_cast<std::size_t>(DeadLetterReason::kLate));
  board_.letters().clear();
  for (const DeadLetter& letter : kept) board_.letters().add(letter);
  return {};
}

void TableWatch::take(const std::vector<PartitionCheckpoint>& checkpoints) {
  const std::int64_t records_before = now_.records_stored;
  now_.partitions.clear();
  now_.records_stored = 0;
  std::int64_t lag = 0;
  bool lag_known = !checkpoints.empty();
  const std::string& topic = board_.about().topic;
  for (const PartitionCheckpoint& at : checkpoints) {
    dashboard::PartitionState partition;
    partition.partition = at.where.partition;
    partition.committed = at.checkpoint.next;
    partition.newest = at.checkpoint.progress.max_event_time;
    if (partition.newest) partition.watermark = *partition.newest - table_.definition.out_of_orderness;
    const auto end = log_ends_.find(at.where.partition);
    if (end != log_ends_.end() && at.where.topic == topic) partition.log_end = end->second;
    now_.records_stored += at.checkpoint.progress.counts.records;
    lag += partition.lag().value_or(0);
    lag_known = lag_known && partition.lag().has_value();
    now_.partitions.push_back(partition);
  }
  now_.partitions_of_topic = kafka_ == nullptr ? 0 : kafka_->partition_count();
  now_.lag_records = lag_known ? std::optional<std::int64_t>(lag) : std::nullopt;
  now_.records_per_second = 0;
  if (looked_) {
    const double seconds = std::chrono::duration<double>(clock_.steady() - *looked_).count();
    if (seconds > 0) now_.records_per_second = static_cast<double>(now_.records_stored - records_before) / seconds;
  }
}

}  // namespace culvert
