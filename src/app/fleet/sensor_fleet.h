// SPDX-License-Identifier: Apache-2.0
// Simulated sensors: the records of a fleet of devices, in the reference system's shape.
//
// Flow    options -> [SensorFleet] -> produce and demo, which send what next() returns.  Pure: no clock, no global
//         random numbers; the same options give the same bytes.
// Owner   one thread.
// Time    record n is sent at start + n * cycle / records_per_cycle of simulated time; its event time lies up to
//         `disorder` before that, a late one's `late_by` to twice as far.  Microseconds.
// Bounds  4 bytes a device, and one buffer of kRecordBytesMost.
// See     docs/formats.md: records.
//
// A good record is what Python's json.dumps makes of the reference's sensor, down to the fraction that isoformat()
// leaves out when it is zero:
//   {"device_id": 1, "timestamp": "2023-05-01T12:00:00.123456", "temperature": 21.5}
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/record.h"

namespace culvert {

// Microseconds since the Unix epoch.
using SensorTime = std::chrono::sys_time<std::chrono::microseconds>;

struct FleetOptions {
  std::int64_t devices = 20;  // ids 1 .. devices
  std::uint64_t seed = 1;
  SensorTime start{};
  // The fleet's pace, as a fraction, so that no pace is rounded.
  std::chrono::microseconds cycle{1'000'000};
  std::int64_t records_per_cycle = 200;
  std::chrono::microseconds disorder{0};  // event times are delayed by [0, disorder], evenly
  std::int64_t late_share_ppm = 0;
  std::chrono::microseconds late_by{std::chrono::hours{2}};
  std::int64_t bad_share_ppm = 0;
};

inline constexpr std::int64_t kDevicesMost = 10'000'000;

struct SensorRecord {
  std::string_view key;                   // the device id's text
  std::optional<std::string_view> value;  // absent: a tombstone
  SensorTime sent;                        // simulated
  // What a decoder with default options has to say; kNone also for late records, whose lateness depends on the log.
  DeadLetterReason flaw = DeadLetterReason::kNone;
  bool late = false;
};

class SensorFleet {
 public:
  explicit SensorFleet(const FleetOptions& options);
  SensorFleet(const SensorFleet&) = delete;
  SensorFleet& operator=(const SensorFleet&) = delete;

  // Valid until the next call.
  [[nodiscard]] const SensorRecord& next();
  [[nodiscard]] std::int64_t produced() const { return produced_; }

  static constexpr std::size_t kRecordBytesMost = 256;

 private:
  [[nodiscard]] std::uint64_t random();
  [[nodiscard]] std::uint64_t random_below(std::uint64_t limit);
  [[nodiscard]] bool happens(std::int64_t share_ppm);
  [[nodiscard]] SensorTime event_time();
  [[nodiscard]] std::int32_t walk(std::size_t device);
  [[nodiscard]] SensorTime send_time();
  void write_good(std::int64_t device, SensorTime time, std::int32_t centi);
  void write_bad(std::int64_t device, SensorTime time, std::int32_t centi);
  char* append_time(char* out, SensorTime time);

  const FleetOptions options_;
  std::array<std::uint64_t, 2> state_{};
  std::vector<std::int32_t> centi_;  // temperature of each device in hundredths of a degree
  std::int64_t produced_ = 0;
  SensorTime cycle_start_;
  std::int64_t index_ = 0;  // within the cycle
  std::int64_t cached_day_ = -1;
  std::array<char, 11> day_text_{};  // `2023-05-01T`
  std::array<char, kRecordBytesMost> buffer_{};
  std::string bad_;
  SensorRecord record_;
};

}  // namespace culvert
