// SPDX-License-Identifier: Apache-2.0
#include "pipeline/group_member.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "model/check.h"
#include "model/mutant.h"

namespace culvert {

GroupMember::OwnedRecord::OwnedRecord(const Record& record) : offset(record.offset), timestamp(record.timestamp) {
  if (record.key) key = std::string(*record.key);
  if (record.value) value = std::string(*record.value);
}

Record GroupMember::OwnedRecord::borrow() const {
  Record record{offset, timestamp, {}, {}};
  if (key) record.key = *key;
  if (value) record.value = *value;
  return record;
}

std::size_t GroupMember::OwnedRecord::memory_bytes() const {
  return sizeof(OwnedRecord) + (key ? key->size() : 0) + (value ? value->size() : 0);
}

GroupMember::GroupMember(MemberOptions options, Decoder& decoder, MemberEffects& effects)
    : options_(std::move(options)), decoder_(decoder), effects_(effects) {}

const GroupMember::Slot* GroupMember::find(const Claim& claim) const {
  const auto found = slots_.find(claim.partition);
  if (found == slots_.end()) return nullptr;
  const bool same = found->second.claim == claim || CULVERT_MUTANT(kStateByPartition);
  return same ? &found->second : nullptr;
}

GroupMember::Slot* GroupMember::find(const Claim& claim) {
  return const_cast<Slot*>(std::as_const(*this).find(claim));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
}

// ------------------------------------------------------------------------------------------------ assign and revoke

void GroupMember::on_assigned(std::span<const Claim> claims) {
  for (const Claim& claim : claims) {
    if (CULVERT_MUTANT(kStateByPartition) && slots_.contains(claim.partition)) {
      Slot& kept = slots_.at(claim.partition);
      kept.claim = claim;
      kept.draining = false;
      if (kept.pipeline) {
        effects_.read_from(claim, kept.pipeline->read_next());
        continue;
      }
    }
    CULVERT_CHECK(!slots_.contains(claim.partition) || CULVERT_MUTANT(kStateByPartition),
                  "a partition was assigned before it was given back");
    Slot& slot = slots_[claim.partition];
    slot.claim = claim;
    slot.state = State::kLoading;
    effects_.load(claim);
  }
}

void GroupMember::on_revoked(std::span<const Claim> claims, bool lost) {
  for (const Claim& claim : claims) {
    Slot* slot = find(claim);
    if (slot == nullptr) continue;
    if (CULVERT_MUTANT(kStateByPartition)) {
      effects_.drained(claim);
      continue;
    }
    slot->draining = true;
    if (lost || slot->state != State::kReading) {
      forget(claim);
    } else if (!slot->pipeline->flushing()) {
      begin_flush(*slot);
    }
  }
}

void GroupMember::abandon(const Claim& claim) {
  if (find(claim) != nullptr) forget(claim);
}

void GroupMember::forget(const Claim& claim) {
  Slot* slot = find(claim);
  if (slot == nullptr) return;
  if (slot->pipeline) past_.add(slot->pipeline->stats());
  const Claim gone = slot->claim;
  slots_.erase(gone.partition);
  effects_.drained(gone);
  watch_memory();
}

// ------------------------------------------------------------------------------------------------------------- load

Result<void> GroupMember::check_log(const StreamPartition& where, const Checkpoint& checkpoint,
                                    const LogState& log) const {
  const std::string anew = fmt::format("if the topic was made anew, start its new incarnation with --generation {}",
                                       options_.generation + 1);
  if (!checkpoint.topic_id.empty() && !log.topic_id.empty() && checkpoint.topic_id != log.topic_id) {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("{}: the topic's id is {}, the checkpoint was written for id {}: {}", where.name(),
                                    log.topic_id, checkpoint.topic_id, anew));
  }
  if (checkpoint.next > log.end && !checkpoint.topic_id.empty() && checkpoint.topic_id == log.topic_id) {
    return Error::fatal(
        ErrorKind::kData,
        fmt::format("{}: the log has lost records that were folded: it is the same topic, and ends at offset {}, below "
                    "the checkpoint's next offset {} (unclean leader election): fold the log into a new table, or go "
                    "on in this one with --generation {} and --start at a time after the loss",
                    where.name(), log.end.value(), checkpoint.next.value(), options_.generation + 1));
  }
  if (checkpoint.next > log.end) {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("{}: the checkpoint's next offset {} is above the log end offset {}: {}"
                                    " (or records were lost by an unclean leader election)",
                                    where.name(), checkpoint.next.value(), log.end.value(), anew));
  }
  // A function begins every checkpoint at offset 0, wherever its event source began: below its first batch nothing was
  // ever promised.  It does not know the topic's id.
  const bool promised = checkpoint.next != checkpoint.start || !checkpoint.topic_id.empty();
  if (checkpoint.next < log.start && promised && !options_.accept_loss) {
    return Error::fatal(
        ErrorKind::kData,
        fmt::format(
            "{}: retention removed {} records before they were read (checkpoint's next offset {}, log start offset "
            "{}): go on without them by --accept-loss",
            where.name(), log.start - checkpoint.next, checkpoint.next.value(), log.start.value()));
  }
  const bool replays = options_.replay_from && !replayed_.contains(where.partition);
  if (replays && checkpoint.start < log.start && !checkpoint.topic_id.empty() && !options_.accept_loss) {
    return Error::fatal(
        ErrorKind::kData,
        fmt::format("{}: the log begins at offset {}, above {} where folding began: without its front a replay cannot "
                    "judge lateness as it was judged, nor fill a window that is missing; replay what is left by "
                    "--accept-loss",
                    where.name(), log.start.value(), checkpoint.start.value()));
  }
  return {};
}

void GroupMember::on_loaded(const Claim& claim, const std::optional<Checkpoint>& checkpoint, const LogState& log) {
  Slot* slot = find(claim);
  if (slot == nullptr || slot->state != State::kLoading) return;
  start(*slot, checkpoint, log);
}

void GroupMember::start(Slot& slot, const std::optional<Checkpoint>& checkpoint, const LogState& log) {
  PipelineStart begin;
  begin.where = StreamPartition{options_.topic, options_.generation, slot.claim.partition};
  begin.assignment = slot.claim.assignment;
  begin.checkpoint_stored = checkpoint.has_value();
  if (checkpoint) {
    begin.checkpoint = *checkpoint;
    if (const auto sound = check_log(begin.where, *checkpoint, log); !sound) return effects_.fail(sound.error());
  } else {
    begin.checkpoint.start = begin.checkpoint.next = log.wanted;
  }
  if (!log.topic_id.empty()) begin.checkpoint.topic_id = log.topic_id;
  const Offset next = begin.checkpoint.next;
  begin.read_first = next;
  begin.load_before = slot.load_before;
  if (options_.replay_from && checkpoint && !replayed_.contains(slot.claim.partition)) {
    Offset known = next;
    if (!checkpoint->ranges.empty()) known = checkpoint->ranges.back().offsets.next;
    begin.replay_from = *options_.replay_from;
    begin.read_first = std::min(next, std::max(checkpoint->start, log.start));
    begin.load_before = std::max(begin.load_before, known);
    slot.replay_until = known;
  }
  const Offset read_first = begin.read_first;
  auto pipeline = PartitionPipeline::create(options_.pipeline, decoder_, std::move(begin));
  if (!pipeline) return effects_.fail(pipeline.error());
  slot.pipeline = *std::move(pipeline);
  // What retention removed is dealt with (check_log said so): the checkpoint has to get past it.
  if (read_first < log.start) slot.pipeline->skip_to(log.start);
  slot.state = State::kReading;
  slot.committed.reset();
  commit(slot);
  effects_.read_from(slot.claim, slot.pipeline->read_next());
  // A refold may have begun while images were being loaded, or have made the room that reading waits for.
  set_paused(slot, paused_for_memory_);
  watch_memory();
}

// ---------------------------------------------------------------------------------------------------------- records

void GroupMember::on_records(const Claim& claim, std::span<const Record> records) {
  Slot* slot = find(claim);
  if (slot == nullptr || records.empty()) return;
  if (slot->state == State::kLoadingImages) {
    for (const Record& record : records) slot->waiting.emplace_back(record);
    return;
  }
  if (slot->state != State::kReading || slot->draining) return;
  auto missing = slot->pipeline->missing_images(records);
  if (missing.empty()) {
    fold(*slot, records);
    watch_memory();
    return;
  }
  for (const Record& record : records) slot->waiting.emplace_back(record);
  slot->state = State::kLoadingImages;
  set_paused(*slot, true);
  effects_.load_images(claim, std::move(missing));
}

void GroupMember::on_images(const Claim& claim, std::span<const ItemKey> keys,
                            std::vector<std::optional<Image>> images) {
  Slot* slot = find(claim);
  if (slot == nullptr || slot->state != State::kLoadingImages) return;
  slot->pipeline->provide_images(keys, std::move(images));
  std::vector<Record> records;
  records.reserve(slot->waiting.size());
  for (const OwnedRecord& record : slot->waiting) records.push_back(record.borrow());
  auto missing = slot->pipeline->missing_images(records);
  if (!missing.empty()) {  // more records came in while the first images were loaded
    effects_.load_images(claim, std::move(missing));
    return;
  }
  slot->state = State::kReading;
  const auto owned = std::exchange(slot->waiting, {});
  fold(*slot, records);
  slot->pipeline->skip_to(std::exchange(slot->waiting_next, Offset{0}));
  set_paused(*slot, paused_for_memory_);
  watch_memory();
}

void GroupMember::on_position(const Claim& claim, Offset next) {
  Slot* slot = find(claim);
  if (slot == nullptr || slot->draining) return;
  if (slot->state == State::kLoadingImages) slot->waiting_next = next;
  if (slot->state == State::kReading) slot->pipeline->skip_to(next);
}

void GroupMember::fold(Slot& slot, std::span<const Record> records) {
  const auto folded = slot.pipeline->fold(records);
  if (!folded) effects_.fail(folded.error());
}

// ------------------------------------------------------------------------------------------------------------ flush

void GroupMember::flush_all() {
  std::vector<Claim> due;
  for (const auto& [partition, slot] : slots_) {
    if (slot.state == State::kReading && !slot.pipeline->flushing() && slot.pipeline->dirty())
      due.push_back(slot.claim);
  }
  for (const Claim& claim : due) {
    Slot* slot = find(claim);
    if (slot != nullptr && slot->state == State::kReading && !slot->pipeline->flushing()) begin_flush(*slot);
  }
  relieve_memory();
}

void GroupMember::begin_flush(Slot& slot) {
  if (CULVERT_MUTANT(kCommitFirst)) effects_.commit(slot.claim, slot.pipeline->read_next());
  slot.replay_flushing = slot.pipeline->read_next() >= slot.replay_until;
  take_step(slot, slot.pipeline->begin_flush());
}

void GroupMember::on_flushed(const Claim& claim, FlushResult result) {
  Slot* slot = find(claim);
  if (slot == nullptr || !slot->pipeline || !slot->pipeline->flushing()) return;
  take_step(*slot, slot->pipeline->on_flush(std::move(result)));
}

void GroupMember::take_step(Slot& slot, Result<PartitionPipeline::FlushStep> step) {
  if (!step) return effects_.fail(step.error());
  switch (step->state) {
    case PartitionPipeline::FlushState::kWrite:
      commit(slot);
      effects_.flush(slot.claim, std::move(step->request), step->error);
      return;
    case PartitionPipeline::FlushState::kRefold:
      refold(slot);
      return;
    case PartitionPipeline::FlushState::kDone:
      if (slot.replay_flushing) replayed_.insert(slot.claim.partition);
      commit(slot);
      if (slot.draining) return finish_drain(slot);
      watch_memory();
      return;
  }
}

// A flush can leave something behind only if records came in meanwhile; with final emission open windows stay
// unwritten.
void GroupMember::finish_drain(Slot& slot) {
  auto step = slot.pipeline->begin_flush();
  if (step && step->state == PartitionPipeline::FlushState::kDone) return forget(slot.claim);
  take_step(slot, std::move(step));
}

// Somebody else folded part of what we hold: drop it, and fold again from the checkpoint record by record.
void GroupMember::refold(Slot& slot) {
  ++refolds_;
  if (slot.draining) return forget(slot.claim);  // the next owner reads from the checkpoint anyway
  past_.add(slot.pipeline->stats());
  slot.load_before = std::max(slot.load_before, slot.pipeline->read_next());
  slot.pipeline.reset();
  slot.waiting.clear();
  slot.waiting_next = Offset{0};
  slot.replay_flushing = false;
  slot.state = State::kLoading;
  effects_.load(slot.claim);
}

void GroupMember::commit(Slot& slot) {
  const auto& stored = slot.pipeline->stored_checkpoint();
  if (!stored || (slot.committed && *slot.committed >= stored->next)) return;
  slot.committed = stored->next;
  effects_.commit(slot.claim, stored->next);
}

// ----------------------------------------------------------------------------------------------------------- memory

// Images only save conflicts: they go before reading is paused, and before it is decided to stay paused.
void GroupMember::watch_memory() {
  const std::size_t limit = options_.memory_limit_bytes;
  const auto too_much = [&](std::size_t used) { return paused_for_memory_ ? used * 2 > limit : used > limit; };
  bool pause = too_much(memory_bytes());
  if (pause) {
    for (auto& [partition, slot] : slots_) {
      if (slot.state == State::kReading) slot.pipeline->shed_images();
    }
    pause = too_much(memory_bytes());
  }
  if (pause == paused_for_memory_) return;
  paused_for_memory_ = pause;
  for (auto& [partition, slot] : slots_) {
    if (slot.state == State::kReading) set_paused(slot, pause);
  }
}

// Reading waits for flushes to make room.  With none under way, what is held are open windows (final emission), and
// only reading on can close them.
void GroupMember::relieve_memory() {
  watch_memory();
  if (!paused_for_memory_) return;
  const bool under_way = std::any_of(slots_.begin(), slots_.end(), [](const auto& entry) {
    return entry.second.state != State::kReading || entry.second.pipeline->flushing();
  });
  if (under_way) return;
  if (memory_bytes() > options_.memory_limit_bytes) {
    return effects_.fail(Error::fatal(
        ErrorKind::kConfiguration,
        fmt::format("the windows that are open hold {} bytes, more than the memory limit of {}: raise --memory-limit, "
                    "or use --emit early",
                    memory_bytes(), options_.memory_limit_bytes)));
  }
  paused_for_memory_ = false;
  for (auto& [partition, slot] : slots_) set_paused(slot, false);
}

void GroupMember::set_paused(Slot& slot, bool paused) {
  if (slot.paused == paused) return;
  slot.paused = paused;
  if (paused) {
    effects_.pause(slot.claim);
  } else {
    effects_.resume(slot.claim);
  }
}

std::size_t GroupMember::memory_bytes() const {
  std::size_t bytes = 0;
  for (const auto& [partition, slot] : slots_) {
    if (slot.pipeline) bytes += slot.pipeline->memory_bytes();
    for (const OwnedRecord& record : slot.waiting) bytes += record.memory_bytes();
  }
  return bytes;
}

// ------------------------------------------------------------------------------------------------------------- look

bool GroupMember::idle() const {
  return std::all_of(slots_.begin(), slots_.end(), [](const auto& entry) {
    const Slot& slot = entry.second;
    return slot.state == State::kReading && !slot.pipeline->flushing() && !slot.pipeline->dirty();
  });
}

std::vector<PartitionView> GroupMember::view() const {
  std::vector<PartitionView> all;
  for (const auto& [partition, slot] : slots_) {
    PartitionView view;
    view.claim = slot.claim;
    view.reading = slot.state == State::kReading;
    if (slot.pipeline) {
      view.read_next = slot.pipeline->read_next();
      const auto& stored = slot.pipeline->stored_checkpoint();
      if (stored) view.checkpoint_next = stored->next;
      view.max_event_time = slot.pipeline->max_event_time();
      view.watermark = slot.pipeline->watermark();
      view.open_deltas = slot.pipeline->open_deltas();
      view.memory_bytes = slot.pipeline->memory_bytes();
    }
    all.push_back(view);
  }
  return all;
}

PipelineStats GroupMember::stats() const {
  PipelineStats stats = past_;
  for (const auto& [partition, slot] : slots_) {
    if (slot.pipeline) stats.add(slot.pipeline->stats());
  }
  return stats;
}

}  // namespace culvert
