// SPDX-License-Identifier: Apache-2.0
// One thread that does what a table makes others wait for, so that reading goes on meanwhile.
//
// Flow    ConsumeSession submits jobs -> the worker's thread runs them, in order -> what they return is run by the
//         session's own thread in run_completions().
// Owner   ConsumeSession; submit() and run_completions() belong to its thread.
// Time    pause() waits, and ends early when the worker is told to stop.
// Bounds  at most one job per partition is ever under way, since a partition has one flush or load at a time.
// See     docs/ARCHITECTURE.md, "While a flush is under way".
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "model/time.h"

namespace culvert {

class TableWorker {
 public:
  using Completion = std::function<void()>;
  using Job = std::function<Completion()>;

  TableWorker();
  TableWorker(const TableWorker&) = delete;
  TableWorker& operator=(const TableWorker&) = delete;
  // Jobs that have not begun are dropped; the one under way is waited for.
  ~TableWorker();

  void submit(Job job);
  // Runs what finished jobs left to do; false if there was nothing.
  bool run_completions();
  // Jobs submitted whose completion has not run yet.
  [[nodiscard]] bool busy() const { return outstanding_ > 0; }

  // For jobs: waits, but not for long once the worker is to stop.  False: stop.
  [[nodiscard]] bool pause(Millis duration);
  // Ends pauses and drops waiting jobs from now on.
  void stop();

 private:
  void work();

  std::size_t outstanding_ = 0;  // the owner's thread only
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  std::deque<Completion> done_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace culvert
