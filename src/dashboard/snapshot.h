// SPDX-License-Identifier: Apache-2.0
// The state of a stream at one moment, as people and monitoring look at it.
//
// Flow    a consumer's reports, or a look into a table -> [Snapshot] -> Board -> page, metrics, health.
// Owner   value; handed from thread to thread as shared_ptr<const Snapshot>.
// Time    wall clock in milliseconds since the epoch where it says `_ms`; event times are the records' own.
// Bounds  one PartitionState for each partition.
// See     docs/operating.md: monitoring, for what each figure means.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/record.h"
#include "model/time.h"

namespace culvert::dashboard {

// What the light shows.
enum class StreamState : std::uint8_t {
  kStarting,     // the group has not assigned partitions yet
  kFlowing,      // records arrive and the lag is small
  kCatchingUp,   // more than a few seconds behind
  kQuiet,        // nothing arrives, nothing is waiting
  kPaused,       // reading waits for memory
  kTableFails,   // flushes do not succeed
  kStandby,      // in the group, but without a partition
  kTable,        // no consumer here: a table is looked at
  kUnreachable,  // the table cannot be read
  kFinished,     // the run is over
};

[[nodiscard]] std::string_view state_name(StreamState state);

struct PartitionState {
  PartitionId partition;
  bool reading = false;
  std::optional<Offset> position;   // next to be read; absent: no consumer here
  std::optional<Offset> committed;  // the checkpoint's next, which Kafka's committed offset follows
  std::optional<Offset> log_end;
  std::optional<EventTime> newest;  // event time
  std::optional<EventTime> watermark;
  std::int64_t open_items = 0;
  std::int64_t memory_bytes = 0;

  [[nodiscard]] std::optional<std::int64_t> lag() const;
};

// Durations of flushes as Prometheus counts them; `most` are upper bounds in seconds.
struct FlushTimes {
  static constexpr std::array<double, 12> kMost{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10};
  std::array<std::int64_t, kMost.size() + 1> counts{};  // the last one: above them all
  double sum_seconds = 0;
  std::int64_t count = 0;

  void add(double seconds);
};

struct Snapshot {
  StreamState state = StreamState::kStarting;
  std::string note;  // for people, may be empty: why it is in that state
  std::int64_t at_ms = 0;
  std::chrono::steady_clock::time_point ticked{};  // the same moment, for how long ago it was
  std::int64_t started_ms = 0;
  bool consuming = false;  // false: a table is looked at, and what only a consumer knows is zero
  bool assigned = false;
  bool table_reachable = true;

  double records_per_second = 0;
  std::optional<std::int64_t> lag_records;
  std::optional<std::int64_t> event_lag_ms;  // now less the newest event time
  std::optional<double> flush_p99_ms;        // of the last minutes

  // Since the process started (a table: since ever).
  std::int64_t records_read = 0;
  std::int64_t bytes_read = 0;
  std::int64_t records_stored = 0;
  std::int64_t filtered = 0;
  std::int64_t fence_filtered = 0;
  std::int64_t late = 0;
  std::array<std::int64_t, 14> dead_letters{};  // by DeadLetterReason; late ones are among them
  bool dead_letters_complete = true;            // false: more than were counted
  std::int64_t puts = 0;
  std::int64_t conflicts = 0;
  std::int64_t unknown_outcomes = 0;
  std::int64_t refolds = 0;
  std::int64_t rebalances = 0;
  std::int64_t open_items = 0;
  std::int64_t memory_bytes = 0;
  FlushTimes flushes;
  std::map<std::string, std::int64_t> retries;  // by kind of error

  std::vector<PartitionState> partitions;  // ascending
  std::int32_t partitions_of_topic = 0;    // 0: not known

  [[nodiscard]] std::int64_t dead_letter_count() const;
};

}  // namespace culvert::dashboard
