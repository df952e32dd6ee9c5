// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "simulation/run_seeds.h"

namespace culvert::simulation {
namespace {

TEST(Simulation, EverySeedEndsWithTheOraclesTable) { run_seeds(CULVERT_SIMULATION_SEEDS, {}, "simulation_test"); }

}  // namespace
}  // namespace culvert::simulation
