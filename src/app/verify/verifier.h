// SPDX-License-Identifier: Apache-2.0
// Compares a table with the log it was folded from, record by record.
//
// Flow    TableReader -> [Verifier::load] -> plan() says what to read -> add() each record -> finish() -> VerifyReport.
// Owner   the command verify; one run.
// Time    event time only.  The table may be written meanwhile: the checkpoints are read first and the items last, so
//         that items know at least what the checkpoints claim.
// Bounds  memory for every window and dead letter of the table: about 500 bytes a window, and the dead letters' bytes.
// See     docs/semantics.md; oracle.h, which works out what each record is.
//
// What must hold, at any moment: an item equals the fold of exactly those of its readings that its stored offset fences
// cover; a reading that a checkpoint covers is covered by the fences of each of its items; the dead letters at covered
// offsets are exactly those of the log; a checkpoint's counters and maxima are those of the records it covers.  A dead
// letter that can be read by now (an older version wrote it) must have been redriven: then it is held under a fence of
// its own, and still counts as a dead letter.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/verify/oracle.h"
#include "pipeline/ports.h"

namespace culvert::oracle {

// Half-open.  The log holds [log_start, log_end) of the partition.
struct LogExtent {
  PartitionId partition;
  Offset log_start;
  Offset log_end;
};

struct VerifyReport {
  // Windows: compared == equal + different + extra + unverifiable.
  std::int64_t windows = 0;  // compared: in the table, or required to be in it
  std::int64_t equal = 0;
  std::int64_t different = 0;     // in both, with another content
  std::int64_t missing = 0;       // required by a checkpoint, not in the table
  std::int64_t extra = 0;         // in the table, explained by no record
  std::int64_t open = 0;          // only records that no checkpoint covers yet; not required
  std::int64_t unverifiable = 0;  // differ, but the log does not hold all that went into them any more
  // Records that the checkpoints cover.
  Counts counts;
  std::int64_t repaired = 0;  // dead letters that are in their windows by now: redriven
  std::int64_t dead_letters_different = 0;
  std::int64_t dead_letters_missing = 0;
  std::int64_t dead_letters_extra = 0;
  std::int64_t counters_different = 0;
  std::int64_t partitions = 0;
  std::vector<std::string> partly;       // partitions whose log is gone in part, or seems so, for people
  std::vector<std::string> differences;  // the first differences_max, for people
  std::int64_t differences_total = 0;

  [[nodiscard]] bool good() const { return differences_total == 0; }
};

class Verifier {
 public:
  static constexpr std::size_t kDifferencesMost = 20;

  // Reads checkpoints, dead letters and items of the topic's newest generation.
  // Error (kData): the table holds nothing of the topic, or its windows depend on how records were delivered.
  [[nodiscard]] static Result<std::unique_ptr<Verifier>> load(TableReader& table, const Definition& definition,
                                                              const std::string& topic);

  [[nodiscard]] const std::vector<PartitionCheckpoint>& checkpoints() const { return checkpoints_; }
  // Which offsets of each partition are to be read; empty ranges are left out.
  // Error (kData): a log ends below what the table holds of it, so it is not the log the table was made from.
  [[nodiscard]] Result<std::vector<std::pair<PartitionId, OffsetRange>>> plan(std::span<const LogExtent> logs);
  // What the brokers say of the topic, before add(); nullopt: nothing.  Of a compacted one records may be gone that
  // were folded, which is then no difference but not verifiable.  Otherwise it is one, however it came about.
  void log_is_compacted(std::optional<bool> compacted) { compacted_ = compacted; }
  // In offset order within each partition.
  void add(PartitionId partition, std::span<const Record> records);
  [[nodiscard]] VerifyReport finish();

 private:
  struct Partition {
    const Checkpoint* checkpoint = nullptr;  // null: items name it, but there is no checkpoint
    std::string fence_name;
    std::string repaired_name;  // of the fence of redriven dead letters
    PartitionOracle oracle;
    Offset log_start{0};
    Offset log_end{0};
    bool partly = false;                              // some of what was folded may be gone from the log
    Progress progress;                                // over [start, next)
    std::map<std::int64_t, Progress> range_progress;  // by the range's first offset

    explicit Partition(const Definition& definition) : oracle(definition) {}
  };
  struct Item {
    std::optional<StoredItem> stored;
    Sums sums;              // of what fences or checkpoints cover
    bool required = false;  // a checkpoint covers one of its readings
    bool pending = false;   // a reading that is not covered
    bool doubtful = false;  // the log does not tell whether a reading was late
    std::string uncovered;  // first position that the checkpoint covers and the item's fence does not
  };
  struct Letter {
    DeadLetter stored;
    bool seen = false;
  };

  Verifier(const Definition& definition, std::string topic) : definition_(definition), topic_(std::move(topic)) {}
  [[nodiscard]] Result<void> load_checkpoints(TableReader& table);
  [[nodiscard]] Result<void> load_dead_letters(TableReader& table);
  [[nodiscard]] Result<void> load_items(TableReader& table);
  Partition& partition_of(PartitionId id);
  [[nodiscard]] std::optional<PartitionId> partition_of_fence(std::string_view name) const;

  void add_record(PartitionId id, Partition& partition, const Record& record);
  // True if the table's word is taken that the reading was late.
  bool compare_dead_letter(PartitionId id, Partition& partition, const Record& record, const Judgement& judged,
                           bool covered);
  // The letter of a record that the table set aside, as it can be read by now; null: there is none.
  [[nodiscard]] Letter* set_aside(PartitionId id, const Record& record);
  void add_redriven(const Partition& partition, const Record& record, const Judgement& judged, bool required);
  void add_reading(Partition& partition, const Record& record, const Judgement& judged, const Window& window,
                   bool covered);
  void look_for_removed_records(Partition& partition);
  void compare_item(const ItemKey& key, const Item& item);
  void compare_partition(const Partition& partition);
  void compare_counts(const std::string& where, const Progress& table, const Progress& log);
  void finish_dead_letters();
  [[nodiscard]] bool verifiable(const Item& item) const;
  [[nodiscard]] std::vector<std::string> item_differences(const Item& item) const;
  void difference(std::string text);

  Definition definition_;
  std::string topic_;
  std::int64_t generation_ = 0;
  std::optional<bool> compacted_;
  std::vector<PartitionCheckpoint> checkpoints_;
  std::map<PartitionId, Partition> partitions_;
  std::map<ItemKey, Item> items_;
  std::map<std::pair<PartitionId, Offset>, Letter> letters_;
  VerifyReport report_;
};

}  // namespace culvert::oracle
