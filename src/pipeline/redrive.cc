// SPDX-License-Identifier: Apache-2.0
#include "pipeline/redrive.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "model/check.h"
#include "model/mutant.h"
#include "pipeline/late_detail.h"

namespace culvert {

namespace {

constexpr char kRepaired = '!';

std::string item_name(const StreamPartition& where, const ItemKey& key) {
  return fmt::format("{}: device {}, window {}", where.name(), key.device.to_text(), format_utc(key.window_start));
}

Error too_many(const StreamPartition& where, const ItemKey& key) {
  return Error::fatal(ErrorKind::kData, fmt::format("{}: would hold more than {} readings, the limit that keeps its "
                                                    "sums exact",
                                                    item_name(where, key), kCountMost));
}

}  // namespace

std::string repaired_fence_name(const StreamPartition& where) { return where.name() + kRepaired; }

std::string_view partition_fence_name(std::string_view name) {
  if (name.ends_with(kRepaired)) name.remove_suffix(1);
  return name;
}

void RedriveStats::add(const RedriveStats& other) {
  letters += other.letters;
  repaired += other.repaired;
  held += other.held;
  broken += other.broken;
  late += other.late;
  generation += other.generation;
  open += other.open;
  expired += other.expired;
  windows += other.windows;
  conflicts += other.conflicts;
  unknown += other.unknown;
}

// ---------------------------------------------------------------------------------------------------------- letters

PartitionRedrive::PartitionRedrive(const RedriveOptions& options, Decoder& decoder, StreamPartition where,
                                   std::optional<Checkpoint> checkpoint)
    : options_(options),
      decoder_(decoder),
      assigner_(options.definition),
      where_(std::move(where)),
      fence_name_(repaired_fence_name(where_)),
      checkpoint_(std::move(checkpoint)) {
  CULVERT_CHECK(options_.definition.kind != WindowKind::kBatch, "windows of deliveries cannot be redriven");
  if (!checkpoint_) return;
  covered_.push_back({Offset{0}, checkpoint_->next});
  for (const CoveredRange& range : checkpoint_->ranges) covered_.push_back(range.offsets);
}

void PartitionRedrive::add(const DeadLetter& letter) {
  ++stats_.letters;
  if (letter.reason == DeadLetterReason::kGeneration) {
    ++stats_.generation;
    return;
  }
  if (!checkpoint_ || !checkpoint_->covers(letter.offset)) {
    ++stats_.open;
    return;
  }
  const bool late = letter.reason == DeadLetterReason::kLate;
  ++(late ? stored_.late : stored_.dead_letters);
  // Of the windows of a late reading, those that it did not miss hold it already, under the partition's own fence.
  const bool some = late && !CULVERT_MUTANT(kRedriveEverywhere);
  const std::int64_t windows = some ? windows_missed(letter.detail) : assigner_.windows_per_pane();
  if (late && (!options_.late || windows == 0)) {
    ++stats_.late;
    left_.push_back(letter.offset);
    return;
  }
  Record record{letter.offset, letter.timestamp, {}, {}};
  if (letter.key) record.key = *letter.key;
  if (letter.value) record.value = *letter.value;
  Reading reading;
  if (decoder_.decode(record, reading) == DeadLetterReason::kNone) return add_reading(letter, reading, windows);
  ++stats_.broken;
  left_.push_back(letter.offset);
}

void PartitionRedrive::add_reading(const DeadLetter& letter, const Reading& reading, std::int64_t windows) {
  // A window that may have expired does not come back with nothing but this reading in it.
  const auto& newest = checkpoint_->progress.max_event_time;
  const auto gone = [&](EventTime end) {
    return options_.expire_after && newest &&
           end + *options_.expire_after <= *newest - options_.definition.out_of_orderness;
  };
  const std::size_t index = folded_.size();
  const EventTime pane = assigner_.pane(reading.event_time);
  bool any = false;
  for (std::int64_t i = 0; i < std::min(windows, assigner_.windows_per_pane()); ++i) {
    const Window window = assigner_.window(pane, i);
    if (gone(window.end)) continue;
    Item& item = items_[ItemKey{DeviceId{reading.device}, window.start}];
    item.window_end = window.end;
    item.contributions.push_back({letter.offset, reading.value, index});
    any = true;
  }
  if (any) {
    folded_.push_back(false);
  } else {
    ++stats_.expired;
    left_.push_back(letter.offset);
  }
}

Result<void> PartitionRedrive::check() const {
  if (!checkpoint_) return {};
  Counts counted = checkpoint_->progress.counts;
  for (const CoveredRange& range : checkpoint_->ranges) counted.add(range.progress.counts);
  // Under hopping windows a reading that is late for some of its windows is a letter too, but counts as folded.
  const bool late_differs = assigner_.tumbling() && counted.late != stored_.late;
  if (counted.dead_letters == stored_.dead_letters && !late_differs) return {};
  return Error::fatal(
      ErrorKind::kData,
      fmt::format("{}: the table holds {} dead letters and {} late readings that its checkpoint covers, but the "
                  "checkpoint counted {} and {}: some may be in their windows already, and nothing was redriven (see "
                  "verify)",
                  where_.name(), stored_.dead_letters, stored_.late, counted.dead_letters, counted.late));
}

// The widest range of offsets around a repaired letter in which every letter takes part.
OffsetRange PartitionRedrive::known_around(Offset offset) const {
  const auto covered =
      std::find_if(covered_.begin(), covered_.end(), [&](const OffsetRange& range) { return range.contains(offset); });
  CULVERT_CHECK(covered != covered_.end(), "a letter above the checkpoint takes no part");
  OffsetRange range = *covered;
  const auto above = std::upper_bound(left_.begin(), left_.end(), offset);
  if (above != left_.end()) range.next = std::min(range.next, *above);
  if (above != left_.begin()) range.first = std::max(range.first, std::prev(above)->next());
  return range;
}

// ------------------------------------------------------------------------------------------------------------ items

// nullopt: the item holds all of them.
Result<std::optional<ItemPut>> PartitionRedrive::put_for(const ItemKey& key, const Item& item) {
  ItemPut put{key, item.window_end, item.image, std::nullopt};
  if (!item.image.fences.empty()) put.expected = item.image.fences;
  const Fence& stored = item.image.fences.at(fence_name_.text());
  Fence fence = stored;
  Accumulator folded;
  for (const Contribution& one : item.contributions) {
    if (stored.covers(one.offset) && !CULVERT_MUTANT(kRedriveAgain)) continue;
    folded.fold(one.value);
    folded_[one.letter] = true;
    auto advanced = fence.advance({one.offset, one.offset.next()}, ReadSpan{Offset{0}, known_around(one.offset)});
    if (!advanced) return advanced.error().within(item_name(where_, key));
    fence = *std::move(advanced);
  }
  if (folded.count == 0) return std::optional<ItemPut>();
  if (!merge_fits(put.desired.aggregate, folded)) return too_many(where_, key);
  put.desired.aggregate.merge(folded);
  put.desired.fences.set(fence_name_, std::move(fence));
  return std::optional(std::move(put));
}

Result<void> PartitionRedrive::load(AggregateTable& table, const Chunk& chunk, const WaitForRetry& wait) {
  std::vector<ItemKey> keys;
  for (const auto* item : chunk) keys.push_back(item->first);
  for (;;) {
    auto images = table.load(keys);
    if (images) {
      for (std::size_t i = 0; i < chunk.size(); ++i) {
        if (auto& image = (*images)[i]; image) chunk[i]->second.image = *std::move(image);
      }
      return {};
    }
    if (!images.error().retriable || !wait(++attempt_, images.error())) return images.error();
  }
}

Result<void> PartitionRedrive::write(AggregateTable& table, Chunk chunk, const WaitForRetry& wait) {
  for (bool again = false; !chunk.empty(); again = true) {
    FlushRequest request;
    request.where = where_;
    Chunk rest;
    for (auto* item : chunk) {
      auto put = put_for(item->first, item->second);
      if (!put) return put.error();
      if (!*put) {
        if (again) ++stats_.windows;  // a put whose reply was lost had been carried out
        continue;
      }
      request.items.push_back(**std::move(put));
      rest.push_back(item);
    }
    if (rest.empty()) return {};
    FlushResult result = table.flush(request);
    if (auto settled = settle(rest, result, request); !settled) return settled;
    if (result.error && !wait(++attempt_, *result.error)) return *result.error;
    chunk = std::move(rest);
  }
  return {};
}

Result<void> PartitionRedrive::settle(Chunk& chunk, FlushResult& result, const FlushRequest& request) {
  if (result.error && !result.error->retriable) return *result.error;
  CULVERT_CHECK(result.items.size() == request.items.size(), "one outcome for each item");
  Chunk again;
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    PutOutcome<Image>& outcome = result.items[i];
    if (outcome.status == PutStatus::kStored) {
      ++stats_.windows;
      continue;
    }
    if (outcome.status == PutStatus::kConflict) {
      ++stats_.conflicts;
      if (!outcome.current && request.items[i].expected) {
        return Error::fatal(ErrorKind::kData,
                            fmt::format("{}: its item was in the table and is gone: nothing but culvert and expiry may "
                                        "remove items",
                                        item_name(where_, chunk[i]->first)));
      }
      chunk[i]->second.image = outcome.current ? *std::move(outcome.current) : Image{};
    } else if (outcome.status == PutStatus::kUnknown) {
      ++stats_.unknown;
    }
    again.push_back(chunk[i]);
  }
  chunk = std::move(again);
  return {};
}

Result<RedriveStats> PartitionRedrive::run(AggregateTable& table, const WaitForRetry& wait, const Tick& tick) {
  const RedriveStats before = stats_;
  std::int64_t items_done = 0;
  std::fill(folded_.begin(), folded_.end(), false);
  for (auto at = items_.begin(); at != items_.end();) {
    Chunk chunk;
    for (; at != items_.end() && chunk.size() < options_.items_at_once; ++at) chunk.push_back(&*at);
    if (auto loaded = load(table, chunk, wait); !loaded) return loaded.error();
    if (auto written = write(table, chunk, wait); !written) return written.error();
    for (auto* item : chunk) item->second.image = Image{};
    items_done += static_cast<std::int64_t>(chunk.size());
    if (tick && !tick(items_done)) {
      return Error::fatal(ErrorKind::kTryAgain,
                          where_.name() + ": interrupted: some letters are redriven, the next run does the others");
    }
  }
  RedriveStats done = std::exchange(stats_, before);
  done.repaired = std::count(folded_.begin(), folded_.end(), true);
  done.held = static_cast<std::int64_t>(folded_.size()) - done.repaired;
  return done;
}

}  // namespace culvert
