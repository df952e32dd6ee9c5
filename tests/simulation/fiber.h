// SPDX-License-Identifier: Apache-2.0
// Blocking code that is run in turns: a thread that moves only while it holds the baton.
//
// Flow    Simulation resumes one fiber at a time -> its task runs until it yields -> Simulation goes on.
// Owner   a FunctionWorker; the task's own code calls yield().
// Time    the interleaving is the order of resume() calls and nothing else, so a run can be repeated.
// Bounds  one thread for each fiber, asleep unless it is its turn.
// See     FunctionPartition blocks in its table calls, as a function does.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace culvert::simulation {

class Fiber {
 public:
  // Thrown by yield() in a task that is to end at once, wherever it is: what a killed process looks like from inside.
  struct Killed {};

  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Gives the fiber a task; it begins at the first resume().  Not while busy().
  void begin(std::function<void()> task);
  [[nodiscard]] bool busy() const { return static_cast<bool>(task_); }
  // Runs the task until it yields or ends.
  void resume();
  // Lets the task end by Killed.
  void kill();
  // Called inside the task.
  void yield();

 private:
  void loop();

  // Not std::binary_semaphore: it spins on sched_yield(), and beside a busy program each turn then takes a time slice.
  class Baton {
   public:
    void release() {
      {
        const std::lock_guard lock(mutex_);
        free_ = true;
      }
      changed_.notify_one();
    }
    void acquire() {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return free_; });
      free_ = false;
    }

   private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool free_ = false;
  };

  // Whoever released the one waits for the other, so only one of the two threads ever runs.
  Baton to_task_;
  Baton to_caller_;
  bool ending_ = false;
  bool killed_ = false;
  std::function<void()> task_;
  std::thread thread_;
};

}  // namespace culvert::simulation
