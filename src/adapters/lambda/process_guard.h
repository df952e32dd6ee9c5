// SPDX-License-Identifier: Apache-2.0
// Ends process groups when this process ends, however it ends: a child that waits for its parent's death.
//
// Flow    FunctionPool watch()es each function's process group -> [ProcessGuard] -> SIGKILL to those that are left.
// Owner   FunctionPool.  The kernel kills a function's first process with its parent (PR_SET_PDEATHSIG), but not
//         what that has started, and a `bootstrap` is often a script that starts something.
// Time    none: it sleeps in a read until the parent is gone.
// Bounds  kGroupsMost groups.
// See     prctl(2), pipe(7).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <memory>

#include "model/result.h"

namespace culvert::lambda {

class ProcessGuard {
 public:
  static constexpr std::size_t kGroupsMost = 4'096;

  [[nodiscard]] static Result<std::unique_ptr<ProcessGuard>> start();
  ProcessGuard(const ProcessGuard&) = delete;
  ProcessGuard& operator=(const ProcessGuard&) = delete;
  // Ends the guard; groups that are still watched are killed.
  ~ProcessGuard();

  void watch(pid_t group);
  void forget(pid_t group);

 private:
  ProcessGuard(pid_t guard, int pipe) : guard_(guard), pipe_(pipe) {}
  void tell(pid_t message) const;

  pid_t guard_;
  int pipe_;
};

}  // namespace culvert::lambda
