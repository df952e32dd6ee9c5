// SPDX-License-Identifier: Apache-2.0
// Options of simulated sensors, and what they amount to.
//
// Flow    produce, demo -> [SensorOptions] -> SensorPlan -> SensorFleet, Pacer.
// Owner   the command.
// Time    event times follow simulated time, never the clock: with --start-time and --seed a run can be repeated byte
//         for byte.
// Bounds  10 million devices, 100 million records a second.
// See     sensor_fleet.h.
#pragma once

#include <cstdint>
#include <optional>

#include "adapters/clock/clock.h"
#include "app/fleet/sensor_fleet.h"
#include "app/options/option_set.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert {

struct SensorPlan {
  FleetOptions fleet;
  std::optional<std::int64_t> rate_per_second;  // absent: as fast as possible
  std::optional<std::int64_t> total;            // records; absent: until `duration` or a signal
  std::optional<Millis> duration;               // with a rate it is told by `total`
};

struct SensorDefaults {
  std::optional<Millis> duration{};  // absent: until a signal
  Millis disorder{0};
  std::int64_t late_share_ppm = 0;
  std::int64_t bad_share_ppm = 0;
};

class SensorOptions {
 public:
  SensorOptions() = default;
  SensorOptions(const SensorOptions&) = delete;
  SensorOptions& operator=(const SensorOptions&) = delete;
  ~SensorOptions() = default;

  void declare(OptionSet& options, const SensorDefaults& defaults);
  // `now` is where event times begin, unless --start-time says otherwise.
  [[nodiscard]] SensorPlan plan(WallTime now) const;

 private:
  [[nodiscard]] Result<void> check() const;

  std::int64_t devices_ = 20;
  std::optional<std::int64_t> rate_ = 200;  // absent: max
  std::optional<std::int64_t> count_;
  std::optional<Millis> duration_;
  std::int64_t seed_ = 1;
  Millis disorder_{0};
  std::int64_t late_share_ppm_ = 0;
  Millis late_by_{7'200'000};
  std::int64_t bad_share_ppm_ = 0;
  std::optional<EventTime> start_time_;
  Millis interval_{100};
};

// How many records are due: rate * elapsed, without drift however often it is asked.
class Pacer {
 public:
  Pacer(std::optional<std::int64_t> rate_per_second, SteadyTime start) : rate_(rate_per_second), start_(start) {}

  // Since the start; absent: any number.
  [[nodiscard]] std::optional<std::int64_t> due(SteadyTime now) const;
  // When record n (from 0) is due, at the earliest.
  [[nodiscard]] SteadyTime due_time(std::int64_t n) const;

 private:
  std::optional<std::int64_t> rate_;
  SteadyTime start_;
};

}  // namespace culvert
