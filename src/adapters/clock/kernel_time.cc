// SPDX-License-Identifier: Apache-2.0
#include "adapters/clock/kernel_time.h"

#include <sys/timex.h>

namespace culvert {

KernelTime kernel_time() {
  timex state{};
  const int told = ::adjtimex(&state);
  KernelTime result;
  result.synchronised = told >= 0 && told != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
  result.error_most = std::chrono::microseconds{state.maxerror};
  return result;
}

}  // namespace culvert
