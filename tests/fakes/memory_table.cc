// SPDX-License-Identifier: Apache-2.0
#include "fakes/memory_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace culvert::fakes {

FaultPolicy fail_nth(std::uint64_t n, WriteFault fault) {
  return [n, fault](const Write& write) { return write.number == n ? fault : WriteFault::kNone; };
}

FlushResult MemoryTable::flush(const FlushRequest& request) {
  std::unique_lock lock(mutex_);
  ++waiting_;
  uncorked_.wait(lock, [this] { return !corked_; });
  --waiting_;
  Slices slices{*this, request};
  while (slices.step_locked()) {
  }
  return std::move(slices.result());
}

std::optional<MemoryTable::Failure> MemoryTable::attempt(WriteKind kind, const FlushRequest& request,
                                                         const ItemKey* item, const std::function<void()>& apply,
                                                         const std::function<void()>& apply_later) {
  const Write write{kind, ++counters_.writes, request.where, item};
  const auto unknown = [&](const char* what) {
    return Failure{
        PutStatus::kUnknown,
        Error::retriable_error(ErrorKind::kUnavailable, fmt::format("memory table: write {}: {}", write.number, what))};
  };
  switch (policy_ ? policy_(write) : WriteFault::kNone) {
    case WriteFault::kNone:
      apply();
      return std::nullopt;
    case WriteFault::kLost:
      return unknown("no reply");
    case WriteFault::kReplyLost:
      apply();
      return unknown("no reply");
    case WriteFault::kDelayed:
      delayed_.push_back(apply_later);
      return unknown("no reply");
    case WriteFault::kThrottled:
      return Failure{PutStatus::kNotTried,
                     Error::retriable_error(ErrorKind::kTryAgain,
                                            fmt::format("memory table: write {} was throttled", write.number))};
    case WriteFault::kRepeated:
      apply();
      apply();
      return std::nullopt;
    case WriteFault::kEchoed:
      apply();
      delayed_.push_back(apply_later);
      return std::nullopt;
    case WriteFault::kRefused:
      return Failure{PutStatus::kNotTried,
                     Error::fatal(ErrorKind::kIo, fmt::format("memory table: write {} was refused", write.number))};
  }
  CULVERT_CHECK(false, "unknown fault");
}

MemoryTable::Slices::Slices(MemoryTable& table, const FlushRequest& request)
    : table_(table),
      request_(request),
      phase_(table.shape_ == Shape::kTransactions ? Phase::kTransaction : Phase::kDeadLetters) {
  result_.items.resize(request.items.size());
}

bool MemoryTable::Slices::step() {
  const std::lock_guard lock(table_.mutex_);
  return step_locked();
}

bool MemoryTable::Slices::step_locked() {
  if (phase_ == Phase::kDeadLetters && at_ == request_.dead_letters.size()) {
    result_.dead_letters = PutStatus::kStored;
    phase_ = table_.checkpoint_first_ ? Phase::kCheckpoint : Phase::kItems;
    at_ = 0;
  }
  if (phase_ == Phase::kItems && at_ == request_.items.size()) after_items();
  if (phase_ == Phase::kCheckpoint && !request_.checkpoint) {
    phase_ = table_.checkpoint_first_ ? Phase::kItems : Phase::kDone;
    if (phase_ == Phase::kItems && request_.items.empty()) phase_ = Phase::kDone;
  }
  switch (phase_) {
    case Phase::kDeadLetters:
      dead_letter();
      return true;
    case Phase::kItems:
      item();
      return true;
    case Phase::kCheckpoint:
      checkpoint();
      return true;
    case Phase::kTransaction:
      table_.flush_transaction(request_, result_);
      phase_ = Phase::kDone;
      return true;
    case Phase::kDone:
      break;
  }
  return false;
}

void MemoryTable::Slices::dead_letter() {
  const DeadLetter& letter = request_.dead_letters[at_++];
  const auto failure = table_.attempt(
      WriteKind::kDeadLetter, request_, nullptr, [&] { table_.apply_dead_letter(letter); },
      [&table = table_, letter] { table.apply_dead_letter(letter); });
  if (!failure) return;
  result_.dead_letters = failure->status;
  result_.error = failure->error;
  phase_ = Phase::kDone;
}

// A retriable failure of one item does not keep the others from being tried, as they travel side by side.
void MemoryTable::Slices::item() {
  const ItemPut& put = request_.items[at_];
  PutOutcome<Image>& outcome = result_.items[at_];
  ++at_;
  Applied<Image> applied;
  const auto failure = table_.attempt(
      WriteKind::kItem, request_, &put.key, [&] { applied = table_.apply_item(put); },
      [&table = table_, put] { table.apply_item(put); });
  if (failure) {
    outcome.status = failure->status;
    if (!result_.error || !failure->error.retriable) result_.error = failure->error;
    if (!failure->error.retriable) phase_ = Phase::kDone;
  } else {
    outcome.status = applied.stored ? PutStatus::kStored : PutStatus::kConflict;
    outcome.current = std::move(applied.current);
  }
}

void MemoryTable::Slices::after_items() {
  const bool all_stored = std::all_of(result_.items.begin(), result_.items.end(), [](const PutOutcome<Image>& outcome) {
    return outcome.status == PutStatus::kStored;
  });
  phase_ = all_stored && !table_.checkpoint_first_ ? Phase::kCheckpoint : Phase::kDone;
}

void MemoryTable::Slices::checkpoint() {
  const CheckpointPut& put = *request_.checkpoint;
  const StreamPartition& where = request_.where;
  Applied<Checkpoint> applied;
  const auto failure = table_.attempt(
      WriteKind::kCheckpoint, request_, nullptr, [&] { applied = table_.apply_checkpoint(where, put); },
      [&table = table_, where, put] { table.apply_checkpoint(where, put); });
  if (failure) {
    result_.checkpoint.status = failure->status;
    result_.error = failure->error;
  } else {
    result_.checkpoint.status = applied.stored ? PutStatus::kStored : PutStatus::kConflict;
    result_.checkpoint.current = std::move(applied.current);
  }
  phase_ = table_.checkpoint_first_ ? Phase::kItems : Phase::kDone;
}

void MemoryTable::flush_transaction(const FlushRequest& request, FlushResult& result) {
  const auto failure = attempt(
      WriteKind::kTransaction, request, nullptr, [&] { result = apply_transaction(request); },
      [this, request] { apply_transaction(request); });
  if (!failure) return;
  result.dead_letters = failure->status;
  for (PutOutcome<Image>& outcome : result.items) outcome.status = failure->status;
  if (request.checkpoint) result.checkpoint.status = failure->status;
  result.error = failure->error;
}

FlushResult MemoryTable::apply_transaction(const FlushRequest& request) {
  FlushResult result;
  for (const DeadLetter& letter : request.dead_letters) apply_dead_letter(letter);
  result.dead_letters = PutStatus::kStored;
  bool conflict = false;
  for (const ItemPut& put : request.items) {
    Applied<Image> applied = apply_item(put);
    conflict = conflict || !applied.stored;
    result.items.push_back({applied.stored ? PutStatus::kStored : PutStatus::kConflict, std::move(applied.current)});
  }
  if (request.checkpoint && !conflict) {
    Applied<Checkpoint> applied = apply_checkpoint(request.where, *request.checkpoint);
    result.checkpoint = {applied.stored ? PutStatus::kStored : PutStatus::kConflict, std::move(applied.current)};
  }
  return result;
}

void MemoryTable::apply_dead_letter(const DeadLetter& letter) {
  const bool inserted = dead_letters_.try_emplace({letter.where, letter.offset}, letter).second;
  if (inserted && dead_letter_observer_) dead_letter_observer_(letter);
}

MemoryTable::Applied<Image> MemoryTable::apply_item(const ItemPut& put) {
  const auto found = items_.find(put.key);
  const Image* before = found == items_.end() ? nullptr : &found->second.image;
  const bool holds = put.expected ? before != nullptr && before->fences == *put.expected : before == nullptr;
  if (!holds) {
    ++counters_.conflicts;
    return {false, before != nullptr ? std::optional<Image>(*before) : std::nullopt};
  }
  ++counters_.items_stored;
  if (observer_) observer_(put.key, before, put.desired);
  items_[put.key] = StoredItem{put.key, put.window_end, put.desired};
  return {true, std::nullopt};
}

MemoryTable::Applied<Checkpoint> MemoryTable::apply_checkpoint(const StreamPartition& where, const CheckpointPut& put) {
  const auto found = checkpoints_.find(where);
  const Checkpoint* before = found == checkpoints_.end() ? nullptr : &found->second;
  const bool holds =
      put.expected ? before != nullptr && before->next == put.expected->next && before->ranges == put.expected->ranges
                   : before == nullptr;
  if (!holds) {
    ++counters_.conflicts;
    return {false, before != nullptr ? std::optional<Checkpoint>(*before) : std::nullopt};
  }
  ++counters_.checkpoints_stored;
  if (checkpoint_observer_) checkpoint_observer_(where, before, put.desired);
  checkpoints_[where] = put.desired;
  return {true, std::nullopt};
}

bool MemoryTable::take_read_failure() {
  if (read_failures_ == 0) return false;
  --read_failures_;
  return true;
}

Result<std::vector<std::optional<Image>>> MemoryTable::load(std::span<const ItemKey> keys) {
  const std::lock_guard lock(mutex_);
  if (take_read_failure()) return Error::retriable_error(ErrorKind::kUnavailable, "memory table: read failed");
  std::vector<std::optional<Image>> images;
  images.reserve(keys.size());
  for (const ItemKey& key : keys) {
    const auto found = items_.find(key);
    images.push_back(found == items_.end() ? std::nullopt : std::optional<Image>(found->second.image));
  }
  return images;
}

Result<std::optional<Checkpoint>> MemoryTable::load_checkpoint(const StreamPartition& where) {
  const std::lock_guard lock(mutex_);
  if (take_read_failure()) return Error::retriable_error(ErrorKind::kUnavailable, "memory table: read failed");
  const auto found = checkpoints_.find(where);
  return found == checkpoints_.end() ? std::nullopt : std::optional<Checkpoint>(found->second);
}

Result<void> MemoryTable::scan_items(const ItemFilter& filter, const std::function<bool(const StoredItem&)>& visit) {
  const std::lock_guard lock(mutex_);
  for (const auto& [key, item] : items_) {
    if (filter.device && key.device != *filter.device) continue;
    if (filter.from && key.window_start < *filter.from) continue;
    if (filter.to && key.window_start >= *filter.to) continue;
    if (!visit(item)) break;
  }
  return {};
}

Result<std::vector<PartitionCheckpoint>> MemoryTable::checkpoints() {
  const std::lock_guard lock(mutex_);
  std::vector<PartitionCheckpoint> all;
  for (const auto& [where, checkpoint] : checkpoints_) all.push_back({where, checkpoint});
  return all;
}

Result<void> MemoryTable::scan_dead_letters(const std::function<bool(const DeadLetter&)>& visit) {
  const std::lock_guard lock(mutex_);
  for (const auto& [position, letter] : dead_letters_) {
    if (!visit(letter)) break;
  }
  return {};
}

void MemoryTable::set_faults(FaultPolicy policy) {
  const std::lock_guard lock(mutex_);
  policy_ = std::move(policy);
}

void MemoryTable::set_observer(ItemObserver observer) {
  const std::lock_guard lock(mutex_);
  observer_ = std::move(observer);
}

void MemoryTable::set_checkpoint_observer(CheckpointObserver observer) {
  const std::lock_guard lock(mutex_);
  checkpoint_observer_ = std::move(observer);
}

void MemoryTable::set_dead_letter_observer(DeadLetterObserver observer) {
  const std::lock_guard lock(mutex_);
  dead_letter_observer_ = std::move(observer);
}

void MemoryTable::fail_reads(int count) {
  const std::lock_guard lock(mutex_);
  read_failures_ = count;
}

std::size_t MemoryTable::release_delayed() {
  const std::lock_guard lock(mutex_);
  const auto landing = std::exchange(delayed_, {});
  for (const auto& apply : landing) apply();
  return landing.size();
}

void MemoryTable::cork() {
  const std::lock_guard lock(mutex_);
  corked_ = true;
}

void MemoryTable::uncork() {
  const std::lock_guard lock(mutex_);
  corked_ = false;
  uncorked_.notify_all();
}

bool MemoryTable::flush_waiting() const {
  const std::lock_guard lock(mutex_);
  return corked_ && waiting_ > 0;
}

void MemoryTable::expire(const ItemKey& key) {
  const std::lock_guard lock(mutex_);
  items_.erase(key);
}

MemoryTable::Counters MemoryTable::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace culvert::fakes
