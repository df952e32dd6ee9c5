// SPDX-License-Identifier: Apache-2.0
#include "simulation/functions.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "pipeline/function_batch.h"

namespace culvert::simulation {

FunctionWorker::FunctionWorker(Shared& shared, int number) : shared_(shared), number_(number) {}

FunctionWorker::~FunctionWorker() = default;

void FunctionWorker::begin(const Batch& batch, bool awaited) {
  batch_ = batch;
  awaited_ = awaited;
  outcome_.reset();
  const int yield_percent = shared_.healed ? 0 : static_cast<int>(shared_.rng.one_of({20, 50, 100}));
  // A new one for each batch: one that was killed leaves its calls behind.
  table_ = shared_.table.blocking([this, yield_percent] {
    if (shared_.rng.chance(yield_percent)) fiber_.yield();
  });
  if (shared_.trace) {
    const VirtualPartition& log = shared_.world.partitions()[batch.partition];
    shared_.trace(fmt::format("function {}: begins [{}, {}] of {}{}", number_, log.records[batch.first].offset.value(),
                              log.records[batch.next - 1].offset.value(), log.where.name(),
                              awaited ? "" : ", a duplicate"));
  }
  fiber_.begin([this] { run(); });
}

void FunctionWorker::run() {
  const VirtualPartition& log = shared_.world.partitions()[batch_.partition];
  const std::span<const Record> records{log.records.data() + batch_.first, batch_.next - batch_.first};
  PipelineOptions options;
  options.definition = shared_.world.definition();
  options.gaps_are_empty = shared_.world.inclination().gaps_are_empty;
  options.images_most = shared_.world.inclination().images_most;
  const int attempts_most = shared_.healed ? 200 : static_cast<int>(shared_.rng.between(0, 8));
  const auto wait = [&](int attempt, const Error& error) {
    if (shared_.trace) shared_.trace(fmt::format("function {}: attempt {}: {}", number_, attempt, error.message));
    fiber_.yield();
    return attempt <= attempts_most;
  };
  // Warm or cold: what is known of a partition may be of long ago, and others may have been at it since.
  auto& known = known_[batch_.partition];
  if (!known || shared_.rng.chance(20)) {
    known = std::make_unique<FunctionPartition>(options, shared_.world.decoder(), log.where);
  }
  const auto stats = known->fold(*table_, records, wait);
  outcome_ = stats ? Outcome::kOk : Outcome::kFailed;
  if (stats) {
    shared_.checker.on_stats(*stats, static_cast<std::int64_t>(records.size()));
    if (stats->held != 0) shared_.checker.violate(fmt::format("function {}: ended with records held", number_));
  } else if (!stats.error().retriable && stats.error().message.find("was refused") == std::string::npos) {
    shared_.checker.violate(fmt::format("function {}: {}", number_, stats.error().message));
  }
}

std::optional<FunctionWorker::Outcome> FunctionWorker::step() {
  fiber_.resume();
  if (fiber_.busy()) return std::nullopt;
  if (shared_.trace) {
    shared_.trace(fmt::format("function {}: {}", number_, outcome_ == Outcome::kOk ? "succeeds" : "fails"));
  }
  return outcome_;
}

void FunctionWorker::kill() {
  if (shared_.trace) shared_.trace(fmt::format("function {}: is killed", number_));
  fiber_.kill();
  known_.clear();
}

// ----------------------------------------------------------------------------------------------------- event source

EventSource::EventSource(Shared& shared) : shared_(shared), lanes_(shared.world.partitions().size()) {
  for (int i = 0; i < shared.world.inclination().function_workers; ++i) {
    workers_.push_back(std::make_unique<FunctionWorker>(shared, i));
  }
}

FunctionWorker* EventSource::idle_worker() {
  for (const auto& worker : workers_) {
    if (!worker->busy()) return worker.get();
  }
  return nullptr;
}

FunctionWorker* EventSource::busy_worker() {
  std::vector<FunctionWorker*> busy;
  for (const auto& worker : workers_) {
    if (worker->busy()) busy.push_back(worker.get());
  }
  return busy.empty() ? nullptr : shared_.rng.pick(busy);
}

void EventSource::step() {
  const Inclination& inclination = shared_.world.inclination();
  if (shared_.rng.chance(30)) invoke();
  FunctionWorker* worker = busy_worker();
  if (worker == nullptr) return;
  const auto permille = static_cast<int>(shared_.rng.below(1000));
  if (permille < inclination.crash_permille) {
    worker->kill();
    ended(worker->batch(), worker->awaited(), FunctionWorker::Outcome::kFailed);
  } else if (permille < inclination.crash_permille + inclination.pause_permille && worker->awaited()) {
    // Timed out: it goes on, and another one is given its batch.
    worker->give_up_waiting();
    ended(worker->batch(), true, FunctionWorker::Outcome::kFailed);
  } else {
    advance(*worker);
  }
}

void EventSource::advance(FunctionWorker& worker) {
  auto outcome = worker.step();
  if (!outcome) return;
  if (shared_.rng.chance(5)) outcome = FunctionWorker::Outcome::kFailed;  // the reply is lost
  ended(worker.batch(), worker.awaited(), *outcome);
}

void EventSource::invoke() {
  FunctionWorker* worker = idle_worker();
  const std::size_t partition = static_cast<std::size_t>(shared_.rng.below(lanes_.size()));
  if (worker == nullptr) return;
  bool awaited = true;
  const auto batch = choose(partition, awaited);
  if (batch) worker->begin(*batch, awaited);
}

Batch EventSource::cut(std::size_t partition, std::size_t first, std::size_t next_most) {
  const auto most = static_cast<std::size_t>(shared_.rng.between(1, 14));
  return Batch{partition, first, std::min(next_most, first + most)};
}

// Something that has been delivered before.
std::optional<Batch> EventSource::earlier(std::size_t partition) {
  const std::size_t next = lanes_[partition].next;
  if (next == 0) return std::nullopt;
  return cut(partition, static_cast<std::size_t>(shared_.rng.below(next)), next);
}

std::optional<Batch> EventSource::choose(std::size_t partition, bool& awaited) {
  if (shared_.rng.chance(8)) {
    awaited = false;
    return earlier(partition);
  }
  if (shared_.world.inclination().disordered_delivery) return choose_disordered(partition);
  return choose_in_order(partition, awaited);
}

std::optional<Batch> EventSource::choose_in_order(std::size_t partition, bool& awaited) {
  Lane& lane = lanes_[partition];
  if (lane.running) {
    // The same batch at the same time, as an event source may do.
    awaited = false;
    return shared_.rng.chance(20) ? lane.current : std::nullopt;
  }
  const std::size_t visible = shared_.world.partitions()[partition].visible;
  if (lane.next >= visible) return std::nullopt;
  lane.current = cut(partition, lane.next, visible);
  lane.running = true;
  return lane.current;
}

std::optional<Batch> EventSource::choose_disordered(std::size_t partition) {
  Lane& lane = lanes_[partition];
  Rng& rng = shared_.rng;
  if (!lane.discarded.empty() && rng.chance(10)) {
    const Batch redriven = rng.pick(lane.discarded);
    // Sometimes it stays in the queue and is redriven again.
    if (rng.chance(70)) {
      std::erase_if(lane.discarded, [&](const Batch& b) { return b.first == redriven.first; });
    }
    return redriven;
  }
  const std::size_t visible = shared_.world.partitions()[partition].visible;
  if (lane.waiting.empty() && lane.next < visible) {
    lane.waiting.push_back(cut(partition, lane.next, visible));
    lane.next = lane.waiting.back().next;
  }
  if (lane.waiting.empty()) return std::nullopt;
  const Batch batch = lane.waiting.front();
  lane.waiting.pop_front();
  if (rng.chance(5)) {
    lane.discarded.push_back(batch);
    return std::nullopt;
  }
  return batch;
}

void EventSource::ended(const Batch& batch, bool awaited, FunctionWorker::Outcome outcome) {
  if (!awaited) return;
  const bool ok = outcome == FunctionWorker::Outcome::kOk;
  if (shared_.world.inclination().disordered_delivery) return ended_disordered(batch, ok);
  Lane& lane = lanes_[batch.partition];
  lane.running = false;
  if (ok) lane.next = batch.next;  // otherwise it is cut anew
}

void EventSource::ended_disordered(const Batch& batch, bool ok) {
  if (ok) return;
  Lane& lane = lanes_[batch.partition];
  Rng& rng = shared_.rng;
  const std::size_t middle = batch.first + (batch.next - batch.first) / 2;
  if (rng.chance(30)) {
    lane.discarded.push_back(batch);
  } else if (middle > batch.first && rng.chance(60)) {
    Batch low{batch.partition, batch.first, middle};
    Batch high{batch.partition, middle, batch.next};
    if (rng.chance(50)) std::swap(low, high);
    lane.waiting.push_front(high);
    lane.waiting.push_front(low);
  } else {
    lane.waiting.push_front(batch);
  }
}

void EventSource::kill_all() {
  for (const auto& worker : workers_) {
    if (worker->busy()) worker->kill();
  }
}

void EventSource::heal() {
  for (const auto& worker : workers_) {
    while (worker->busy()) (void)worker->step();
  }
  for (std::size_t p = 0; p < lanes_.size(); ++p) {
    const std::size_t count = shared_.world.partitions()[p].visible;
    for (std::size_t first = 0; first < count;) {
      const Batch batch = cut(p, first, count);
      FunctionWorker& worker = *workers_.front();
      worker.begin(batch, false);
      std::optional<FunctionWorker::Outcome> outcome;
      while (!outcome && worker.busy()) outcome = worker.step();
      if (outcome != FunctionWorker::Outcome::kOk) {
        return shared_.checker.violate(fmt::format("a batch of partition {} fails without any fault", p));
      }
      first = batch.next;
    }
  }
}

}  // namespace culvert::simulation
