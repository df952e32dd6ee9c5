// SPDX-License-Identifier: Apache-2.0
#include "adapters/clock/clock.h"

namespace culvert {

WallTime SystemClock::wall() const {
  return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
}

SteadyTime SystemClock::steady() const { return std::chrono::steady_clock::now(); }

}  // namespace culvert
