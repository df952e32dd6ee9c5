// SPDX-License-Identifier: Apache-2.0
#include "app/table_worker.h"

#include <utility>

namespace culvert {

TableWorker::TableWorker() : thread_([this] { work(); }) {}

TableWorker::~TableWorker() {
  stop();
  thread_.join();
}

void TableWorker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
  }
  changed_.notify_all();
}

void TableWorker::submit(Job job) {
  ++outstanding_;
  {
    const std::lock_guard lock(mutex_);
    if (!stopping_) jobs_.push_back(std::move(job));
  }
  changed_.notify_all();
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
  for (;;) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
      if (stopping_) return;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    Completion completion = job();
    const std::lock_guard lock(mutex_);
    done_.push_back(std::move(completion));
  }
}

}  // namespace culvert
