// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "model/check.h"
#include "model/mutant.h"
#include "pipeline/partition_pipeline.h"

namespace culvert {

namespace {

std::string item_name(const ItemKey& key) {
  return fmt::format("device {} window {}", key.device.to_text(), format_utc(key.window_start));
}

std::size_t image_bytes(const Image& image) { return sizeof(ItemKey) + sizeof(Image) + image.fences.memory_bytes(); }

bool same_coverage(const Checkpoint& a, const Checkpoint& b) { return a.next == b.next && a.ranges == b.ranges; }

}  // namespace

// What is still to be written of the flush under way.
struct PartitionPipeline::Round {
  std::vector<FlightItem> items;
  std::vector<DeadLetter> dead_letters;
  std::optional<CheckpointPut> checkpoint;
  std::optional<Error> error;  // of the attempt before, if it did not finish
};

// ------------------------------------------------------------------------------------------------------------ begin

bool PartitionPipeline::dirty() const {
  return !stored_ || !panes_.empty() || !windows_.empty() || !dead_letters_.empty() || !coverage_.pieces().empty();
}

Result<PartitionPipeline::FlushStep> PartitionPipeline::begin_flush() {
  CULVERT_CHECK(!flushing(), "a flush is under way");
  Round round;
  round.items = collect_items();
  round.dead_letters = std::exchange(dead_letters_, {});
  dead_letter_bytes_ = 0;

  coverage_.settle(running_);
  flight_ = std::make_unique<Flight>();
  flight_->read = coverage_.read_span();
  const auto until = trailing_mark();
  flight_->pieces = coverage_.take(until);
  if (CULVERT_MUTANT(kLaterMaximum) && !flight_->pieces.empty()) {
    flight_->pieces.back().to.running.max_event_time = running_.max_event_time;
  }
  if (!flight_->pieces.empty() || !stored_) {
    auto put = checkpoint_put();
    if (!put) return put.error();
    round.checkpoint = *std::move(put);
  }
  return send(std::move(round));
}

// Final emission: the checkpoint may not pass the first record of a window that is not written yet.
std::optional<Mark> PartitionPipeline::trailing_mark() const {
  std::optional<Mark> first;
  const auto look = [&](const Buckets& buckets) {
    for (const auto& [start, bucket] : buckets) {
      if (!first || bucket.first.offset < first->offset) first = bucket.first;
    }
  };
  look(panes_);
  look(windows_);
  return first;
}

std::vector<PartitionPipeline::FlightItem> PartitionPipeline::collect_items() {
  std::vector<FlightItem> items;
  if (options_.emission == Emission::kEarly) collect_panes(items);
  collect_windows(items);
  count_device_heap();
  // Sorted, because an ordered table is several times faster to write in its own order.
  std::sort(items.begin(), items.end(), [](const FlightItem& a, const FlightItem& b) {
    return std::tie(a.key.window_start, a.key.device) < std::tie(b.key.window_start, b.key.device);
  });
  // A window may have contributions of its own besides those of its panes.
  auto kept = items.begin();
  for (auto item = items.begin(); item != items.end(); ++item) {
    if (kept != items.begin() && std::prev(kept)->key == item->key) {
      std::prev(kept)->unchecked.merge(item->unchecked);
      if (item->checked) std::prev(kept)->checked.make().merge(*item->checked);
    } else {
      if (kept != item) *kept = std::move(*item);
      ++kept;
    }
  }
  items.erase(kept, items.end());
  return items;
}

// What is left are open windows, for which final emission waits.
void PartitionPipeline::count_device_heap() {
  if (std::exchange(device_heap_bytes_, 0) == 0) return;
  for (const Buckets* buckets : {&panes_, &windows_}) {
    for (const auto& [start, bucket] : *buckets) {
      for (const auto& [device, delta] : bucket.deltas) device_heap_bytes_ += device.heap_bytes();
    }
  }
}

void PartitionPipeline::collect_panes(std::vector<FlightItem>& items) {
  cool_pane();
  if (assigner_.tumbling()) {
    items.reserve(open_deltas());
    for (auto pane = panes_.begin(); pane != panes_.end(); pane = panes_.erase(pane)) {
      for (const auto& [device, delta] : pane->second.deltas) {
        items.push_back(FlightItem{ItemKey{device, pane->first}, pane->second.end, delta, {}});
      }
    }
    return;
  }
  Buckets merged;
  for (const auto& [start, pane] : panes_) {
    for (std::int64_t i = 0; i < assigner_.windows_per_pane(); ++i) {
      const Window window = assigner_.window(start, i);
      auto& target =
          merged
              .try_emplace(window.start,
                           Bucket{window.end, DeltaMap(0, DeviceHash{options_.hash_salt}, DeviceEqual{}), pane.first})
              .first->second;
      for (const auto& [device, delta] : pane.deltas) {
        const auto [at, inserted] = target.deltas.try_emplace(device, delta);
        if (!inserted) at->second.merge(delta);
      }
    }
  }
  panes_.clear();
  for (auto& [start, window] : merged) {
    for (auto& [device, delta] : window.deltas) {
      items.push_back(FlightItem{ItemKey{device, start}, window.end, delta, {}});
    }
  }
}

void PartitionPipeline::collect_windows(std::vector<FlightItem>& items) {
  for (auto at = windows_.begin(); at != windows_.end();) {
    const bool open = options_.emission == Emission::kFinal && at->second.end.value() > closed_before_ms_;
    if (open) {
      ++at;
      continue;
    }
    for (auto& [device, delta] : at->second.deltas) {
      FlightItem item{ItemKey{device, at->first}, at->second.end, {}, {}};
      (delta.checked ? item.checked.make() : item.unchecked) = delta;
      items.push_back(std::move(item));
    }
    at = windows_.erase(at);
  }
}

// ----------------------------------------------------------------------------------------------------------- decide

Result<PartitionPipeline::Decision> PartitionPipeline::decide(const FlightItem& item, ItemPut& put) {
  const Image* known = image(item.key.window_start, item.key.device.ref());
  put.key = item.key;
  put.window_end = item.window_end;
  put.desired = known != nullptr ? *known : Image{};
  put.expected.reset();
  if (known != nullptr && !known->fences.empty()) put.expected = known->fences;

  const Fence& fence = put.desired.fences.at(fence_name_.text());
  Delta delta = item.checked ? *item.checked : Delta{};
  if (item.unchecked.aggregate.count > 0) {
    const FenceFit fit = fence.fit(item.unchecked.contributions);
    if (fit == FenceFit::kCovered && delta.aggregate.count == 0) return Decision::kNothing;
    if (fit != FenceFit::kNew && !(CULVERT_MUTANT(kFoldStraddling) && fit == FenceFit::kStraddles)) {
      return Decision::kRefold;
    }
    delta.merge(item.unchecked);
  }
  if (!merge_fits(put.desired.aggregate, delta.aggregate)) {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("{}: holds more than {} readings, the limit that keeps its sums exact: choose a "
                                    "shorter --window",
                                    item_name(item.key), kCountMost));
  }
  auto advanced = fence.advance(delta.contributions, ReadSpan{base_.next, flight_->read});
  if (!advanced) return advanced.error().within(item_name(item.key));
  put.desired.aggregate.merge(delta.aggregate);
  put.desired.fences.set(fence_name_, *std::move(advanced));
  return Decision::kPut;
}

Result<PartitionPipeline::FlushStep> PartitionPipeline::send(Round round) {
  auto request = std::make_shared<FlushRequest>();
  request->where = where_;
  request->dead_letters = std::move(round.dead_letters);
  request->checkpoint = std::move(round.checkpoint);
  request->items.reserve(round.items.size());
  auto kept = round.items.begin();  // in place: a second vector of so many would be the peak of a flush's memory
  for (FlightItem& item : round.items) {
    ItemPut put;
    const auto decision = decide(item, put);
    if (!decision) return decision.error();
    switch (*decision) {
      case Decision::kRefold:
        return refold();
      case Decision::kNothing:
        stats_.fence_filtered += item.unchecked.aggregate.count;
        break;
      case Decision::kPut:
        request->items.push_back(std::move(put));
        if (&*kept != &item) *kept = std::move(item);
        ++kept;
        break;
    }
  }
  round.items.erase(kept, round.items.end());
  flight_->items = std::move(round.items);
  if (request->items.empty() && request->dead_letters.empty() && !request->checkpoint) {
    flight_.reset();
    // Images that were loaded for records to come have to stay until those are folded.
    if (coverage_.read_next() >= load_before_) forget_images(options_.images_most);
    return FlushStep{FlushState::kDone, nullptr, std::nullopt};
  }
  flight_->request = std::move(request);
  return FlushStep{FlushState::kWrite, flight_->request, std::move(round.error)};
}

// ----------------------------------------------------------------------------------------------------------- settle

Result<PartitionPipeline::FlushStep> PartitionPipeline::on_flush(FlushResult result) {
  CULVERT_CHECK(flushing(), "a result without a flush");
  if (result.error && !result.error->retriable) return *std::move(result.error);
  const auto request = flight_->request;
  CULVERT_CHECK(result.items.size() == request->items.size(), "one outcome for each item");
  Round round;
  round.error = std::move(result.error);
  if (result.dead_letters != PutStatus::kStored) round.dead_letters = request->dead_letters;
  for (std::size_t i = 0; i < result.items.size(); ++i) {
    const auto settled = settle_item(flight_->items[i], request->items[i], result.items[i], round);
    if (!settled) return settled.error();
  }
  if (request->checkpoint) {
    const auto keep = settle_checkpoint(*request->checkpoint, result.checkpoint, round);
    if (!keep) return keep.error();
    if (!*keep) return refold();
  }
  return send(std::move(round));
}

Result<void> PartitionPipeline::settle_item(FlightItem& item, const ItemPut& put, PutOutcome<Image>& outcome,
                                            Round& round) {
  PutStatus status = outcome.status;
  if (status == PutStatus::kUnknown) {
    ++stats_.unknown;
    if (CULVERT_MUTANT(kUnknownIsSuccess)) status = PutStatus::kStored;
    if (CULVERT_MUTANT(kRetryAddsAgain)) {
      item.checked.make().merge(std::exchange(item.unchecked, {}));
      item.checked->checked = true;
    }
  }
  if (status == PutStatus::kStored) {
    ++stats_.puts;
    remember(item.key, put.desired);
    return {};
  }
  if (status == PutStatus::kConflict) {
    ++stats_.conflicts;
    if (!outcome.current && put.expected) {
      return Error::fatal(ErrorKind::kData,
                          fmt::format("{}: its item was in the table and is gone: nothing but culvert and expiry may "
                                      "remove items (expiry must be longer than the allowed lateness)",
                                      item_name(item.key)));
    }
    remember(item.key, outcome.current ? *std::move(outcome.current) : Image{});
    // What was compared record by record was compared with an older version of the item: only the range counts now.
    const bool blind =
        (CULVERT_MUTANT(kRetryAddsAgain) && item.checked) || (CULVERT_MUTANT(kConflictIsOurs) && !put.expected);
    if (blind) {
      item.checked.make().merge(std::exchange(item.unchecked, {}));
    } else {
      if (item.checked) item.unchecked.merge(*std::exchange(item.checked, {}));
      item.unchecked.checked = false;
    }
    const auto window = windows_.find(item.key.window_start);
    if (window != windows_.end()) {
      const auto fresh = window->second.deltas.find(item.key.device);
      if (fresh != window->second.deltas.end()) fresh->second.checked = false;
    }
  }
  // Unknown outcomes keep image and delta, so the very same conditional put is sent again: if the first one was
  // applied after all, it comes back as a conflict whose fence covers the delta.
  round.items.push_back(std::move(item));
  return {};
}

Result<bool> PartitionPipeline::settle_checkpoint(const CheckpointPut& put, PutOutcome<Checkpoint>& outcome,
                                                  Round& round) {
  if (outcome.status == PutStatus::kStored) {
    checkpoint_stored(put.desired);
    return true;
  }
  if (outcome.status != PutStatus::kConflict) {
    round.checkpoint = put;
    return true;
  }
  if (!outcome.current) {
    return Error::fatal(ErrorKind::kData, fmt::format("{}: its checkpoint was in the table and is gone: nothing but "
                                                      "culvert may remove it",
                                                      where_.name()));
  }
  const Checkpoint& current = *outcome.current;
  if (current.definition != base_.definition) {
    return Error::fatal(ErrorKind::kData, fmt::format("{}: another definition was written to this table meanwhile ({})",
                                                      where_.name(), current.definition));
  }
  if (same_coverage(current, put.desired)) {  // our own earlier put, whose reply was lost
    checkpoint_stored(current);
    return true;
  }
  if (CULVERT_MUTANT(kCheckpointBackwards)) {
    round.checkpoint = CheckpointPut{put.desired, current};
    return true;
  }
  coverage_.settle(running_);
  const bool apart = Coverage::drop_covered(flight_->pieces, current, stats_.adopted);
  if (!coverage_.drop_covered(current, stats_.adopted) || !apart) return false;
  adopt(current);
  if (flight_->pieces.empty()) return true;
  auto again = checkpoint_put();
  if (!again) return again.error();
  round.checkpoint = *std::move(again);
  return true;
}

Result<CheckpointPut> PartitionPipeline::checkpoint_put() const {
  CheckpointPut put{base_, stored_};
  for (const Piece& piece : flight_->pieces) {
    auto covered = cover(std::move(put.desired), piece.covered());
    if (!covered) return covered.error().within(where_.name());
    put.desired = *std::move(covered);
  }
  put.desired.emission = options_.emission;
  return put;
}

void PartitionPipeline::checkpoint_stored(const Checkpoint& checkpoint) {
  for (const Piece& piece : flight_->pieces) stats_.durable.add(piece.covered().progress.counts);
  flight_->pieces.clear();
  base_ = checkpoint;
  stored_ = checkpoint;
  if (plain_) {
    // Everything at and above the read position stays as it is: no range of ours lies above it.
    plain_from_ = std::max({plain_from_, base_.ranges.empty() ? Offset{0} : base_.ranges.back().offsets.next});
    plain_ = coverage_.read_next() >= plain_from_;
  } else {
    set_plain_from();
  }
}

// Another writer moved the checkpoint, and none of our unwritten pieces overlaps what it covers now.
void PartitionPipeline::adopt(const Checkpoint& current) {
  base_ = current;
  stored_ = current;
  set_plain_from();
}

PartitionPipeline::FlushStep PartitionPipeline::refold() {
  flight_.reset();
  return FlushStep{FlushState::kRefold, nullptr, std::nullopt};
}

// ----------------------------------------------------------------------------------------------------------- images

Image* PartitionPipeline::image(EventTime window_start, const DeviceRef& device) {
  const auto window = images_.find(window_start);
  if (window == images_.end()) return nullptr;
  const auto found = window->second.find(device);
  return found == window->second.end() ? nullptr : &found->second;
}

void PartitionPipeline::remember(const ItemKey& key, Image image) {
  image.fences.share(fence_name_);
  auto& window =
      images_.try_emplace(key.window_start, ImageMap(0, DeviceHash{options_.hash_salt}, DeviceEqual{})).first->second;
  const auto [at, inserted] = window.try_emplace(key.device);
  if (inserted) {
    ++image_count_;
    image_heap_bytes_ += key.device.heap_bytes();
  } else {
    image_heap_bytes_ -= image_bytes(at->second);
  }
  image_heap_bytes_ += image_bytes(image);
  at->second = std::move(image);
}

// A closed window is written again only if a correction comes; then its first put finds the item by a conflict.  So
// nothing but open windows is worth keeping, and above the budget the oldest of those go too.
void PartitionPipeline::forget_images(std::size_t images_most) {
  const auto drop = [&](std::map<EventTime, ImageMap>::iterator window) {
    for (const auto& [device, image] : window->second) image_heap_bytes_ -= image_bytes(image) + device.heap_bytes();
    image_count_ -= window->second.size();
    return images_.erase(window);
  };
  for (auto window = images_.begin(); window != images_.end();) {
    const bool closed = assigner_.window_at(window->first).end.value() <= closed_before_ms_;
    // What was compared with an image record by record is put under the condition that it is still the same.
    const bool waiting = windows_.contains(window->first);
    window = (closed || image_count_ > images_most) && !waiting ? drop(window) : std::next(window);
  }
}

void PartitionPipeline::shed_images() {
  if (!flushing()) forget_images(0);
}

// ------------------------------------------------------------------------------------------------------------ look

PipelineStats PartitionPipeline::stats() const {
  PipelineStats stats = stats_;
  stats.held = counted_ - stats_.durable.records - stats_.adopted;
  return stats;
}

std::size_t PartitionPipeline::open_deltas() const {
  std::size_t count = 0;
  for (const auto& [start, bucket] : panes_) count += bucket.deltas.size();
  for (const auto& [start, bucket] : windows_) count += bucket.deltas.size();
  return count;
}

std::size_t PartitionPipeline::memory_bytes() const {
  // Open addressing keeps at least an eighth of its slots free and doubles when full: count one and a half of each.
  const std::size_t deltas = open_deltas() * (sizeof(DeltaMap::value_type) * 3 / 2) + device_heap_bytes_;
  const std::size_t flight =
      flight_ ? flight_->items.size() * (sizeof(FlightItem) + sizeof(ItemPut) + sizeof(PutOutcome<Image>)) : 0;
  return deltas + flight + image_heap_bytes_ + image_count_ * (sizeof(ImageMap::value_type) / 2) + dead_letter_bytes_;
}

}  // namespace culvert
