// SPDX-License-Identifier: Apache-2.0
// Runs one seed after the other and says how to repeat one that fails.
//
// Flow    CULVERT_SIMULATION_SEED: the first one; _SEEDS: how many; _TRACE: print each step -> [run_seeds] -> run_seed.
// Owner   a test.
// Time    seeds a second are printed; nothing is judged by them.
// Bounds  ends at the fifth failure.
// See     simulation.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "simulation/simulation.h"

namespace culvert::simulation {

void run_seeds(std::uint64_t count, RunOptions options, std::string_view program);

}  // namespace culvert::simulation
