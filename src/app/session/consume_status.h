// SPDX-License-Identifier: Apache-2.0
// What a running consumer tells people: a table on a terminal, a log line now and then elsewhere.
//
// Flow    ConsumeSession's reports -> [ConsumeStatus] -> Log.
// Owner   the command.
// Time    the steady clock, for how often a line is written.
// Bounds  one line each kLineInterval.
// See     docs/operating.md: logs.
#pragma once

#include <string>

#include "adapters/clock/clock.h"
#include "app/cli/live_area.h"
#include "app/cli/live_table.h"
#include "app/cli/log.h"
#include "app/session/consume_session.h"

namespace culvert {

// A line of figures, and a row for each partition: where there are more than `rows`, those that are furthest behind.
[[nodiscard]] LiveFrame consume_frame(const ConsumeReport& report, std::size_t rows);

class ConsumeStatus {
 public:
  ConsumeStatus(Log& log, LiveArea& live, const Clock& clock, bool colour)
      : log_(log), live_(live), clock_(clock), colour_(colour), begun_(clock.steady()) {}

  void show(const ConsumeReport& report);
  // Everything the report says, partition by partition, as one log line.
  void dump(const ConsumeReport& report);
  // A few words for whoever looks at the service from outside.
  [[nodiscard]] static std::string line(const ConsumeReport& report);
  // The sum of the run, as one log line.
  void finish(const ConsumeReport& report);

 private:
  static constexpr Millis kLineInterval{10'000};

  Log& log_;
  LiveArea& live_;
  const Clock& clock_;
  const bool colour_;
  SteadyTime begun_;
  SteadyTime last_line_{};
  std::int64_t last_read_ = 0;
};

}  // namespace culvert
