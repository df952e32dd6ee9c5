// SPDX-License-Identifier: Apache-2.0
#include "app/session/table_worker.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>

namespace culvert {
namespace {

constexpr Millis kNever{3'600'000};

class TableWorkerTest : public testing::Test {
 protected:
  TableWorkerTest() { worker_.emplace(clock_); }

  // Runs completions until `text_` is as wanted, for ten seconds at most.
  void expect(const std::string& wanted) {
    for (int i = 0; i < 5'000 && text_ != wanted; ++i) {
      if (!worker_->run_completions()) (void)worker_->pause(Millis{2});
    }
    EXPECT_EQ(text_, wanted);
  }
  TableWorker::Completion writes(char what) {
    return [this, what] { text_ += what; };
  }
  TableWorker::Call call(char what) {
    return [this, what](const TableWorker::Finish& finish) { finish(writes(what)); };
  }

  SystemClock clock_;
  std::string text_;
  std::optional<TableWorker> worker_;
};

TEST_F(TableWorkerTest, JobsRunInTheOrderOfTheirComing) {
  for (const char what : {'a', 'b', 'c'})
    worker_->submit([this, what]() -> TableWorker::Attempt { return writes(what); });
  EXPECT_TRUE(worker_->busy());
  expect("abc");
  EXPECT_FALSE(worker_->busy());
}

TEST_F(TableWorkerTest, CallsGoOnSideBySide) {
  std::promise<TableWorker::Finish> slow;
  worker_->begin([&](TableWorker::Finish finish) { slow.set_value(std::move(finish)); }, Millis{0});
  worker_->begin(call('b'), Millis{0});
  expect("b");
  EXPECT_TRUE(worker_->busy());
  slow.get_future().get()(writes('a'));
  expect("ba");
  EXPECT_FALSE(worker_->busy());
}

TEST_F(TableWorkerTest, WhatWaitsForARetryHoldsUpNobody) {
  worker_->begin(call('a'), kNever);
  worker_->submit([]() -> TableWorker::Attempt { return kNever; });
  worker_->begin(call('b'), Millis{0});
  worker_->begin(call('c'), Millis{20});
  worker_->submit([this]() -> TableWorker::Attempt { return writes('d'); });
  expect("bdc");
  EXPECT_TRUE(worker_->busy());
}

TEST_F(TableWorkerTest, JobThatFailsIsRunAgainAfterItsPause) {
  worker_->submit([this, attempts = 0]() mutable -> TableWorker::Attempt {
    if (++attempts < 3) return Millis{1};
    return [this, attempts] { text_ = std::to_string(attempts); };
  });
  expect("3");
}

TEST_F(TableWorkerTest, EndWaitsForWhatIsUnderWayAndDropsTheRest) {
  std::promise<TableWorker::Finish> begun;
  worker_->begin([&](TableWorker::Finish finish) { begun.set_value(std::move(finish)); }, Millis{0});
  worker_->begin(call('x'), kNever);
  std::atomic<bool> ended = false;
  std::jthread other([&, finish = begun.get_future().get()] {
    std::promise<void>().get_future().wait_for(std::chrono::milliseconds{50});
    ended = true;
    finish(writes('a'));
  });
  worker_.reset();
  EXPECT_TRUE(ended);
  EXPECT_EQ(text_, "");
}

TEST_F(TableWorkerTest, StopEndsPauses) {
  std::jthread other([this] { worker_->stop(); });
  EXPECT_FALSE(worker_->pause(kNever));
}

}  // namespace
}  // namespace culvert
