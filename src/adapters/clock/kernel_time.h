// SPDX-License-Identifier: Apache-2.0
// What the kernel thinks of its own clock.
//
// Flow    adjtimex(2), read only -> [kernel_time] -> doctor.
// Owner   free function.
// Time    wall clock; whoever disciplines it (chrony, ntpd, the hypervisor) tells the kernel how far it may be off.
// Bounds  none.
// See     adjtimex(2): STA_UNSYNC, maxerror.
#pragma once

#include <chrono>

namespace culvert {

struct KernelTime {
  bool synchronised = false;  // false also where the clock is right and nobody tells the kernel so
  std::chrono::microseconds error_most{0};
};

[[nodiscard]] KernelTime kernel_time();

}  // namespace culvert
