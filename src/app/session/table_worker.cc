// SPDX-License-Identifier: Apache-2.0
#include "app/session/table_worker.h"

#include <utility>

namespace culvert {

TableWorker::TableWorker(const Clock& clock) : clock_(clock), thread_([this] { work(); }) {}

TableWorker::~TableWorker() {
  stop();
  thread_.join();
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return calls_ == 0; });
}

void TableWorker::stop() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  waiting_.clear();
  changed_.notify_all();
}

void TableWorker::put(SteadyTime due, Task task) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  waiting_.emplace(due, std::move(task));
  changed_.notify_all();
}

void TableWorker::submit(Job job) {
  ++outstanding_;
  put(clock_.steady(), [job = std::move(job)] { return std::optional(job()); });
}

void TableWorker::begin(Call call, Millis after) {
  ++outstanding_;
  put(clock_.steady() + after, [this, call = std::move(call)]() -> std::optional<Attempt> {
    {
      const std::lock_guard lock(mutex_);
      ++calls_;
    }
    call([this](Completion completion) {
      const std::lock_guard lock(mutex_);
      --calls_;
      done_.push_back(std::move(completion));
      // Under the lock: once it is free, and no call is under way, the worker may be gone.
      changed_.notify_all();
    });
    return std::nullopt;
  });
}

bool TableWorker::run_completions() {
  std::deque<Completion> ready;
  {
    const std::lock_guard lock(mutex_);
    ready.swap(done_);
  }
  for (const Completion& completion : ready) {
    --outstanding_;
    completion();
  }
  return !ready.empty();
}

bool TableWorker::pause(Millis duration) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, duration, [this] { return stopping_; });
}

void TableWorker::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
    if (stopping_) return;
    const auto left = waiting_.begin()->first - clock_.steady();
    if (left > SteadyTime::duration::zero()) {
      changed_.wait_for(lock, left);
      continue;
    }
    const Task task = std::move(waiting_.extract(waiting_.begin()).mapped());
    lock.unlock();
    auto attempt = task();
    const auto now = clock_.steady();
    lock.lock();
    if (!attempt) continue;
    if (const auto* pause = std::get_if<Millis>(&*attempt)) {
      if (!stopping_) waiting_.emplace(now + *pause, task);
    } else {
      done_.push_back(std::get<Completion>(std::move(*attempt)));
    }
  }
}

}  // namespace culvert
