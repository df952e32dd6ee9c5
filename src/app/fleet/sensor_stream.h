// SPDX-License-Identifier: Apache-2.0
// Sends a fleet's records at their pace.
//
// Flow    SensorFleet -> [SensorStream] -> Producer.
// Owner   produce's loop, or demo's producing thread.
// Time    steady clock for the pace; a record's Kafka timestamp is the broker's clock's unless simulated time is ahead.
// Bounds  advance() sends at most kChunkRecords and waits at most kWaitMost, so that its caller can look at signals.
// See     sensor_options.h; adapters/kafka/producer.h for what waits in memory.
#pragma once

#include <cstdint>
#include <optional>

#include "adapters/clock/clock.h"
#include "adapters/kafka/producer.h"
#include "app/fleet/sensor_fleet.h"
#include "app/fleet/sensor_options.h"
#include "model/result.h"

namespace culvert {

class SensorStream {
 public:
  SensorStream(const SensorPlan& plan, kafka::Producer& producer, const Clock& clock);
  SensorStream(const SensorStream&) = delete;
  SensorStream& operator=(const SensorStream&) = delete;

  // Sends what is due.  False: the plan is carried out.  An error is fatal.
  [[nodiscard]] Result<bool> advance();

  // Of the records that were sent.
  struct Totals {
    std::int64_t sent = 0;
    std::int64_t bad = 0;   // what a decoder with default options sets aside
    std::int64_t late = 0;  // good records with an event time far behind
  };
  [[nodiscard]] const Totals& totals() const { return totals_; }

  static constexpr std::int64_t kChunkRecords = 2'000;
  static constexpr Millis kWaitMost{100};

 private:
  [[nodiscard]] bool over(SteadyTime now) const;
  [[nodiscard]] Result<bool> send(const SensorRecord& record, WallTime now);

  const SensorPlan plan_;
  kafka::Producer& producer_;
  const Clock& clock_;
  const SteadyTime start_;
  const Pacer pacer_;
  SensorFleet fleet_;
  const SensorRecord* pending_ = nullptr;  // made, but the queue was full
  Totals totals_;
};

}  // namespace culvert
