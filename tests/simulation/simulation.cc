// SPDX-License-Identifier: Apache-2.0
#include "simulation/simulation.h"

#include <fmt/format.h>

#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "model/mutant.h"
#include "simulation/functions.h"
#include "simulation/group.h"
#include "simulation/oracle.h"
#include "simulation/redriver.h"

namespace culvert::simulation {

namespace {

using fakes::MemoryTable;
using fakes::WriteFault;

std::unique_ptr<VirtualTable> table_of(Rng& rng, const World& world, const RunOptions& options) {
  if (options.table) return options.table(rng, world.definition());
  return memory_virtual_table(world.inclination().transactions ? MemoryTable::Shape::kTransactions
                                                               : MemoryTable::Shape::kOneByOne);
}

class Simulation {
 public:
  Simulation(std::uint64_t seed, const RunOptions& options)
      : rng_(seed),
        world_(rng_),
        oracle_(world_),
        checker_(world_, oracle_, options.end_only),
        table_(table_of(rng_, world_, options)),
        shared_{rng_, world_, *table_, checker_, options.trace},
        groups_{Group{shared_, world_.inclination().daemons}, Group{shared_, world_.inclination().second_group}},
        functions_(shared_) {
    if (CULVERT_MUTANT(kCheckpointFirst)) table_->write_checkpoint_first();
    checker_.watch(*table_);
    if (world_.inclination().early_redrive) begin_early_redrive();
    describe();
  }

  std::optional<std::string> run() {
    table_->set_faults([this](const fakes::Write&) { return draw_fault(); });
    const std::size_t steps = world_.records_total() * 14 + 300;
    for (std::size_t i = 0; i < steps && !checker_.violation(); ++i) step();
    if (!checker_.violation()) heal();
    checker_.expect_the_end();
    // What an early redrive was killed at is finished first.
    if (!checker_.violation() && !early_) checker_.check_end(table_->reader());
    if (!checker_.violation() && world_.inclination().emission == Emission::kEarly) redrive();
    if (!checker_.violation()) replay();
    return checker_.violation();
  }

 private:
  void describe();
  WriteFault draw_fault();
  void step();
  void step_daemons();
  void disturb(Group& group, Daemon& daemon);
  // `visit` is called with each daemon and its group.
  template <class Visit>
  void for_each_daemon(Visit visit) {
    for (Group& group : groups_) {
      for (const auto& daemon : group.daemons()) visit(group, *daemon);
    }
  }
  void heal();
  void settle_daemons();
  // While daemons and functions fold.
  struct EarlyRedrive {
    bool late;
    std::array<std::unique_ptr<Redriver>, 2> redrivers;
  };
  void begin_early_redrive();
  void step(Redriver& redriver);
  void redrive();
  void redrive_under_faults(bool late);
  void replay();
  [[nodiscard]] std::string content();
  [[nodiscard]] bool daemons_settled();

  Rng rng_;
  World world_;
  Oracle oracle_;
  Checker checker_;
  std::unique_ptr<VirtualTable> table_;
  Shared shared_;
  std::array<Group, 2> groups_;  // both read all partitions and write the same table; the second one is mostly empty
  EventSource functions_;
  std::optional<EarlyRedrive> early_;
};

void Simulation::describe() {
  if (!shared_.trace) return;
  const Inclination& i = world_.inclination();
  shared_.trace(fmt::format(
      "{} and {} daemons, {} functions{}{}, {} emission, {} partitions, {} records, faults {} %, {}", i.daemons,
      i.second_group, i.function_workers, i.disordered_delivery ? " disordered" : "",
      i.late_readings ? ", late readings" : "", i.emission == Emission::kEarly ? "early" : "final",
      world_.partitions().size(), world_.records_total(), i.fault_percent, definition_text(world_.definition())));
}

WriteFault Simulation::draw_fault() {
  if (shared_.healed || !rng_.chance(world_.inclination().fault_percent)) return WriteFault::kNone;
  const auto drawn = rng_.below(100);
  if (drawn < 25) return WriteFault::kReplyLost;
  if (drawn < 45) return WriteFault::kLost;
  if (drawn < 65) return WriteFault::kThrottled;
  if (drawn < 80) return WriteFault::kDelayed;
  if (drawn < 90) return WriteFault::kRepeated;
  return drawn < 98 ? WriteFault::kEchoed : WriteFault::kRefused;
}

void Simulation::step() {
  const Inclination& inclination = world_.inclination();
  if (rng_.chance(12)) world_.produce_one();
  if (rng_.chance(2)) table_->release_delayed();
  if (inclination.fault_percent > 0 && rng_.chance(1)) table_->fail_reads(static_cast<int>(rng_.between(1, 3)));
  if (early_ && rng_.chance(15)) step(*rng_.pick(early_->redrivers));
  if (inclination.daemons > 0 && (inclination.function_workers == 0 || rng_.chance(50))) {
    step_daemons();
  } else {
    functions_.step();
  }
}

void Simulation::step_daemons() {
  Group& group = groups_[1].daemons().empty() || rng_.chance(60) ? groups_[0] : groups_[1];
  if (rng_.chance(10)) group.assign_unowned();
  if (static_cast<int>(rng_.below(1000)) < world_.inclination().rebalance_permille) group.rebalance();
  Daemon& daemon = *rng_.pick(group.daemons());
  disturb(group, daemon);
  if (rng_.chance(6)) daemon.flush_all();
  daemon.step();
  if (!daemon.running()) group.on_crash(daemon);
}

void Simulation::disturb(Group& group, Daemon& daemon) {
  const Inclination& inclination = world_.inclination();
  const auto permille = static_cast<int>(rng_.below(1000));
  if (!daemon.running()) {
    if (rng_.chance(20)) daemon.start();
  } else if (daemon.paused()) {
    if (rng_.chance(4)) group.cut_off(daemon);
    if (rng_.chance(4)) daemon.wake_process();
  } else if (permille < inclination.crash_permille) {
    daemon.crash();
  } else if (permille < inclination.crash_permille + inclination.pause_permille) {
    if (shared_.trace) shared_.trace(fmt::format("daemon {}: is paused", daemon.number()));
    daemon.pause_process();
  }
}

// The faults end, everything that was on its way arrives, zombies wake: the workers have to finish by themselves.
void Simulation::heal() {
  if (shared_.trace) shared_.trace("everything heals");
  shared_.healed = true;
  table_->fail_reads(0);
  if (early_) early_->redrivers = {};  // killed; redrive() goes on where they ended
  world_.produce_all();
  for_each_daemon([this](Group& group, Daemon& daemon) {
    daemon.wake_process();
    if (!world_.inclination().mixed_emission || !daemon.running()) return;
    daemon.crash();
    group.on_crash(daemon);
  });
  if (rng_.chance(50)) table_->release_delayed();
  if (world_.inclination().function_workers > 0) functions_.heal();
  settle_daemons();
  table_->release_delayed();
}

bool Simulation::daemons_settled() {
  bool settled = true;
  for (const Group& group : groups_) settled = settled && (group.empty() || group.complete());
  for_each_daemon([&](const Group&, const Daemon& daemon) { settled = settled && daemon.settled(); });
  return settled;
}

void Simulation::settle_daemons() {
  if (groups_[0].empty()) return;
  const std::size_t steps_most = 20'000 + world_.records_total() * 200;
  for (std::size_t i = 0; i < steps_most && !checker_.violation(); ++i) {
    for_each_daemon([](Group& group, Daemon& daemon) {
      if (!daemon.running()) daemon.start();
      daemon.step();
      if (!daemon.running()) group.on_crash(daemon);
    });
    if (i % 8 == 0) {
      for (Group& group : groups_) group.assign_unowned();
    }
    if (i % 16 == 0) {
      for_each_daemon([](const Group&, Daemon& daemon) { daemon.flush_all(); });
      bool complete = daemons_settled();
      for (std::size_t p = 0; p < world_.partitions().size(); ++p) complete = complete && checker_.complete(p);
      if (complete && !checker_.violation()) {
        return for_each_daemon([](const Group&, Daemon& daemon) { daemon.check_positions(); });
      }
    }
  }
  std::string status = "the daemons do not come to rest:";
  for_each_daemon([&](const Group&, const Daemon& daemon) { status += "\n  " + daemon.status(); });
  checker_.violate(status);
}

void Simulation::begin_early_redrive() {
  const bool late = rng_.chance(50);
  checker_.expect_redrive(late);
  early_ =
      EarlyRedrive{late, {std::make_unique<Redriver>(shared_, 0, late), std::make_unique<Redriver>(shared_, 1, late)}};
}

void Simulation::step(Redriver& redriver) {
  if (!redriver.busy()) {
    if (rng_.chance(20)) redriver.begin();
  } else if (static_cast<int>(rng_.below(1000)) < world_.inclination().crash_permille) {
    redriver.kill();
  } else {
    redriver.step();
  }
}

// What a newer version can read, and sometimes what came late, is put into its windows, each once: two programs at a
// time, killed and begun again, while functions are sent duplicates.
void Simulation::redrive() {
  const bool late = early_ ? early_->late : rng_.chance(50);
  checker_.expect_redrive(late);
  shared_.healed = false;
  redrive_under_faults(late);
  shared_.healed = true;
  table_->fail_reads(0);
  table_->release_delayed();
  Redriver last(shared_, 2, late);
  std::string content_before;
  for (const char* what : {"the redrive", "a second redrive"}) {
    if (checker_.violation()) return;
    last.begin();
    while (last.busy()) last.step();
    if (!last.done()) return checker_.violate(fmt::format("{} does not end well without any fault", what));
    checker_.check_end(table_->reader());
    if (std::exchange(content_before, content()) == content() && last.done()->windows == 0) return;
  }
  checker_.violate("a second redrive changed the table");
}

void Simulation::redrive_under_faults(bool late) {
  std::array<std::unique_ptr<Redriver>, 2> redrivers{std::make_unique<Redriver>(shared_, 0, late),
                                                     std::make_unique<Redriver>(shared_, 1, late)};
  const auto steps = rng_.below(400);
  for (std::uint64_t i = 0; i < steps && !checker_.violation(); ++i) {
    if (rng_.chance(2)) table_->release_delayed();
    if (world_.inclination().function_workers > 0 && rng_.chance(10)) functions_.step();
    step(*rng_.pick(redrivers));
  }
  if (world_.inclination().function_workers > 0) functions_.kill_all();
}

// Everything is read once more from the start: not a byte may change.
void Simulation::replay() {
  if (shared_.trace) shared_.trace("everything is replayed");
  const std::string before = content();
  if (groups_[0].empty()) groups_[0].add_daemon();
  for_each_daemon([](Group& group, Daemon& daemon) {
    daemon.crash();
    group.on_crash(daemon);
    daemon.start(Offset{0});
  });
  settle_daemons();
  if (!checker_.violation()) checker_.check_end(table_->reader());
  if (content() != before) checker_.violate("a replay changed the table");
}

// Every byte of items and dead letters.
std::string Simulation::content() {
  std::string text;
  const auto items = table_->reader().scan_items({}, [&](const StoredItem& item) {
    text += fmt::format("{} to {}: {} {}\n", item_text(item.key), item.window_end.value(),
                        accumulator_text(item.image.aggregate), fences_text(item.image.fences));
    return true;
  });
  const auto letters = table_->reader().scan_dead_letters([&](const DeadLetter& letter) {
    text += fmt::format("{}:{} {} {}\n", letter.where.name(), letter.offset.value(), reason_name(letter.reason),
                        letter.detail);
    return true;
  });
  if (!items || !letters) checker_.violate("the table cannot be read");
  return text;
}

}  // namespace

std::optional<std::string> run_seed(std::uint64_t seed, const RunOptions& options) {
  return Simulation(seed, options).run();
}

}  // namespace culvert::simulation
