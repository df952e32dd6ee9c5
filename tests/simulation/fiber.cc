// SPDX-License-Identifier: Apache-2.0
#include "simulation/fiber.h"

#include <utility>

#include "model/check.h"

namespace culvert::simulation {

Fiber::Fiber() : thread_([this] { loop(); }) {}

Fiber::~Fiber() {
  if (busy()) kill();
  {
    std::unique_lock lock(mutex_);
    ending_ = true;
    turn_ = Turn::kTask;
  }
  changed_.notify_all();
  thread_.join();
}

void Fiber::begin(std::function<void()> task) {
  CULVERT_CHECK(!busy(), "a fiber runs one task at a time");
  task_ = std::move(task);
  killed_ = false;
}

void Fiber::resume() {
  CULVERT_CHECK(busy(), "nothing to resume");
  std::unique_lock lock(mutex_);
  hand_over(lock, Turn::kTask);
}

void Fiber::kill() {
  killed_ = true;
  resume();
  CULVERT_CHECK(!busy(), "a killed task went on");
}

void Fiber::yield() {
  {
    std::unique_lock lock(mutex_);
    hand_over(lock, Turn::kCaller);
  }
  if (killed_) throw Killed{};
}

// Passes the baton and waits until it comes back.
void Fiber::hand_over(std::unique_lock<std::mutex>& lock, Turn to) {
  const Turn mine = turn_;
  turn_ = to;
  changed_.notify_all();
  changed_.wait(lock, [&] { return turn_ == mine; });
}

void Fiber::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return turn_ == Turn::kTask; });
    if (ending_) return;
    lock.unlock();
    if (!killed_) {
      try {
        task_();
      } catch (const Killed&) {  // its state is gone with the stack, as it should be
      }
    }
    lock.lock();
    task_ = nullptr;
    turn_ = Turn::kCaller;
    changed_.notify_all();
  }
}

}  // namespace culvert::simulation
