// SPDX-License-Identifier: Apache-2.0
// The producing half of the demo, on a thread of its own.
//
// Flow    SensorStream -> Producer -> embedded broker; figures() -> the demo's view.
// Owner   demo_command.cc; the destructor stops and joins.
// Time    as SensorStream.
// Bounds  as Producer.
// See     sensor_stream.h.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "adapters/clock/clock.h"
#include "adapters/kafka/producer.h"
#include "app/cli/signals.h"
#include "app/fleet/sensor_options.h"
#include "app/fleet/sensor_stream.h"
#include "model/result.h"

namespace culvert {

class DemoFeed {
 public:
  // Begins to send.  A stop ends it early; what was sent until then is still acknowledged.
  DemoFeed(std::unique_ptr<kafka::Producer> producer, const SensorPlan& plan, const StopFlag& stop, const Clock& clock);
  DemoFeed(const DemoFeed&) = delete;
  DemoFeed& operator=(const DemoFeed&) = delete;
  ~DemoFeed();

  struct Figures {
    std::int64_t sent = 0;
    std::int64_t acknowledged = 0;
    std::int64_t failed = 0;
    std::int64_t bad = 0;   // of the sent ones
    std::int64_t late = 0;  // of the sent ones
    bool done = false;      // nothing more will be sent, nothing is under way
    std::optional<Error> error{};
  };
  // Any thread.
  [[nodiscard]] Figures figures() const;

 private:
  void run();
  void publish(const SensorStream& stream, bool done, std::optional<Error> error);

  std::unique_ptr<kafka::Producer> producer_;
  const SensorPlan plan_;
  const StopFlag& stop_;
  const Clock& clock_;
  std::atomic<bool> abandoned_{false};
  mutable std::mutex mutex_;
  Figures figures_;
  std::thread thread_;
};

}  // namespace culvert
