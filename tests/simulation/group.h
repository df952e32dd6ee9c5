// SPDX-License-Identifier: Apache-2.0
// The group coordinator: who owns which partition, in every order and disorder a broker can bring about.
//
// Flow    Simulation -> [Group] -> Daemon::assign, revoke; Daemon says drained.
// Owner   Simulation.
// Time    step() changes something now and then.
// Bounds  one entry for each partition.
// See     src/pipeline/group_member.h: revokes that are confirmed, losses that are heard of at once or much later.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "simulation/daemon.h"

namespace culvert::simulation {

class Group {
 public:
  Group(Shared& shared, int daemons);

  [[nodiscard]] std::vector<std::unique_ptr<Daemon>>& daemons() { return daemons_; }
  [[nodiscard]] bool empty() const { return daemons_.empty(); }
  void add_daemon();
  // Gives partitions that nobody owns to daemons that are up.
  void assign_unowned();
  // Takes partitions from a daemon: asks for them back, or declares them lost, or takes them without a word.
  void rebalance();
  // The daemon did not send heart-beats: its partitions go to others, it hears of it when it can.
  void cut_off(Daemon& daemon);
  void on_crash(const Daemon& daemon);
  // Every partition is owned by a daemon that knows it.
  [[nodiscard]] bool complete() const;

 private:
  struct Ownership {
    int daemon;
    Claim claim;
    bool revoking = false;
  };
  void on_drained(int daemon, const Claim& claim);
  [[nodiscard]] Daemon* candidate(PartitionId partition);
  [[nodiscard]] std::vector<Claim> some_claims_of(const Daemon& daemon, bool all);

  Shared& shared_;
  std::vector<std::unique_ptr<Daemon>> daemons_;
  std::vector<std::optional<Ownership>> owners_;  // by partition
};

}  // namespace culvert::simulation
