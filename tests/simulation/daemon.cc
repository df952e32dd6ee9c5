// SPDX-License-Identifier: Apache-2.0
#include "simulation/daemon.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace culvert::simulation {

Daemon::Daemon(Shared& shared, int number, std::function<void(const Claim&)> drained)
    : shared_(shared), number_(number), on_drained_(std::move(drained)), decoder_(shared.world.decoder()) {}

const VirtualPartition& Daemon::log(const Claim& claim) const {
  return shared_.world.partitions()[static_cast<std::size_t>(claim.partition.value())];
}

LogState Daemon::log_state(const Claim& claim) const {
  const VirtualPartition& from = log(claim);
  return LogState{from.log_start, from.log_end(), from.log_start, "topic-id"};
}

// ---------------------------------------------------------------------------------------------------------- process

void Daemon::start(std::optional<Offset> replay_from) {
  const Inclination& inclination = shared_.world.inclination();
  MemberOptions options;
  options.pipeline.definition = shared_.world.definition();
  options.pipeline.emission = inclination.emission;
  if (inclination.mixed_emission && !shared_.healed && shared_.rng.chance(50)) {
    options.pipeline.emission = Emission::kFinal;
  }
  options.pipeline.images_most = inclination.images_most;
  options.topic = log(Claim{}).where.topic;
  options.memory_limit_bytes = inclination.memory_limit_bytes;
  options.replay_from = replay_from;
  // A function's checkpoint begins at 0 wherever the log does, and a daemon that goes on from it cannot tell.
  options.accept_loss = replay_from.has_value();
  trace("starts");
  member_ = std::make_unique<GroupMember>(std::move(options), *decoder_, *this);
  readers_.clear();
  operations_.clear();
  delivered_ = 0;
  paused_ = false;
  failed_ = false;
}

// Some of what the process had sent arrives nevertheless.
void Daemon::crash() {
  trace("crashes");
  for (Operation& operation : operations_) {
    for (auto steps = shared_.rng.below(4); steps > 0 && operation.wire(); --steps) {
    }
  }
  operations_.clear();
  readers_.clear();
  member_.reset();
  paused_ = false;
  failed_ = false;
}

std::vector<Claim> Daemon::next_claims(const std::vector<PartitionId>& partitions) {
  for (const PartitionId partition : partitions) {
    coming_.push_back(Claim{partition, AssignmentId{++assignments_}});
    readers_[coming_.back()] = Reader{};
    trace("is assigned {}", coming_.back());
  }
  return coming_;
}

void Daemon::assign() { member_->on_assigned(std::exchange(coming_, {})); }

std::optional<Claim> Daemon::held(PartitionId partition) const {
  for (const auto& [claim, state] : readers_) {
    if (claim.partition == partition && !state.drained) return claim;
  }
  return std::nullopt;
}

void Daemon::revoke(const std::vector<Claim>& claims, bool lost) {
  for (const Claim& claim : claims) trace("{} {}", lost ? "lost" : "is to give back", claim);
  member_->on_revoked(claims, lost);
}

void Daemon::revoke_later(const std::vector<Claim>& claims) {
  operations_.push_back(
      Operation{"loss", claims.front(), [] { return false; }, [this, claims] { revoke(claims, true); }});
}

bool Daemon::step() {
  if (!running()) return false;
  Rng& rng = shared_.rng;
  bool moved = false;
  const std::vector<Claim> ready = paused_ ? std::vector<Claim>{} : fetchable();
  if (!operations_.empty() && (ready.empty() || rng.chance(60))) {
    moved = step_operation();
  } else if (!ready.empty()) {
    moved = fetch();
  }
  if (!paused_ && running() && !shared_.healed && rng.chance(5)) {
    for (const auto& [claim, state] : readers_) {
      if (rng.chance(50)) {
        say_position(claim);
        break;
      }
    }
  }
  if (failed_) crash();
  if (running()) check_stats();
  return moved;
}

void Daemon::flush_all() {
  if (running() && !paused_) member_->flush_all();
  if (failed_) crash();
}

void Daemon::check_stats() { shared_.checker.on_stats(member_->stats(), delivered_); }

bool Daemon::settled() const {
  return operations_.empty() && std::all_of(readers_.begin(), readers_.end(), [&](const auto& entry) {
           const auto& [claim, state] = entry;
           return state.drained || (state.reading && !state.fetching && state.told_end >= log(claim).log_end());
         });
}

std::string Daemon::status() const {
  std::string text = fmt::format("daemon {}{}{}:", number_, running() ? "" : " down", paused_ ? " paused" : "");
  for (const auto& [claim, state] : readers_) {
    if (state.drained) continue;
    text += fmt::format(" {} at {} of {}{}{}", claim, state.position.value(), log(claim).log_end().value(),
                        state.reading ? "" : " not reading", state.paused ? " paused" : "");
  }
  for (const Operation& operation : operations_) text += fmt::format(", {} of {}", operation.what, operation.claim);
  if (running()) text += fmt::format(", {} bytes", member_->memory_bytes());
  return text;
}

// ------------------------------------------------------------------------------------------------------- operations

void Daemon::submit(Operation operation) {
  const bool at_once = depth_ < 8 && !paused_ && shared_.rng.chance(shared_.world.inclination().answer_at_once_percent);
  if (!at_once) {
    operations_.push_back(std::move(operation));
    return;
  }
  ++depth_;
  while (operation.wire()) {
  }
  operation.answer();
  --depth_;
}

bool Daemon::step_operation() {
  Rng& rng = shared_.rng;
  const auto at = static_cast<std::size_t>(rng.below(operations_.size()));
  if (operations_[at].wire()) return true;
  if (paused_) return false;
  const Operation operation = std::move(operations_[at]);
  operations_.erase(operations_.begin() + static_cast<std::ptrdiff_t>(at));
  operation.answer();
  return true;
}

Daemon::Reader& Daemon::reader(const Claim& claim, const char* effect) {
  const auto found = readers_.find(claim);
  if (found == readers_.end() || found->second.drained) {
    shared_.checker.violate(fmt::format("daemon {}: {} of {}, which is not assigned any more", number_, effect, claim));
  }
  return readers_[claim];
}

void Daemon::load(const Claim& claim) {
  Reader& state = reader(claim, "load");
  state.reading = false;
  struct Answer {
    std::optional<Checkpoint> checkpoint;
    LogState log;
    bool loaded = false;
  };
  auto answer = std::make_shared<Answer>();
  const auto wire = [this, claim, answer] {
    if (answer->loaded) return false;
    // The checkpoint first: an end that is asked for later can only be behind it.
    auto stored = shared_.table.at_once().load_checkpoint(log(claim).where);
    if (!stored) return true;
    *answer = Answer{*std::move(stored), log_state(claim), true};
    return true;
  };
  submit(Operation{"load", claim, wire, [this, claim, answer] {
                     trace("{} loaded, checkpoint {}", claim,
                           answer->checkpoint ? answer->checkpoint->next.value() : -1);
                     member_->on_loaded(claim, answer->checkpoint, answer->log);
                   }});
}

void Daemon::read_from(const Claim& claim, Offset offset) {
  trace("reads {} from {}", claim, offset.value());
  Reader& state = reader(claim, "read_from");
  state.position = offset;
  state.reading = true;
  state.fetching = false;
  state.told_end = Offset{-1};
  ++state.seeks;
}

void Daemon::load_images(const Claim& claim, std::vector<ItemKey> keys) {
  (void)reader(claim, "load_images");
  trace("{} loads {} images", claim, keys.size());
  struct Answer {
    std::vector<ItemKey> keys;
    std::vector<std::optional<Image>> images;
  };
  auto answer = std::make_shared<Answer>(Answer{std::move(keys), {}});
  const auto wire = [this, answer] {
    if (answer->images.size() == answer->keys.size()) return false;
    auto image = shared_.table.at_once().load({&answer->keys[answer->images.size()], 1});
    if (image) answer->images.push_back(std::move(image->front()));
    return true;
  };
  submit(Operation{"images", claim, wire,
                   [this, claim, answer] { member_->on_images(claim, answer->keys, std::move(answer->images)); }});
}

void Daemon::flush(const Claim& claim, std::shared_ptr<const FlushRequest> request, const std::optional<Error>& after) {
  Reader& state = reader(claim, "flush");
  if (state.flushing) shared_.checker.violate(fmt::format("{}: two flushes at once", claim));
  state.flushing = true;
  trace("{} flushes {} items, {} dead letters, checkpoint {}{}{}", claim, request->items.size(),
        request->dead_letters.size(), request->checkpoint ? request->checkpoint->desired.next.value() : -1,
        after ? " again after: " : "", after ? after->message : "");
  const std::shared_ptr<Flushing> slices = shared_.table.begin_flush(*request);
  const auto wire = [slices, request] { return slices->step(); };
  submit(Operation{"flush", claim, wire, [this, claim, slices] {
                     readers_[claim].flushing = false;
                     member_->on_flushed(claim, std::move(slices->result()));
                   }});
}

void Daemon::commit(const Claim& claim, Offset next) {
  (void)reader(claim, "commit");
  trace("commits {} at {}", claim, next.value());
  shared_.checker.on_commit(claim.partition, next);
}

void Daemon::pause(const Claim& claim) { reader(claim, "pause").paused = true; }

void Daemon::resume(const Claim& claim) { reader(claim, "resume").paused = false; }

void Daemon::drained(const Claim& claim) {
  trace("has drained {}", claim);
  reader(claim, "drained").drained = true;
  on_drained_(claim);
}

void Daemon::fail(const Error& error) {
  trace("fails: {}", error.message);
  const bool asked_for = error.message.find("was refused") != std::string::npos;
  if (!asked_for) shared_.checker.violate(fmt::format("daemon {} failed: {}", number_, error.message));
  failed_ = true;
}

// ---------------------------------------------------------------------------------------------------------- reading

std::vector<Claim> Daemon::fetchable() const {
  std::vector<Claim> ready;
  for (const auto& [claim, state] : readers_) {
    const bool can = state.reading && !state.paused && !state.fetching && !state.drained;
    if (can && state.told_end < log(claim).log_end()) ready.push_back(claim);
  }
  return ready;
}

// Takes the next records, and word of the log's end if there are none behind them.
bool Daemon::fetch() {
  std::vector<Claim> ready = fetchable();
  const Claim claim = shared_.rng.pick(ready);
  Reader& state = readers_[claim];
  const auto readable = log(claim).readable();
  const std::size_t first = log(claim).index_of(state.position);
  const std::size_t count =
      std::min<std::size_t>(readable.size() - first, 1 + static_cast<std::size_t>(shared_.rng.below(12)));
  std::vector<Record> records(readable.begin() + static_cast<std::ptrdiff_t>(first),
                              readable.begin() + static_cast<std::ptrdiff_t>(first + count));
  std::optional<Offset> end;
  if (!records.empty()) state.position = records.back().offset.next();
  if (first + count == readable.size()) state.told_end = *(end = log(claim).log_end());
  state.fetching = true;
  operations_.push_back(Operation{
      "fetch", claim, [] { return false; },
      [this, claim, end, seeks = state.seeks, records = std::move(records)] { deliver(claim, seeks, records, end); }});
  return true;
}

void Daemon::deliver(const Claim& claim, std::uint64_t seeks, const std::vector<Record>& records,
                     std::optional<Offset> end) {
  Reader& state = readers_[claim];
  if (state.seeks != seeks) return;
  state.fetching = false;
  if (!records.empty()) {
    delivered_ += static_cast<std::int64_t>(records.size());
    trace("{} gets [{}, {}]", claim, records.front().offset.value(), records.back().offset.value());
    member_->on_records(claim, records);
  }
  if (!end || state.seeks != seeks) return;
  trace("{} is told of its end {}", claim, end->value());
  state.position = std::max(state.position, *end);
  member_->on_position(claim, *end);
}

void Daemon::check_positions() {
  for (const PartitionView& view : member_->view()) {
    const Offset end = log(view.claim).log_end();
    if (view.reading && view.read_next >= end) continue;
    shared_.checker.violate(fmt::format("daemon {}: {} is at {}, though the log was delivered up to {}", number_,
                                        view.claim, view.read_next.value(), end.value()));
  }
}

void Daemon::say_position(const Claim& claim) {
  const Reader& state = readers_[claim];
  if (!state.reading || state.fetching) return;
  const VirtualPartition& from = log(claim);
  const std::size_t next = from.index_of(state.position);
  const Offset known = next < from.visible ? from.records[next].offset : from.log_end();
  member_->on_position(claim, std::max(state.position, known));
}

}  // namespace culvert::simulation
