// SPDX-License-Identifier: Apache-2.0
#include "simulation/group.h"

#include <algorithm>

namespace culvert::simulation {

Group::Group(Shared& shared, int daemons) : shared_(shared), owners_(shared.world.partitions().size()) {
  for (int i = 0; i < daemons; ++i) add_daemon();
}

void Group::add_daemon() {
  const int number = static_cast<int>(daemons_.size());
  daemons_.push_back(
      std::make_unique<Daemon>(shared_, number, [this, number](const Claim& claim) { on_drained(number, claim); }));
}

void Group::on_drained(int daemon, const Claim& claim) {
  auto& owner = owners_[static_cast<std::size_t>(claim.partition.value())];
  if (owner && owner->daemon == daemon && owner->claim == claim) owner.reset();
}

Daemon* Group::candidate(PartitionId partition) {
  std::vector<Daemon*> fit;
  for (const auto& daemon : daemons_) {
    if (daemon->running() && !daemon->paused() && !daemon->held(partition)) fit.push_back(daemon.get());
  }
  return fit.empty() ? nullptr : shared_.rng.pick(fit);
}

void Group::assign_unowned() {
  std::vector<std::vector<PartitionId>> given(daemons_.size());
  for (std::size_t p = 0; p < shared_.world.partition_count(); ++p) {
    const PartitionId partition{static_cast<std::int32_t>(p)};
    if (owners_[p]) continue;
    const Daemon* daemon = candidate(partition);
    if (daemon != nullptr) given[static_cast<std::size_t>(daemon->number())].push_back(partition);
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    if (given[i].empty()) continue;
    for (const Claim& claim : daemons_[i]->next_claims(given[i])) {
      owners_[static_cast<std::size_t>(claim.partition.value())] = Ownership{static_cast<int>(i), claim};
    }
    daemons_[i]->assign();
  }
}

std::vector<Claim> Group::some_claims_of(const Daemon& daemon, bool all) {
  std::vector<Claim> claims;
  for (const auto& owner : owners_) {
    if (owner && owner->daemon == daemon.number() && (all || shared_.rng.chance(60))) claims.push_back(owner->claim);
  }
  return claims;
}

void Group::rebalance() {
  Daemon& daemon = *shared_.rng.pick(daemons_);
  if (!daemon.running()) return;
  if (daemon.paused() || shared_.rng.chance(20)) return cut_off(daemon);
  std::vector<Claim> claims = some_claims_of(daemon, false);
  const bool lost = shared_.rng.chance(20);
  for (const Claim& claim : claims) {
    auto& owner = owners_[static_cast<std::size_t>(claim.partition.value())];
    if (!owner || !owner->revoking) continue;
    // It was asked before and takes too long.
    daemon.abandon(claim);
  }
  std::erase_if(claims, [&](const Claim& claim) { return !daemon.held(claim.partition); });
  if (claims.empty()) return;
  for (const Claim& claim : claims) owners_[static_cast<std::size_t>(claim.partition.value())]->revoking = true;
  daemon.revoke(claims, lost);
}

void Group::cut_off(Daemon& daemon) {
  const std::vector<Claim> claims = some_claims_of(daemon, true);
  if (claims.empty()) return;
  for (const Claim& claim : claims) owners_[static_cast<std::size_t>(claim.partition.value())].reset();
  daemon.revoke_later(claims);
}

void Group::on_crash(const Daemon& daemon) {
  for (auto& owner : owners_) {
    if (owner && owner->daemon == daemon.number()) owner.reset();
  }
}

bool Group::complete() const {
  for (std::size_t p = 0; p < shared_.world.partition_count(); ++p) {
    if (!owners_[p] || owners_[p]->revoking) return false;
  }
  return true;
}

}  // namespace culvert::simulation
