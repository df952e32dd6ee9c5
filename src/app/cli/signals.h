// SPDX-License-Identifier: Apache-2.0
// SIGTERM and SIGINT as a request to stop, SIGUSR1 as a question how things are.
//
// Flow    the first signal sets a flag and wakes pollers; the command then ends in order (flush, checkpoint, commit).
// Owner   program.cc installs one StopSignals for the process.
// Time    none; a second signal ends the process at once, with exit code 128 + its number.
// Bounds  one instance at a time, because a handler can only reach globals.
// See     docs/operating.md: stopping.
#pragma once

namespace culvert {

// What a command sees of it: asked from any thread, at any rate.
class StopFlag {
 public:
  StopFlag() = default;
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;
  virtual ~StopFlag() = default;

  [[nodiscard]] virtual bool requested() const = 0;
  // Becomes readable when a stop is requested, and stays so; never read from it.
  [[nodiscard]] virtual int descriptor() const = 0;
  // Waits for a stop at most `milliseconds`; true if it is requested.
  [[nodiscard]] bool wait_ms(int milliseconds) const;
};

class StopSignals final : public StopFlag {
 public:
  StopSignals();
  ~StopSignals() override;

  [[nodiscard]] bool requested() const override;
  [[nodiscard]] int descriptor() const override;
  // As if a signal had come: for commands that end by themselves.
  void request();
};

// While one is there, SIGUSR1 asks for the command's state instead of ending the process.
class StateSignal {
 public:
  StateSignal();
  StateSignal(const StateSignal&) = delete;
  StateSignal& operator=(const StateSignal&) = delete;
  ~StateSignal();

  // True once after each signal, or after several that came since the last call.
  [[nodiscard]] bool take();
};

}  // namespace culvert
