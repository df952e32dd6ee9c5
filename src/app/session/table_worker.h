// SPDX-License-Identifier: Apache-2.0
// What a table makes others wait for, done elsewhere, so that reading goes on meanwhile.
//
// Flow    ConsumeSession and TableWatch submit jobs and calls -> the worker's thread runs or begins them -> what they
//         leave to do is run by the owner's own thread in run_completions().
// Owner   either of the two; submit(), begin() and run_completions() belong to its thread.
// Time    the clock's steady time: what is to wait for a retry waits in the queue, where it holds up nobody else.
// Bounds  at most one job or call per partition, since a partition has one flush or load at a time.
// See     docs/ARCHITECTURE.md, "While a flush is under way".
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

#include "adapters/clock/clock.h"
#include "model/time.h"

namespace culvert {

class TableWorker {
 public:
  using Completion = std::function<void()>;
  // What a job came to: what is left to do on the owner's thread, or the pause after which the same job runs again.
  using Attempt = std::variant<Completion, Millis>;
  using Job = std::function<Attempt()>;
  // Ends a call: exactly once, on any thread.
  using Finish = std::function<void(Completion)>;
  using Call = std::function<void(Finish)>;

  // `clock` must outlive the worker.
  explicit TableWorker(const Clock& clock);
  TableWorker(const TableWorker&) = delete;
  TableWorker& operator=(const TableWorker&) = delete;
  // What has not begun is dropped; what is under way is waited for.
  ~TableWorker();

  // Jobs run one after the other.
  void submit(Job job);
  // A call is only begun on the worker's thread, `after` from now, and goes on while others are begun.
  void begin(Call call, Millis after);
  // Runs what ended jobs and calls left to do; false if there was nothing.
  bool run_completions();
  // Jobs and calls whose completion has not run yet.
  [[nodiscard]] bool busy() const { return outstanding_ > 0; }

  // Waits on the caller's thread, but not for long once the worker is to stop.  False: stop.
  [[nodiscard]] bool pause(Millis duration);
  // Ends pauses and drops from now on what has not begun.
  void stop();

 private:
  // nullopt: the call it has begun will end by itself.
  using Task = std::function<std::optional<Attempt>()>;

  void work();
  void put(SteadyTime due, Task task);

  const Clock& clock_;
  std::size_t outstanding_ = 0;  // the owner's thread only
  std::mutex mutex_;
  std::condition_variable changed_;
  std::multimap<SteadyTime, Task> waiting_;  // by when they are due; those of one time in the order of their coming
  std::deque<Completion> done_;
  std::size_t calls_ = 0;  // begun and not ended
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace culvert
