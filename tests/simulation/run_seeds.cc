// SPDX-License-Identifier: Apache-2.0
#include "simulation/run_seeds.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <utility>

namespace culvert::simulation {

namespace {

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

void run_seeds(std::uint64_t count, RunOptions options, std::string_view program) {
  const std::uint64_t first = from_environment("CULVERT_SIMULATION_SEED", 1);
  const std::uint64_t next = first + from_environment("CULVERT_SIMULATION_SEEDS", count);
  if (std::getenv("CULVERT_SIMULATION_TRACE") != nullptr) {
    options.trace = [](const std::string& line) { fmt::print("{}\n", line); };
  }
  const auto started = std::chrono::steady_clock::now();
  int failures = 0;
  for (std::uint64_t seed = first; seed < next && failures < 5; ++seed) {
    const auto violation = run_seed(seed, options);
    if (!violation) continue;
    ++failures;
    ADD_FAILURE() << "seed " << seed << ": " << *violation << "\nrepeat with: CULVERT_SIMULATION_SEED=" << seed
                  << " CULVERT_SIMULATION_SEEDS=1 CULVERT_SIMULATION_TRACE=1 " << program;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  fmt::print("seeds {} to {}: {:.1f} s, {:.0f} seeds/s\n", first, next - 1, took.count(),
             static_cast<double>(next - first) / took.count());
}

}  // namespace culvert::simulation
