// SPDX-License-Identifier: Apache-2.0
#include "simulation/simulation.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string>

namespace culvert::simulation {
namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// CULVERT_SIMULATION_SEED: the first seed; _SEEDS: how many; _TRACE: print each step.
TEST(Simulation, EverySeedEndsWithTheOraclesTable) {
  const std::uint64_t first = from_environment("CULVERT_SIMULATION_SEED", 1);
  const std::uint64_t count = from_environment("CULVERT_SIMULATION_SEEDS", CULVERT_SIMULATION_SEEDS);
  const bool traced = std::getenv("CULVERT_SIMULATION_TRACE") != nullptr;
  const auto trace = [](const std::string& line) { fmt::print("{}\n", line); };
  const auto started = std::chrono::steady_clock::now();
  int failures = 0;
  for (std::uint64_t seed = first; seed < first + count && failures < 5; ++seed) {
    const auto violation = traced ? run_seed(seed, RunOptions{.trace = trace}) : run_seed(seed);
    if (!violation) continue;
    ++failures;
    ADD_FAILURE() << "seed " << seed << ": " << *violation << "\nrepeat with: CULVERT_SIMULATION_SEED=" << seed
                  << " CULVERT_SIMULATION_SEEDS=1 CULVERT_SIMULATION_TRACE=1 simulation_test";
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  fmt::print("seeds {} to {}: {:.1f} s, {:.0f} seeds/s\n", first, first + count - 1, took.count(),
             static_cast<double>(count) / took.count());
}

}  // namespace
}  // namespace culvert::simulation
