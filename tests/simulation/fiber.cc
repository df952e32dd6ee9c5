// SPDX-License-Identifier: Apache-2.0
#include "simulation/fiber.h"

#include <utility>

#include "model/check.h"

namespace culvert::simulation {

Fiber::Fiber() : thread_([this] { loop(); }) {}

Fiber::~Fiber() {
  if (busy()) kill();
  ending_ = true;
  to_task_.release();
  thread_.join();
}

void Fiber::begin(std::function<void()> task) {
  CULVERT_CHECK(!busy(), "a fiber runs one task at a time");
  task_ = std::move(task);
  killed_ = false;
}

void Fiber::resume() {
  CULVERT_CHECK(busy(), "nothing to resume");
  to_task_.release();
  to_caller_.acquire();
}

void Fiber::kill() {
  killed_ = true;
  resume();
  CULVERT_CHECK(!busy(), "a killed task went on");
}

void Fiber::yield() {
  to_caller_.release();
  to_task_.acquire();
  if (killed_) throw Killed{};
}

void Fiber::loop() {
  for (;;) {
    to_task_.acquire();
    if (ending_) return;
    if (!killed_) {
      try {
        task_();
      } catch (const Killed&) {  // its state is gone with the stack, as it should be
      }
    }
    task_ = nullptr;
    to_caller_.release();
  }
}

}  // namespace culvert::simulation
