// SPDX-License-Identifier: Apache-2.0
#include "dashboard/board.h"

namespace culvert::dashboard {

namespace {

constexpr std::int64_t kSampleEveryMs = 950;  // reports come about every second: none is to be missed by a hair

}  // namespace

void Board::publish(Snapshot snapshot) {
  auto shared = std::make_shared<const Snapshot>(std::move(snapshot));
  {
    const std::lock_guard lock(mutex_);
    snapshot_ = shared;
    // Also when the clock was set back.
    const bool due = history_.empty() || shared->at_ms - history_.back().at_ms >= kSampleEveryMs ||
                     shared->at_ms < history_.back().at_ms;
    if (due) {
      if (history_.size() == kSamplesMost) history_.pop_front();
      history_.push_back({shared->at_ms, shared->records_per_second, shared->event_lag_ms, shared->lag_records});
    }
  }
  const std::lock_guard lock(callback_mutex_);
  if (callback_) callback_(shared);
}

std::shared_ptr<const Snapshot> Board::snapshot() const {
  const std::lock_guard lock(mutex_);
  return snapshot_;
}

std::vector<Sample> Board::history() const {
  const std::lock_guard lock(mutex_);
  return {history_.begin(), history_.end()};
}

void Board::on_publish(std::function<void(const std::shared_ptr<const Snapshot>&)> callback) {
  const std::lock_guard lock(callback_mutex_);
  callback_ = std::move(callback);
}

}  // namespace culvert::dashboard
