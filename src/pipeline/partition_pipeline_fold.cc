// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "model/check.h"
#include "model/mutant.h"
#include "pipeline/late_detail.h"
#include "pipeline/partition_pipeline.h"

namespace culvert {

namespace {

constexpr std::string_view kAscending = "records must be given in ascending order";
constexpr std::int64_t kNever = std::numeric_limits<std::int64_t>::min();

Error definition_error(const StreamPartition& where, const std::string& stored, const Definition& now) {
  const auto table = parse_definition(stored);
  if (!table) return table.error();
  return Error::fatal(
      ErrorKind::kData,
      fmt::format("{}: the table was written under another definition ({}); use the table's definition, "
                  "or another table",
                  where.name(), definition_difference(*table, now)));
}

}  // namespace

Result<std::unique_ptr<PartitionPipeline>> PartitionPipeline::create(const PipelineOptions& options, Decoder& decoder,
                                                                     PipelineStart start) {
  const std::string definition = definition_text(options.definition);
  if (start.checkpoint_stored && start.checkpoint.definition != definition) {
    return definition_error(start.where, start.checkpoint.definition, options.definition);
  }
  start.checkpoint.definition = definition;
  start.checkpoint.emission = options.emission;
  return std::unique_ptr<PartitionPipeline>(new PartitionPipeline(options, decoder, std::move(start)));
}

PartitionPipeline::PartitionPipeline(const PipelineOptions& options, Decoder& decoder, PipelineStart start)
    : options_(options),
      decoder_(decoder),
      assigner_(options.definition),
      where_(std::move(start.where)),
      fence_name_(CULVERT_MUTANT(kOneFenceForAll) ? "all" : std::string_view(where_.name())),
      assignment_(start.assignment),
      base_(std::move(start.checkpoint)),
      load_before_(start.load_before),
      replay_from_(start.replay_from),
      running_(base_.progress),
      coverage_(start.read_first),
      late_before_ms_(kNever),
      closed_before_ms_(kNever),
      sealed_before_ms_(kNever),
      by_window_ms_(kNever) {
  if (start.checkpoint_stored) stored_ = base_;
  // A replay judges from the beginning again; what the checkpoint knows joins where its coverage ends.
  if (replay_from_ || CULVERT_MUTANT(kWatermarkFromZero)) running_ = Progress{{}, {}, base_.progress.counts};
  set_plain_from();
  set_thresholds();
}

void PartitionPipeline::set_plain_from() {
  plain_from_ = std::max(base_.next, load_before_);
  if (!base_.ranges.empty()) plain_from_ = std::max(plain_from_, base_.ranges.back().offsets.next);
  plain_ = false;
}

// ---------------------------------------------------------------------------------------------------------- records

Result<void> PartitionPipeline::fold(std::span<const Record> records) {
  if (options_.definition.kind == WindowKind::kBatch) {
    fold_batch(records);
  } else {
    while (!records.empty()) {
      std::size_t folded = plain_ ? fold_run(records) : 0;
      if (folded == 0) {
        fold_one(records.front());
        folded = 1;
      }
      records = records.subspan(folded);
    }
  }
  coverage_.settle(running_);
  if (!count_limit_hit_) return {};
  return Error::fatal(
      ErrorKind::kData,
      fmt::format("{}: a window of one device holds more than {} readings, the limit that keeps its sums "
                  "exact: choose a shorter --window",
                  where_.name(), kCountMost));
}

// The steady state: decoding and folding take turns, each over some dozen records, so that both stay short loops.  What
// follows is what fold_one() would do with the same records one after the other.
std::size_t PartitionPipeline::fold_run(std::span<const Record> records) {
  const std::size_t count = decoder_.decode_run(records, readings_);
  if (count == 0) return 0;
  check_order(records.front());
  Offset next = records.front().offset;
  coverage_.extend_plain(next.next(), running_);
  Counts& counts = running_.counts;
  for (std::size_t done = 0; done < count; ++done) {
    done += fold_hot(records.subspan(done, count - done), std::span(readings_).subspan(done), next);
    if (done == count) break;
    const Record& record = records[done];
    const Reading& reading = readings_[done];
    CULVERT_CHECK(record.offset >= next, kAscending);
    next = record.offset.next();
    ++(fold_reading(record, reading) ? counts.folded : counts.late);
    raise(reading.event_time);
    if (record.timestamp) running_.raise_timestamp(*record.timestamp);
    ++counts.records;
  }
  coverage_.extend_plain(next, running_);
  const auto done = static_cast<std::int64_t>(count);
  stats_.read += done;
  counted_ += done;
  return count;
}

// Records from the front as far as they fall into the hot pane and their devices have been seen there: nearly all.
// Returns how many those were, and sets `next` behind them.
std::size_t PartitionPipeline::fold_hot(std::span<const Record> records, std::span<const Reading> readings,
                                        Offset& next) {
  if (hot_pane_ == nullptr) return 0;
  DeltaMap& deltas = hot_pane_->deltas;
  const EventTime start = hot_start_;
  const EventTime end = hot_end_;
  EventTime newest = running_.max_event_time.value_or(EventTime{kNever});
  RecordTime newest_timestamp{kNever};
  bool any_timestamp = false;
  Offset at = next;
  std::size_t done = 0;
  while (done < records.size()) {
    const Record& record = records.data()[done];  // not by [], which checks the index a second time
    const Reading& reading = readings.data()[done];
    CULVERT_CHECK(record.offset >= at, kAscending);
    if (reading.event_time < start || reading.event_time >= end) [[unlikely]]
      break;
    const auto found = deltas.find(reading.device);
    if (found == deltas.end()) [[unlikely]]
      break;
    fold_into(found->second, record.offset, reading.value);
    at = record.offset.next();
    ++done;
    any_timestamp |= record.timestamp.has_value();
    if (record.timestamp && *record.timestamp > newest_timestamp) newest_timestamp = *record.timestamp;
    if (reading.event_time > newest) {
      newest = reading.event_time;
      raise_thresholds(newest);
      if (hot_pane_ == nullptr) break;  // its first window is late now, or with final emission closed
    }
  }
  next = at;
  if (any_timestamp) running_.raise_timestamp(newest_timestamp);
  const auto folded = static_cast<std::int64_t>(done);
  running_.counts.folded += folded;
  running_.counts.records += folded;
  return done;
}

void PartitionPipeline::fold_one(const Record& record) {
  check_order(record);
  ++stats_.read;
  if (plain_) {
    coverage_.extend_plain(record.offset.next(), running_);
    return process(record, true);
  }
  join_known(record.offset);
  coverage_.settle(running_);
  const Progress before = running_;
  if (!filter_covered(record)) process(record, !base_.covers(record.offset));
  coverage_.extend(record.offset.next(), base_, before, running_);
  plain_ = record.offset >= plain_from_;
}

// Filtered records are not judged again, so what they did to the maxima is taken from where it was kept.
void PartitionPipeline::join_known(Offset offset) {
  const auto join = [&](const Progress& known) {
    if (known.max_event_time) running_.raise_event_time(*known.max_event_time);
    if (known.max_timestamp) running_.raise_timestamp(*known.max_timestamp);
  };
  if (offset >= base_.next && !CULVERT_MUTANT(kWatermarkFromZero)) join(base_.progress);
  for (const CoveredRange& range : base_.ranges) {
    if (range.offsets.next <= offset) join(range.progress);
  }
  set_thresholds();
  seal_closed();
}

bool PartitionPipeline::filter_covered(const Record& record) {
  const CoveredRange* range = base_.range_of(record.offset);
  if (record.offset >= base_.next && range == nullptr) return false;
  const Progress& known = range != nullptr ? range->progress : base_.progress;
  // A record we have dealt with is among those the maximum was taken over.  One with a newer timestamp is another
  // record at the same offset: the topic was deleted and made anew.
  if (record.timestamp && known.max_timestamp && *record.timestamp > *known.max_timestamp) {
    ++stats_.generation;
    set_aside(
        record, DeadLetterReason::kGeneration,
        fmt::format("offset {} was dealt with before, and this record is newer than all of those: the topic was made "
                    "anew (use --generation {})",
                    record.offset.value(), where_.generation + 1));
    return true;
  }
  if (replay_from_ && record.offset >= *replay_from_) return false;
  ++stats_.filtered;
  if (replay_from_) {
    // Below the replay's first offset only the maxima matter: lateness is judged as it was the first time.
    Reading reading;
    if (decoder_.decode(record, reading) == DeadLetterReason::kNone) raise(reading.event_time);
    if (record.timestamp) running_.raise_timestamp(*record.timestamp);
  }
  return true;
}

// `counted`: the record is new to the checkpoint; otherwise a replay looks at it again.
void PartitionPipeline::process(const Record& record, bool counted) {
  Reading reading;
  const DeadLetterReason reason = decoder_.decode(record, reading);
  Counts& counts = running_.counts;
  std::int64_t* kind = &counts.dead_letters;
  if (reason != DeadLetterReason::kNone) [[unlikely]] {
    set_aside(record, reason, decoder_.detail());
  } else {
    kind = fold_reading(record, reading) ? &counts.folded : &counts.late;
    raise(reading.event_time);
  }
  if (record.timestamp) running_.raise_timestamp(*record.timestamp);
  if (counted) [[likely]] {
    ++counts.records;
    ++*kind;
    ++counted_;
  } else {
    ++stats_.filtered;
  }
}

void PartitionPipeline::set_aside(const Record& record, DeadLetterReason reason, std::string detail) {
  DeadLetter letter{where_, record.offset, record.timestamp, reason, std::move(detail), {}, {}};
  if (record.key) letter.key = std::string(*record.key);
  if (record.value) letter.value = std::string(*record.value);
  dead_letter_bytes_ += sizeof(letter) + letter.detail.size() + (letter.key ? letter.key->size() : 0) +
                        (letter.value ? letter.value->size() : 0);
  ++stats_.dead_letters.at(static_cast<std::size_t>(reason));
  dead_letters_.push_back(std::move(letter));
}

void PartitionPipeline::check_order(const Record& record) const {
  CULVERT_CHECK(record.offset >= coverage_.read_next(), kAscending);
}

void PartitionPipeline::skip_to(Offset next) {
  if (next <= coverage_.read_next()) return;
  join_known(next);
  coverage_.settle(running_);
  coverage_.extend(next, base_, running_, running_);
}

// --------------------------------------------------------------------------------------------------------- readings

// A reading outside of the hot pane.  False: late for all of its windows.
bool PartitionPipeline::fold_elsewhere(const Record& record, const Reading& reading) {
  const EventTime pane = assigner_.pane(reading.event_time);
  // Some of the pane's windows are late (or, with final emission, written already): they part company here.
  if (record.offset < load_before_ || assigner_.first_end(pane).value() <= by_window_ms_) {
    return fold_windows(record, reading);
  }
  hot_pane_ = &bucket(panes_, pane, assigner_.last_end(pane), record);
  hot_start_ = pane;
  hot_end_ = assigner_.first_end(pane);
  contribute(*hot_pane_, record, reading, false);
  return true;
}

bool PartitionPipeline::fold_windows(const Record& record, const Reading& reading) {
  const EventTime pane = assigner_.pane(reading.event_time);
  std::vector<Window> missed;
  bool held_by_all = true;
  for (std::int64_t i = 0; i < assigner_.windows_per_pane(); ++i) {
    const Window window = assigner_.window(pane, i);
    if (late(window.end)) {
      missed.push_back(window);
    } else if (fold_window(record, reading, window)) {
      held_by_all = false;
    }
  }
  const bool all_late = missed.size() == static_cast<std::size_t>(assigner_.windows_per_pane());
  if (!missed.empty()) set_aside(record, DeadLetterReason::kLate, late_detail(missed, *watermark()));
  if (!missed.empty() && !all_late) ++stats_.late_partly;
  if (!all_late && held_by_all) ++stats_.fence_filtered;
  return !all_late;
}

// False: the item holds the record already.
bool PartitionPipeline::fold_window(const Record& record, const Reading& reading, const Window& window) {
  const bool check = record.offset < load_before_;
  if (check) {
    const Image* known = image(window.start, reading.device);
    CULVERT_CHECK(known != nullptr, "an item was folded without its image; call missing_images() first");
    if (known->fences.at(fence_name_.text()).covers(record.offset)) return false;
  }
  contribute(bucket(windows_, window.start, window.end, record), record, reading, check);
  return true;
}

void PartitionPipeline::contribute(Bucket& bucket, const Record& record, const Reading& reading, bool checked) {
  auto found = bucket.deltas.find(reading.device);
  if (found == bucket.deltas.end()) {
    DeviceId device{reading.device};
    device_heap_bytes_ += device.heap_bytes();
    found = bucket.deltas.emplace(std::move(device), Delta{}).first;
    found->second.checked = checked;
  }
  const bool all_checked = found->second.checked && checked;
  fold_into(found->second, record.offset, reading.value);
  found->second.checked = all_checked;
}

PartitionPipeline::Bucket& PartitionPipeline::bucket(Buckets& buckets, EventTime start, EventTime end,
                                                     const Record& record) {
  const auto found = buckets.find(start);
  if (found != buckets.end()) return found->second;
  return buckets
      .emplace(start,
               Bucket{end, DeltaMap(0, DeviceHash{options_.hash_salt}, DeviceEqual{}), Mark{record.offset, running_}})
      .first->second;
}

// ------------------------------------------------------------------------------------------------------- event time

std::optional<EventTime> PartitionPipeline::watermark() const {
  if (!running_.max_event_time) return std::nullopt;
  return *running_.max_event_time - options_.definition.out_of_orderness;
}

void PartitionPipeline::raise_thresholds(EventTime event_time) {
  running_.max_event_time = event_time;
  set_thresholds();
  if (options_.emission == Emission::kFinal) seal_closed();
}

void PartitionPipeline::set_thresholds() {
  const auto now = watermark();
  if (!now) return;
  const Millis lateness = options_.expire_after ? std::min(*options_.expire_after, options_.definition.allowed_lateness)
                                                : options_.definition.allowed_lateness;
  late_before_ms_ = (*now - lateness).value();
  closed_before_ms_ = now->value();
  by_window_ms_ = options_.emission == Emission::kFinal ? closed_before_ms_ : late_before_ms_;
  if (hot_end_.value() <= by_window_ms_) cool_pane();
}

void PartitionPipeline::cool_pane() {
  hot_pane_ = nullptr;
  hot_start_ = hot_end_ = EventTime{0};
}

// Final emission: the moment a window closes, its panes' contributions become the window's own, so that a later
// correction of this window does not reach it a second time through a pane that other windows still need.
void PartitionPipeline::seal_closed() {
  if (options_.emission != Emission::kFinal) return;
  std::set<EventTime> closed;
  for (const auto& [start, unused] : panes_) {
    if (assigner_.first_end(start).value() > closed_before_ms_) break;
    for (std::int64_t i = 0; i < assigner_.windows_per_pane(); ++i) {
      const Window window = assigner_.window(start, i);
      if (window.end.value() <= closed_before_ms_ && window.end.value() > sealed_before_ms_)
        closed.insert(window.start);
    }
  }
  for (const EventTime start : closed) {
    const Window window = assigner_.window_at(start);
    Bucket* target = nullptr;
    for (auto pane = panes_.lower_bound(window.start); pane != panes_.end() && pane->first < window.end; ++pane) {
      const Bucket& from = pane->second;
      if (target == nullptr) {
        target = &windows_
                      .try_emplace(start, Bucket{window.end, DeltaMap(0, DeviceHash{options_.hash_salt}, DeviceEqual{}),
                                                 from.first})
                      .first->second;
      }
      if (from.first.offset < target->first.offset) target->first = from.first;
      for (const auto& [device, delta] : from.deltas) {
        const auto [at, inserted] = target->deltas.try_emplace(device, delta);
        if (!inserted) at->second.merge(delta);
      }
    }
  }
  sealed_before_ms_ = std::max(sealed_before_ms_, closed_before_ms_);
  for (auto pane = panes_.begin(); pane != panes_.end() && pane->second.end.value() <= closed_before_ms_;) {
    pane = panes_.erase(pane);
  }
  if (hot_end_.value() <= closed_before_ms_) cool_pane();
}

// -------------------------------------------------------------------------------------------------- refold and batch

std::vector<ItemKey> PartitionPipeline::missing_images(std::span<const Record> records) {
  if (options_.definition.kind == WindowKind::kBatch) return batch_keys(records);
  std::set<ItemKey> missing;
  for (const Record& record : records) {
    if (record.offset >= load_before_) break;
    Reading reading;
    if (decoder_.decode(record, reading) != DeadLetterReason::kNone) continue;
    const EventTime pane = assigner_.pane(reading.event_time);
    for (std::int64_t i = 0; i < assigner_.windows_per_pane(); ++i) {
      const EventTime start = assigner_.window(pane, i).start;
      if (image(start, reading.device) == nullptr) missing.insert(ItemKey{DeviceId{reading.device}, start});
    }
  }
  return {missing.begin(), missing.end()};
}

void PartitionPipeline::provide_images(std::span<const ItemKey> keys, std::vector<std::optional<Image>> images) {
  CULVERT_CHECK(keys.size() == images.size(), "as many images as keys");
  for (std::size_t i = 0; i < keys.size(); ++i) {
    // An image that is known stays, also if this one is newer (the answer to a question asked twice): contributions
    // have been compared with the known one, and will be put under its condition.
    if (image(keys[i].window_start, keys[i].device.ref()) != nullptr) continue;
    remember(keys[i], images[i] ? *std::move(images[i]) : Image{});
  }
}

// What the reference system does: one window from the first to the last event time of whatever was delivered together.
// The result depends on how batches were cut, so nothing here is replayable, and lateness has no meaning.
void PartitionPipeline::fold_batch(std::span<const Record> records) {
  struct Decoded {
    const Record* record;
    DeviceId device;
    EventTime time;
    Micro value;
  };
  std::vector<Decoded> readings;
  for (const Record& record : records) {
    ++stats_.read;
    check_order(record);
    join_known(record.offset);
    coverage_.settle(running_);
    const Progress before = running_;
    if (!filter_covered(record)) {
      Reading reading;
      const DeadLetterReason reason = decoder_.decode(record, reading);
      if (reason != DeadLetterReason::kNone) {
        set_aside(record, reason, decoder_.detail());
        ++running_.counts.dead_letters;
      } else {
        readings.push_back(Decoded{&record, DeviceId{reading.device}, reading.event_time, reading.value});
        raise(reading.event_time);
        ++running_.counts.folded;
      }
      if (record.timestamp) running_.raise_timestamp(*record.timestamp);
      ++running_.counts.records;
      ++counted_;
    }
    coverage_.extend(record.offset.next(), base_, before, running_);
  }
  if (readings.empty()) return;
  const auto [first, last] = std::minmax_element(readings.begin(), readings.end(),
                                                 [](const Decoded& a, const Decoded& b) { return a.time < b.time; });
  for (const Decoded& r : readings) {
    fold_window(*r.record, Reading{r.device.ref(), r.time, r.value}, Window{first->time, last->time});
  }
}

// What fold_batch() will touch, if these records are its batch and others may have folded some of them.
std::vector<ItemKey> PartitionPipeline::batch_keys(std::span<const Record> records) {
  if (records.empty() || records.front().offset >= load_before_) return {};
  std::set<DeviceId> devices;
  std::optional<EventTime> first;
  for (const Record& record : records) {
    Reading reading;
    if (base_.covers(record.offset) || decoder_.decode(record, reading) != DeadLetterReason::kNone) continue;
    devices.insert(DeviceId{reading.device});
    if (!first || reading.event_time < *first) first = reading.event_time;
  }
  std::vector<ItemKey> missing;
  for (const DeviceId& device : devices) {
    if (image(*first, device.ref()) == nullptr) missing.push_back(ItemKey{device, *first});
  }
  return missing;
}

}  // namespace culvert
