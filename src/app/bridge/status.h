// SPDX-License-Identifier: Apache-2.0
// What a running bridge tells people: a status line on a terminal, a log line now and then elsewhere.
//
// Flow    BridgeSession's reports -> [BridgeStatus] -> LiveArea, Log.
// Owner   the bridge command.
// Time    the steady clock, for how often a line is written.
// Bounds  one line each kLineInterval.
// See     docs/operating.md: bridge.
#pragma once

#include "adapters/clock/clock.h"
#include "app/bridge/session.h"
#include "app/cli/live_area.h"
#include "app/cli/log.h"

namespace culvert {

class BridgeStatus {
 public:
  BridgeStatus(Log& log, LiveArea& live, const Clock& clock)
      : log_(log), live_(live), clock_(clock), begun_(clock.steady()) {}

  void show(const BridgeReport& report);
  // The sum of the run, as one log line.
  void finish(const BridgeReport& report);

 private:
  static constexpr Millis kLineInterval{10'000};

  Log& log_;
  LiveArea& live_;
  const Clock& clock_;
  SteadyTime begun_;
  SteadyTime last_line_{};
  std::int64_t last_records_ = 0;
};

}  // namespace culvert
