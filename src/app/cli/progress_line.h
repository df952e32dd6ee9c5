// SPDX-License-Identifier: Apache-2.0
// How far a long command has come: rate, share done, time left.
//
// Flow    a command's loop -> [ProgressLine] -> last line of a terminal, or a log line now and then.
// Owner   the command, on one thread.
// Time    steady clock; the rate is that of the last few seconds, so that it follows what happens now.
// Bounds  a terminal is drawn 5 times a second, a log line is written every 10 s; update() in between costs one
//         comparison.
// See     live_area.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "adapters/clock/clock.h"
#include "app/cli/log.h"
#include "model/time.h"

namespace culvert {

// What is known of the end; nothing: rate only.
struct ProgressGoal {
  std::optional<std::int64_t> total;  // of whatever is counted
  std::optional<Millis> duration;
};

struct ProgressFigures {
  std::int64_t done = 0;
  double rate = 0;  // a second
  std::optional<double> percent;
  std::optional<Millis> time_left;
};

class ProgressLine {
 public:
  ProgressLine(std::string what, ProgressGoal goal, Log& log, LiveArea& live, const Clock& clock);

  // `done` never shrinks.  `fields` follow the figures, on the terminal as `name=value`.
  void update(std::int64_t done, Log::Fields fields = {});
  // Removes the line from the terminal.
  void finish();

  // Since the start, for the closing summary.
  [[nodiscard]] double overall_rate(std::int64_t done) const;
  [[nodiscard]] Millis elapsed() const;

 private:
  void show(std::int64_t done, Log::Fields fields);
  [[nodiscard]] ProgressFigures figures(std::int64_t done) const;

  const std::string what_;
  const ProgressGoal goal_;
  Log& log_;
  LiveArea& live_;
  const Clock& clock_;
  const SteadyTime start_;
  SteadyTime shown_;
  std::int64_t shown_done_ = 0;
  double rate_ = 0;
};

// `produce  1 000 of 4 000 (25 %)  500/s  6s left  failed=0`, at most `columns` wide.
[[nodiscard]] std::string progress_text(std::string_view what, const ProgressFigures& figures, const ProgressGoal& goal,
                                        Log::Fields fields, std::size_t columns);

}  // namespace culvert
