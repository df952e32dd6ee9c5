// SPDX-License-Identifier: Apache-2.0
// What doctor walks: named hops that need each other, and what each of them found.
//
// Flow    doctor_command lists the hops -> [walk] runs them in order -> output prints each as it is done.
// Owner   the command, on one thread; a hop may use threads of its own while it runs.
// Time    each hop bounds itself by --timeout; the walk only measures.
// Bounds  none of its own.
// See     docs/doctor.md.
//
// After a hop that failed, every hop that needs it (directly or not) is skipped and says what it waits for, so that one
// fault is one cross.  A hop that was skipped because nobody asked for it holds nothing up.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/clock/clock.h"
#include "app/cli/signals.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert {

struct Cause {
  std::string cause;   // what may be wrong, likeliest first
  std::string remedy;  // what to do about it
};

enum class HopState : std::uint8_t { kPassed, kFailed, kSkipped };

struct Finding {
  HopState state = HopState::kSkipped;
  std::string found;                   // one line
  ErrorKind kind = ErrorKind::kUsage;  // kFailed only: the exit code if this is the first failure
  std::vector<Cause> causes{};         // kFailed only
  std::vector<std::string> details{};  // a line for each broker, partition, .. where there are several

  [[nodiscard]] static Finding passed(std::string found);
  [[nodiscard]] static Finding failed(ErrorKind kind, std::string found, std::vector<Cause> causes);
  [[nodiscard]] static Finding skipped(std::string reason);
  // An adapter's message is `thing: fault (remedy)`: its closing parenthesis becomes the one cause's remedy.
  [[nodiscard]] static Finding of(const Error& error, std::vector<Cause> causes = {});
};

struct Hop {
  std::string_view name;
  std::vector<std::string_view> needs;
  std::function<Finding()> run;
};

struct HopReport {
  std::string_view name;
  Finding finding;
  Millis took{0};
};

struct WalkObserver {
  std::function<void(std::string_view name)> on_begin;
  std::function<void(const HopReport& report)> on_done;
};

struct WalkResult {
  int exit_code = 0;  // of the first failure
  int passed = 0;
  std::vector<std::string_view> failed;
  int skipped = 0;
};

// A stop request skips what is left.
WalkResult walk(std::span<const Hop> hops, const StopFlag& stop, const Clock& clock, const WalkObserver& observer);

}  // namespace culvert
