// SPDX-License-Identifier: Apache-2.0
// How many records a second one core can make: it has to be well above what a producer can send.
#include <benchmark/benchmark.h>

#include "app/fleet/sensor_fleet.h"

namespace culvert {
namespace {

void next_record(benchmark::State& state, std::chrono::microseconds disorder) {
  FleetOptions options;
  options.devices = state.range(0);
  options.start = SensorTime{std::chrono::seconds{1'682'942'400}};
  options.disorder = disorder;
  SensorFleet fleet(options);
  std::int64_t bytes = 0;
  for ([[maybe_unused]] const auto iteration : state) {
    const SensorRecord& record = fleet.next();
    bytes += static_cast<std::int64_t>(record.value->size());
    benchmark::DoNotOptimize(record.value->data());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(bytes);
}

void in_order(benchmark::State& state) { next_record(state, std::chrono::microseconds{0}); }
void disordered(benchmark::State& state) { next_record(state, std::chrono::seconds{5}); }

BENCHMARK(in_order)->Arg(1'000)->Arg(1'000'000);
BENCHMARK(disordered)->Arg(1'000)->Arg(1'000'000);

}  // namespace
}  // namespace culvert
