// SPDX-License-Identifier: Apache-2.0
// One run of the protocol: a virtual log, a virtual table, workers that crash, pause and race; then the verdict.
//
// Flow    seed -> World, Oracle -> daemons and functions on one VirtualTable -> redrive, replay -> Checker.
// Owner   the tests.
// Time    steps, each drawn from the seed; no clock.
// Bounds  steps_most; a run that does not come to rest after the faults have ended is a violation.
// See     docs/ARCHITECTURE.md: the offset fence, mistakes the tests must catch.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "simulation/rng.h"
#include "simulation/virtual_table.h"

namespace culvert::simulation {

struct RunOptions {
  std::function<void(const std::string&)> trace{};  // told each step
  bool end_only = false;                            // overlook everything but the table in the end
  // The table of this world; absent: the one in memory.
  std::function<std::unique_ptr<VirtualTable>(Rng&, const Definition&)> table{};
};

// The first violation of the run with this seed, or nullopt.
[[nodiscard]] std::optional<std::string> run_seed(std::uint64_t seed, const RunOptions& options = {});

}  // namespace culvert::simulation
