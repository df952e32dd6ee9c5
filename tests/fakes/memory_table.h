// SPDX-License-Identifier: Apache-2.0
// An aggregate table in memory that can misbehave in every way a real one can.
//
// Flow    PartitionPipeline or a driver -> flush() -> [MemoryTable] -> TableReader for the checker.
// Owner   the test; shared by all workers of a simulation, from any thread (calls are serialised).
// Time    none: a delayed write lands when the test says so, not after some milliseconds.
// Bounds  none; it holds what the test writes.
// See     src/pipeline/ports.h.  Two shapes: writes one by one (as a key-value service) or one transaction a flush (as
//         an embedded database); the pipeline must not be able to tell them apart.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pipeline/ports.h"

namespace culvert::fakes {

enum class WriteKind : std::uint8_t { kDeadLetter, kItem, kCheckpoint, kTransaction };

// What happens to one write.  A condition that does not hold is a conflict whatever the fault.
enum class WriteFault : std::uint8_t {
  kNone,
  kLost,       // never arrives; the caller sees kUnknown
  kReplyLost,  // is applied; the caller sees kUnknown
  kDelayed,    // the caller sees kUnknown; arrives at release_delayed(), where its condition is judged
  kThrottled,  // refused and the caller knows it: kNotTried and a retriable error
  kRefused,    // refused for good: kNotTried and a fatal error
  kRepeated,   // arrives twice before it is answered; the caller sees the second outcome
  kEchoed,     // is applied and answered; arrives once more at release_delayed()
};

struct Write {
  WriteKind kind;
  std::uint64_t number;  // 1, 2, 3, .. over the life of the table
  const StreamPartition& where;
  const ItemKey* item;  // null unless kind == kItem
};

// Decides about every write, in the order they reach the table.
using FaultPolicy = std::function<WriteFault(const Write&)>;

// The n-th write (from 1) has the fault, all others none.
[[nodiscard]] FaultPolicy fail_nth(std::uint64_t n, WriteFault fault);

// Called for each item write that was applied; `before` is null for the first one.
using ItemObserver = std::function<void(const ItemKey& key, const Image* before, const Image& after)>;
// The same for checkpoints, and for dead letters that were not there yet.
using CheckpointObserver =
    std::function<void(const StreamPartition& where, const Checkpoint* before, const Checkpoint& after)>;
using DeadLetterObserver = std::function<void(const DeadLetter& letter)>;

class MemoryTable final : public AggregateTable, public TableReader {
 public:
  enum class Shape : std::uint8_t { kOneByOne, kTransactions };
  explicit MemoryTable(Shape shape = Shape::kOneByOne) : shape_(shape) {}

  FlushResult flush(const FlushRequest& request) override;

  // A flush in slices, for a test that lets others write in between: one write (or the one transaction) a step.
  class Slices {
   public:
    // The request must outlive the slices.
    Slices(MemoryTable& table, const FlushRequest& request);
    // Carries out the next write; false: nothing is left, result() is complete.
    bool step();
    [[nodiscard]] bool done() const { return phase_ == Phase::kDone; }
    [[nodiscard]] FlushResult& result() { return result_; }

   private:
    friend MemoryTable;
    enum class Phase : std::uint8_t { kDeadLetters, kItems, kCheckpoint, kTransaction, kDone };
    bool step_locked();
    void dead_letter();
    void item();
    void checkpoint();
    void after_items();

    MemoryTable& table_;
    const FlushRequest& request_;
    Phase phase_;
    std::size_t at_ = 0;  // next dead letter or item
    FlushResult result_;
  };

  Result<std::vector<std::optional<Image>>> load(std::span<const ItemKey> keys) override;
  Result<std::optional<Checkpoint>> load_checkpoint(const StreamPartition& where) override;

  Result<void> scan_items(const ItemFilter& filter, const std::function<bool(const StoredItem&)>& visit) override;
  Result<std::vector<PartitionCheckpoint>> checkpoints() override;
  Result<void> scan_dead_letters(const std::function<bool(const DeadLetter&)>& visit) override;

  void set_faults(FaultPolicy policy);
  void set_observer(ItemObserver observer);
  void set_checkpoint_observer(CheckpointObserver observer);
  void set_dead_letter_observer(DeadLetterObserver observer);
  // A mistake on purpose: the checkpoint before the items.
  void write_checkpoint_first() { checkpoint_first_ = true; }
  // The next `count` reads (load, load_checkpoint) fail with a retriable error.
  void fail_reads(int count);
  // Applies the delayed writes, oldest first, each only if its condition holds by now.  Returns how many were waiting.
  std::size_t release_delayed();
  // While corked, flush() blocks its caller before it touches anything.
  void cork();
  void uncork();
  [[nodiscard]] bool flush_waiting() const;
  // Removes an item, as expiry does.
  void expire(const ItemKey& key);

  struct Counters {
    std::uint64_t writes = 0;  // tried, each judged by the policy once
    std::uint64_t items_stored = 0;
    std::uint64_t conflicts = 0;
    std::uint64_t checkpoints_stored = 0;
  };
  [[nodiscard]] Counters counters() const;

 private:
  // What a write would have answered if its reply had come.
  template <class T>
  struct Applied {
    bool stored = false;
    std::optional<T> current;
  };
  struct Failure {
    PutStatus status = PutStatus::kUnknown;
    Error error;
  };

  void flush_transaction(const FlushRequest& request, FlushResult& result);
  // Asks the policy about one write; `apply` is run at once, later or never.  nullopt: it ran and the reply came.
  std::optional<Failure> attempt(WriteKind kind, const FlushRequest& request, const ItemKey* item,
                                 const std::function<void()>& apply, const std::function<void()>& apply_later);
  void apply_dead_letter(const DeadLetter& letter);
  Applied<Image> apply_item(const ItemPut& put);
  Applied<Checkpoint> apply_checkpoint(const StreamPartition& where, const CheckpointPut& put);
  FlushResult apply_transaction(const FlushRequest& request);
  bool take_read_failure();

  const Shape shape_;
  mutable std::mutex mutex_;
  std::condition_variable uncorked_;
  bool corked_ = false;
  int waiting_ = 0;
  int read_failures_ = 0;
  FaultPolicy policy_;
  ItemObserver observer_;
  CheckpointObserver checkpoint_observer_;
  DeadLetterObserver dead_letter_observer_;
  bool checkpoint_first_ = false;
  Counters counters_;
  std::map<ItemKey, StoredItem> items_;
  std::map<StreamPartition, Checkpoint> checkpoints_;
  std::map<std::pair<StreamPartition, Offset>, DeadLetter> dead_letters_;
  std::vector<std::function<void()>> delayed_;
};

}  // namespace culvert::fakes
