// SPDX-License-Identifier: Apache-2.0
#include "app/commands/table_watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/site/board_feed.h"
#include "app/table/scan_watch.h"
#include "app/table/window_rows.h"

namespace culvert {

namespace {

constexpr Millis kAskTimeout{2'000};
constexpr Millis kAskAgain{10'000};  // after a failure
// A look that takes longer is worth a word.
constexpr Millis kLongLook{5'000};
// Reading takes at most about a tenth of the time, so that a big table is not read without a pause.
constexpr int kPausePerLook = 9;

// `readings@1/3`
std::optional<PartitionId> partition_of(const StoredItem& item) {
  const auto fences = item.image.fences.entries();
  if (fences.size() != 1) return std::nullopt;
  const auto slash = fences.front().name.text().rfind('/');
  const auto number = DeviceId::parse_number(fences.front().name.text().substr(slash + 1));
  if (slash == std::string_view::npos || !number) return std::nullopt;
  return PartitionId{static_cast<std::int32_t>(*number)};
}

}  // namespace

struct TableWatch::Look {
  std::vector<PartitionCheckpoint> checkpoints;
  std::array<std::int64_t, 14> letters{};  // by DeadLetterReason
  std::vector<DeadLetter> newest_letters;
  bool letters_complete = true;
  bool items_cut = false;
  bool anew = false;  // of another table than the look before
  SteadyTime begun{};
  SteadyTime done{};
};

struct TableWatch::Answer {
  std::map<PartitionId, Offset> log_ends;
  std::int32_t partitions = 0;
  std::optional<Error> error;
};

TableWatch::TableWatch(ReadableTable& table, OpenKafka open_kafka, WatchLimits limits, dashboard::Board& board,
                       Log& log, const Clock& clock)
    : table_(table),
      open_kafka_(std::move(open_kafka)),
      limits_(limits),
      board_(board),
      log_(log),
      clock_(clock),
      reading_(clock),
      asking_(clock) {
  now_.state = dashboard::StreamState::kStarting;
  now_.started_ms = wall_ms(clock);
  now_.assigned = true;
  table_.reader->watch_scans([this](std::int64_t items) {
    items_read_ = items;
    return !stopping_;
  });
}

TableWatch::~TableWatch() {
  stopping_ = true;
  table_.reader->interrupt();
  reading_.stop();
  asking_.stop();
}

void TableWatch::tick() {
  reading_.run_completions();
  asking_.run_completions();
  if (!reading_.busy() && clock_.steady() >= next_look_) begin_look();
  if (open_kafka_ && !asking_.busy() && clock_.steady() >= next_kafka_) begin_asking();
  publish();
}

void TableWatch::wait_first(Millis most) {
  const SteadyTime end = clock_.steady() + most;
  tick();
  constexpr Millis kStep{10};
  while (!looked_ && clock_.steady() < end && reading_.busy() && reading_.pause(kStep)) reading_.run_completions();
  publish();
}

void TableWatch::begin_look() {
  look_begun_ = clock_.steady();
  items_read_ = 0;
  reading_.submit([this]() -> TableWorker::Completion {
    auto found = std::make_shared<Look>();
    found->begun = clock_.steady();
    auto looked = look(*found);
    found->done = clock_.steady();
    return [this, found, looked] { take(*found, looked); };
  });
}

void TableWatch::begin_asking() {
  asking_.submit([this]() -> TableWorker::Completion { return [this, answer = ask_kafka()] { take(answer); }; });
}

std::string TableWatch::note() const {
  if (!table_note_.empty()) return table_note_;
  if (reading_.busy() && (!looked_ || clock_.steady() - look_begun_ >= kLongLook)) {
    const std::int64_t items = items_read_;
    return items > 0 ? fmt::format("The table is being read: {} items so far.", items)
                     : std::string("The table is being read.");
  }
  return kafka_note_;
}

void TableWatch::publish() {
  now_.note = note();
  now_.at_ms = wall_ms(clock_);
  now_.ticked = clock_.steady();
  std::optional<EventTime> newest;
  for (const auto& partition : now_.partitions) {
    if (partition.newest) newest = std::max(newest.value_or(*partition.newest), *partition.newest);
  }
  if (newest) now_.event_lag_ms = now_.at_ms - newest->value();
  board_.publish(now_);
}

Result<void> TableWatch::look(Look& found) {
  if (!std::exchange(size_told_, true)) {
    // Without an answer the scan itself says what is wrong.
    const auto size = table_.reader->size_estimate();
    if (size && *size) {
      ScanWatch::warn(log_, **size, "each --refresh does; consume --listen shows the same page without reading it");
    }
  }
  // Before the items: they may only know more than the checkpoints, so that `closed` is never said too early.
  auto checkpoints = table_.reader->checkpoints();
  if (!checkpoints) return checkpoints.error();
  found.checkpoints = *std::move(checkpoints);
  found.anew = made_anew(found.checkpoints);
  if (found.anew) board_.devices().clear();
  if (auto items = look_at_items(found); !items) return items;
  if (auto letters = look_at_letters(found); !letters) return letters;
  ++looks_;
  return {};
}

bool TableWatch::made_anew(const std::vector<PartitionCheckpoint>& checkpoints) {
  std::map<StreamPartition, Offset> now;
  for (const PartitionCheckpoint& at : checkpoints) now.insert_or_assign(at.where, at.checkpoint.next);
  const bool anew = std::any_of(checkpointed_.begin(), checkpointed_.end(), [&](const auto& before) {
    const auto found = now.find(before.first);
    return found == now.end() || found->second < before.second;
  });
  checkpointed_ = std::move(now);
  return anew;
}

TableWatch::Answer TableWatch::ask_kafka() {
  Answer answer;
  if (!kafka_) {
    auto opened = open_kafka_();
    if (!opened) {
      answer.error = opened.error();
      return answer;
    }
    kafka_ = *std::move(opened);
  }
  answer.partitions = kafka_->partition_count();
  for (std::int32_t number = 0; number < answer.partitions; ++number) {
    const auto range = kafka_->log_range(PartitionId{number}, kAskTimeout);
    if (!range) {
      answer.error = range.error();
      answer.log_ends.clear();
      return answer;
    }
    answer.log_ends.insert_or_assign(PartitionId{number}, range->log_end);
  }
  return answer;
}

void TableWatch::take(Answer answer) {
  next_kafka_ = clock_.steady() + (answer.error ? kAskAgain : limits_.refresh);
  log_ends_ = std::move(answer.log_ends);
  if (answer.partitions > 0) now_.partitions_of_topic = answer.partitions;
  const bool knew = kafka_note_.empty();
  kafka_note_ = answer.error ? "The lag is not known. Kafka: " + answer.error->message : "";
  if (answer.error && knew) log_.warning("the lag is not known", {{"detail", answer.error->message}});
  if (!answer.error && !knew) log_.info("the lag is known again");
  take_lag();
}

Result<void> TableWatch::look_at_items(Look& found) {
  ItemFilter recent;
  for (const PartitionCheckpoint& at : found.checkpoints) {
    const auto newest = at.checkpoint.progress.max_event_time;
    if (!newest) continue;
    const EventTime from = *newest - limits_.windows_shown * table_.definition.advance - table_.definition.size;
    // The slowest partition decides, so that none of its windows is left out.
    recent.from = std::min(recent.from.value_or(from), from);
  }
  if (recent.from && *recent.from < kEventTimeFirst) recent.from.reset();
  const WindowStates states(found.checkpoints, table_.definition);
  const std::int64_t now = wall_ms(clock_);
  std::size_t items = 0;
  return table_.reader->scan_items(recent, [&](const StoredItem& item) {
    if (++items > limits_.items_most) {
      found.items_cut = true;
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

Result<void> TableWatch::look_at_letters(Look& found) {
  std::size_t letters = 0;
  auto& kept = found.newest_letters;
  return table_.reader->scan_dead_letters([&](const DeadLetter& letter) {
    if (stopping_) return false;
    if (++letters > limits_.letters_most) return found.letters_complete = false;
    ++found.letters.at(static_cast<std::size_t>(letter.reason));
    if (kept.size() == dashboard::DeadLetterLog::kLettersMost) kept.erase(kept.begin(), kept.begin() + 100);
    kept.push_back(letter);
    return true;
  });
}

void TableWatch::take(const Look& found, const Result<void>& looked) {
  next_look_ = found.done + std::max<SteadyTime::duration>(limits_.refresh, (found.done - found.begun) * kPausePerLook);
  const bool reached = std::exchange(now_.table_reachable, looked.ok());
  now_.state = looked ? dashboard::StreamState::kTable : dashboard::StreamState::kUnreachable;
  if (!looked) {
    table_note_ = looked.error().message;
    if (reached) log_.warning("the table cannot be read", {{"detail", table_note_}});
    return;
  }
  if (!reached) log_.info("the table is read again");
  if (found.anew) log_.info("the table was made anew");
  table_note_ = found.items_cut ? fmt::format("only the first {} windows are shown", limits_.items_most) : "";
  now_.dead_letters = found.letters;
  now_.dead_letters_complete = found.letters_complete;
  now_.late = found.letters.at(static_cast<std::size_t>(DeadLetterReason::kLate));
  board_.letters().clear();
  for (const DeadLetter& letter : found.newest_letters) board_.letters().add(letter);
  take_checkpoints(found);
  looked_ = found.done;
}

void TableWatch::take_checkpoints(const Look& found) {
  const std::int64_t records_before = now_.records_stored;
  now_.partitions.clear();
  of_topic_.clear();
  now_.records_stored = 0;
  for (const PartitionCheckpoint& at : found.checkpoints) {
    dashboard::PartitionState partition;
    partition.partition = at.where.partition;
    partition.committed = at.checkpoint.next;
    partition.newest = at.checkpoint.progress.max_event_time;
    if (partition.newest) partition.watermark = *partition.newest - table_.definition.out_of_orderness;
    now_.records_stored += at.checkpoint.progress.counts.records;
    now_.partitions.push_back(partition);
    of_topic_.push_back(at.where.topic == board_.about().topic);
  }
  now_.records_per_second = 0;
  if (looked_ && !found.anew) {
    const double seconds = std::chrono::duration<double>(found.done - *looked_).count();
    if (seconds > 0) now_.records_per_second = static_cast<double>(now_.records_stored - records_before) / seconds;
  }
  take_lag();
}

// Checkpoints and the log's ends come at different times; each of them makes the lag anew.
void TableWatch::take_lag() {
  std::int64_t lag = 0;
  bool known = !now_.partitions.empty();
  for (std::size_t i = 0; i < now_.partitions.size(); ++i) {
    auto& partition = now_.partitions[i];
    const auto end = of_topic_[i] ? log_ends_.find(partition.partition) : log_ends_.end();
    partition.log_end = end == log_ends_.end() ? std::nullopt : std::optional(end->second);
    lag += partition.lag().value_or(0);
    known = known && partition.lag().has_value();
  }
  now_.lag_records = known ? std::optional<std::int64_t>(lag) : std::nullopt;
}

}  // namespace culvert
