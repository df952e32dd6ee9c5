// SPDX-License-Identifier: Apache-2.0
// Watches every write to the virtual table and compares its end state with the oracle's.
//
// Flow    VirtualTable's observers, commits, stats -> [Checker] -> the first violation, as text.
// Owner   Simulation.
// Time    a wrong write is noticed in the moment it lands, so that the trace ends with its cause.
// Bounds  a mirror of the table.
// See     docs/ARCHITECTURE.md: the offset fence.  Invariants: an item equals the fold of exactly the records its
// fences
//         cover, and they only grow; a checkpoint only grows, and covers a record only when every item it belongs to
//         holds it (or its dead letter is stored), with the maxima and counts of exactly the records below it; Kafka's
//         committed offset is never above the stored checkpoint; every record is in one group of the statistics.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/partition_pipeline.h"
#include "simulation/oracle.h"
#include "simulation/virtual_table.h"
#include "simulation/world.h"

namespace culvert::simulation {

class Checker {
 public:
  Checker(const World& world, const Oracle& oracle, bool end_only)
      : world_(world), oracle_(oracle), overlooking_(end_only) {}

  void watch(VirtualTable& table);
  void on_commit(PartitionId partition, Offset next);
  void on_stats(const PipelineStats& stats, std::int64_t delivered);
  void violate(const std::string& what);
  // From now on; before that, violations are overlooked if only the end counts.
  void expect_the_end() { overlooking_ = false; }

  // The table after everything has been delivered.
  void check_end(TableReader& table);

  // Dead letters are redriven from now on, by a version that can read what the workers cannot; with `late` also those
  // that came too late.
  void expect_redrive(bool late);

  // True if each record of the partition has been dealt with according to the stored checkpoint.
  [[nodiscard]] bool complete(std::size_t partition) const;
  [[nodiscard]] const std::optional<std::string>& violation() const { return violation_; }

 private:
  using Covered = std::set<std::pair<std::size_t, Offset>>;

  void on_item(const ItemKey& key, const Image* before, const Image& after);
  void on_checkpoint(const StreamPartition& where, const Checkpoint* before, const Checkpoint& after);
  void on_dead_letter(const DeadLetter& letter);
  [[nodiscard]] Covered covered_by(const ExpectedItem& item, const Image& image) const;
  // Those that an item holds in the end.
  [[nodiscard]] std::vector<const Contribution*> wanted(const ExpectedItem& item) const;
  void check_names(const ItemKey& key, const Fences& fences);
  void check_closed(const ItemKey& key, const ExpectedItem& item, const Covered& covered);
  void check_dealt_with(std::size_t partition, std::size_t index);
  void check_progress(std::size_t partition, const Checkpoint& checkpoint);
  void check_end_items();
  void check_end_checkpoints();
  [[nodiscard]] bool final_emission() const { return world_.inclination().emission == Emission::kFinal; }
  [[nodiscard]] std::optional<std::size_t> partition_of(const StreamPartition& where) const;

  const World& world_;
  const Oracle& oracle_;
  std::map<ItemKey, Image> items_;
  std::map<std::size_t, Checkpoint> checkpoints_;
  std::map<std::pair<std::size_t, Offset>, DeadLetterReason> letters_;
  bool overlooking_;
  bool redriving_ = false;
  bool redriving_late_ = false;
  std::optional<std::string> violation_;
};

// `device 3 window 2026-..`: how messages name an item.
[[nodiscard]] std::string item_text(const ItemKey& key);
[[nodiscard]] std::string accumulator_text(const Accumulator& accumulator);

}  // namespace culvert::simulation
