// SPDX-License-Identifier: Apache-2.0
// One process of a function, in a process group of its own.
//
// Flow    FunctionPool -> [FunctionProcess] -> a `bootstrap`; what that writes comes back through a pipe.
// Owner   FunctionPool; start() on a thread that lives as long as the process is to live, because the kernel sends the
//         parent-death signal when the starting *thread* ends.
// Time    none of its own.
// Bounds  two descriptors.
// See     prctl(2): PR_SET_PDEATHSIG; pidfd_open(2).
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/result.h"
#include "model/time.h"

namespace culvert::lambda {

struct FunctionCommand {
  std::string path;                      // absolute
  std::string directory;                 // where it starts
  std::vector<std::string> environment;  // NAME=VALUE, the whole of it
};

class FunctionProcess {
 public:
  // Error (kConfiguration, fatal): the file cannot be executed.
  [[nodiscard]] static Result<std::unique_ptr<FunctionProcess>> start(const FunctionCommand& command);
  FunctionProcess(const FunctionProcess&) = delete;
  FunctionProcess& operator=(const FunctionProcess&) = delete;
  // Kills what is left of the group.
  ~FunctionProcess();

  [[nodiscard]] pid_t group() const { return pid_; }
  // Standard output and error in one, not blocking; the caller closes it.
  [[nodiscard]] int take_output();
  // Readable once the process has ended; stays this object's.
  [[nodiscard]] int end_descriptor() const { return end_; }

  // `exit status 1` or `signal: killed`, once it has ended.
  [[nodiscard]] const std::optional<std::string>& ended();
  void freeze();
  void thaw();
  // The whole group.
  void terminate();
  void kill();
  // False: still there after `most`.
  [[nodiscard]] bool wait(Millis most);

 private:
  FunctionProcess(pid_t pid, int output, int end) : pid_(pid), output_(output), end_(end) {}
  void signal_group(int number) const;

  const pid_t pid_;
  int output_;
  const int end_;
  std::optional<std::string> ended_;
};

}  // namespace culvert::lambda
