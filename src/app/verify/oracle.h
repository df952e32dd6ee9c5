// SPDX-License-Identifier: Apache-2.0
// What the log amounts to, worked out in the plainest way: one record after the other, from docs/semantics.md alone.
//
// Flow    records of one partition in order -> [PartitionOracle] -> readings with windows, dead letters, late ones.
// Owner   Verifier holds one for each partition.
// Time    event time; lateness by the maximum over the readings before, from where folding began.
// Bounds  none worth a name; slow, and meant to be.
// See     docs/semantics.md.  Shares values (model) with the program, but no code of decode, window or pipeline: what
//         `verify` finds equal was worked out twice.
#pragma once

#include <boost/multiprecision/cpp_int.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/definition.h"
#include "model/device.h"
#include "model/record.h"
#include "model/time.h"

namespace culvert::oracle {

using boost::multiprecision::cpp_int;

// What one record is.
struct Judgement {
  DeadLetterReason refused = DeadLetterReason::kNone;  // kNone: a reading
  DeviceId device;
  EventTime time;
  std::int64_t micro = 0;      // the value in millionths
  std::vector<Window> folded;  // windows that take it
  std::vector<Window> missed;  // windows it is late for
};

class PartitionOracle {
 public:
  explicit PartitionOracle(const Definition& definition) : definition_(definition) {}

  // Records in offset order, each once.
  [[nodiscard]] Judgement judge(const Record& record);
  // A record that was set aside, as it can be read by now: in time for all of its windows, and without a trace in what
  // is judged later.
  [[nodiscard]] Judgement judge_set_aside(const Record& record) const;
  [[nodiscard]] std::optional<EventTime> max_event_time() const { return max_event_time_; }

 private:
  [[nodiscard]] DeadLetterReason decode(const Record& record, Judgement& out) const;
  void sort_windows(Judgement& out, bool any_is_in_time) const;

  Definition definition_;
  std::optional<EventTime> max_event_time_;
};

// Exact sums of readings.
struct Sums {
  cpp_int count = 0;
  cpp_int sum = 0;          // millionths
  cpp_int sum_squares = 0;  // 1e-12
  std::int64_t min = 0;     // meaningless while count == 0
  std::int64_t max = 0;

  void add(std::int64_t micro);
};

// In millionths, rounded half to even; sums.count > 0.
[[nodiscard]] std::int64_t mean_micro(const Sums& sums);
[[nodiscard]] std::int64_t stddev_micro(const Sums& sums);

// The steps, each for its own test.
[[nodiscard]] std::optional<std::int64_t> time_of_text(std::string_view text);
// `per_second`: the number counts seconds, otherwise milliseconds.
[[nodiscard]] std::optional<std::int64_t> time_of_number(const std::string& text, bool per_second);
[[nodiscard]] std::optional<std::int64_t> micro_of_number(const std::string& text);

}  // namespace culvert::oracle
