// SPDX-License-Identifier: Apache-2.0
#include "app/demo/feed.h"

namespace culvert {

namespace {
constexpr Millis kFlushMost{30'000};
}

DemoFeed::DemoFeed(std::unique_ptr<kafka::Producer> producer, const SensorPlan& plan, const StopFlag& stop,
                   const Clock& clock)
    : producer_(std::move(producer)), plan_(plan), stop_(stop), clock_(clock), thread_([this] { run(); }) {}

DemoFeed::~DemoFeed() {
  abandoned_.store(true);
  thread_.join();
}

void DemoFeed::run() {
  SensorStream stream(plan_, *producer_, clock_);
  while (!stop_.requested() && !abandoned_.load()) {
    const auto more = stream.advance();
    if (!more) return publish(stream, true, more.error());
    if (!*more) break;
    publish(stream, false, std::nullopt);
  }
  if (abandoned_.load()) return;
  const auto flushed = producer_->flush(kFlushMost);
  std::optional<Error> error = producer_->first_failure();
  if (!flushed && !error) error = flushed.error();
  publish(stream, true, error);
}

void DemoFeed::publish(const SensorStream& stream, bool done, std::optional<Error> error) {
  const kafka::ProducerCounters& counters = producer_->counters();
  const std::scoped_lock lock(mutex_);
  figures_ = Figures{stream.totals().sent,
                     static_cast<std::int64_t>(counters.acknowledged),
                     static_cast<std::int64_t>(counters.failed),
                     stream.totals().bad,
                     stream.totals().late,
                     done,
                     std::move(error)};
}

DemoFeed::Figures DemoFeed::figures() const {
  const std::scoped_lock lock(mutex_);
  return figures_;
}

}  // namespace culvert
