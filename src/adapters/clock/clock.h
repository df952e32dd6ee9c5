// SPDX-License-Identifier: Apache-2.0
// The only door to the machine's clocks.
//
// Flow    app constructs a SystemClock and hands it down; tests hand down a ManualClock.
// Owner   the command, for its whole run.
// Time    wall(): microseconds since the Unix epoch, UTC, may jump.  steady(): never goes back, for durations.
// Bounds  no state; any thread.
// See     docs/ARCHITECTURE.md, "Time": nothing that decides a table's content may ask a clock.
#pragma once

#include <chrono>

namespace culvert {

using WallTime = std::chrono::sys_time<std::chrono::microseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;

class Clock {
 public:
  Clock() = default;
  Clock(const Clock&) = delete;
  Clock& operator=(const Clock&) = delete;
  virtual ~Clock() = default;

  [[nodiscard]] virtual WallTime wall() const = 0;
  [[nodiscard]] virtual SteadyTime steady() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] WallTime wall() const override;
  [[nodiscard]] SteadyTime steady() const override;
};

// Stands still until it is moved; not for several threads.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(WallTime start) : wall_(start) {}
  [[nodiscard]] WallTime wall() const override { return wall_; }
  [[nodiscard]] SteadyTime steady() const override { return steady_; }
  void move(std::chrono::microseconds by) {
    wall_ += by;
    steady_ += by;
  }

 private:
  WallTime wall_;
  SteadyTime steady_{};
};

}  // namespace culvert
