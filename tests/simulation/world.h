// SPDX-License-Identifier: Apache-2.0
// A virtual topic: what its partitions hold, and the truth about each record.
//
// Flow    seed -> [World] -> records for the workers; the truth for the Oracle.
// Owner   Simulation; immutable but for how much of the log is visible yet.
// Time    the log grows record by record as the run goes on; event times are drawn with disorder and, in some worlds,
//         with late readings.
// Bounds  a few hundred records, so that thousands of worlds fit a minute.
// See     docs/semantics.md.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "decode/decoder.h"
#include "model/definition.h"
#include "model/record.h"
#include "pipeline/checkpoint.h"
#include "simulation/rng.h"

namespace culvert::simulation {

// What a record means, known from how it was made and not from decoding it.
struct Truth {
  DeadLetterReason poison = DeadLetterReason::kNone;
  bool readable_later = false;  // a reading, but not to the version of the workers
  DeviceId device;              // the rest is meaningful only for readings
  EventTime event_time;
  Micro value;
};

struct VirtualPartition {
  StreamPartition where;
  Offset log_start;
  std::vector<Record> records;  // ascending; gaps are what compaction left
  std::vector<Truth> truths;    // parallel to records
  std::size_t visible = 0;      // records that were produced so far
  std::size_t appears_at = 0;   // in the order of producing: when the partition was added to the topic
  std::int64_t end_gap = 0;     // offsets behind the last record that hold nothing: transaction markers

  [[nodiscard]] std::span<const Record> readable() const { return {records.data(), visible}; }
  [[nodiscard]] Offset log_end() const;
  // Index of the first visible record at or above `offset`.
  [[nodiscard]] std::size_t index_of(Offset offset) const;
};

// How a world is inclined; drawn from the seed, so that runs differ in kind and not only in detail.
struct Inclination {
  bool late_readings = false;  // then functions are delivered to in order only
  bool scattered_devices = false;
  Emission emission = Emission::kEarly;
  bool mixed_emission = false;  // each start of a daemon draws its own; in the end all are early
  int daemons = 0;
  int second_group = 0;  // daemons of another group that writes the same table
  int function_workers = 0;
  bool disordered_delivery = false;  // of function batches: reversed halves, discarded and redriven
  bool gaps_are_empty = false;       // PipelineOptions: batches come in order and none is discarded
  bool transactions = false;         // the table's shape
  int fault_percent = 0;             // of writes
  int crash_permille = 0;            // of a daemon or function, per step
  int pause_permille = 0;            // becoming a zombie
  int rebalance_permille = 0;
  int answer_at_once_percent = 0;  // effects that answer inside of the call
  std::size_t memory_limit_bytes = std::size_t{1} << 30;
  std::size_t images_most = 2'000'000;
  bool early_redrive = false;  // dead letters are redriven while the others still work
  // The workers' version cannot read values from this one on; absent: it reads everything.
  std::optional<Micro> unreadable_from{};
};

class World {
 public:
  explicit World(Rng& rng);

  [[nodiscard]] const Definition& definition() const { return definition_; }
  [[nodiscard]] const Inclination& inclination() const { return inclination_; }
  // Of the workers' version.
  [[nodiscard]] std::unique_ptr<Decoder> decoder() const;
  [[nodiscard]] const std::vector<VirtualPartition>& partitions() const { return partitions_; }
  // Of those that have been added by now.
  [[nodiscard]] std::size_t partition_count() const;
  [[nodiscard]] bool all_produced() const { return produced_ == order_.size(); }
  void produce_one();
  void produce_all();
  [[nodiscard]] std::size_t records_total() const { return order_.size(); }

 private:
  void incline(Rng& rng);
  void define(Rng& rng);
  void lay_out(Rng& rng);
  void append(Rng& rng, std::size_t at);
  void append_reading(Rng& rng, VirtualPartition& partition, RecordTime now);
  void append_poison(Rng& rng, VirtualPartition& partition, RecordTime now);
  [[nodiscard]] DeviceId device(std::int64_t number) const;
  std::string_view keep(std::string text);

  Inclination inclination_;
  Definition definition_;
  std::vector<VirtualPartition> partitions_;
  std::vector<std::size_t> order_;  // partition of each record, in the order of producing
  std::size_t produced_ = 0;
  std::int64_t clock_ms_ = 0;
  std::int64_t devices_ = 1;
  std::int64_t count_now_ = 1;  // partitions while laying out
  std::vector<std::int64_t> next_offset_;
  std::deque<std::string> texts_;
};

}  // namespace culvert::simulation
