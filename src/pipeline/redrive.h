// SPDX-License-Identifier: Apache-2.0
// Puts dead letters that can be read by now into the windows they belong to, each once, however often it is tried.
//
// Flow    checkpoint and dead letters of one partition -> [PartitionRedrive] <-> AggregateTable.
// Owner   dead-letters redrive; one for each partition.
// Time    event time only; `wait` is asked before each retry and says when to give up.
// Bounds  24 bytes for each window of a repaired letter, and the images of items_at_once items.
// See     docs/semantics.md: dead letters that are redriven; fence.h.
//
// The items' own fences have long passed a dead letter's offset, so a repaired letter is held under a fence of its own,
// `<name of the partition>!`.  It says which dead letters an item holds: those below `next` outside of the holes.  Only
// letters that the checkpoint covers take part: all letters below are known then, so that between two of them a hole
// is needed only where a letter remains that may be repaired later.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "pipeline/function_batch.h"

namespace culvert {

struct RedriveOptions {
  Definition definition;
  std::optional<Millis> expire_after{};  // as PipelineOptions has it
  // Readings that came too late are taken as well, into the windows that they missed.
  bool late = false;
  std::size_t items_at_once = 1'000;
};

// letters == repaired + held + broken + late + generation + open + expired
struct RedriveStats {
  std::int64_t letters = 0;
  std::int64_t repaired = 0;    // folded now
  std::int64_t held = 0;        // every window holds it: redriven before
  std::int64_t broken = 0;      // no reading today either
  std::int64_t late = 0;        // left alone, as it was late
  std::int64_t generation = 0;  // left alone, as it belongs to another incarnation of the topic
  std::int64_t open = 0;        // left alone until a checkpoint covers it
  std::int64_t expired = 0;     // its windows are gone
  std::int64_t windows = 0;     // items written
  std::int64_t conflicts = 0;
  std::int64_t unknown = 0;  // puts whose outcome was not known and that were sent again
  void add(const RedriveStats& other);
};

class PartitionRedrive {
 public:
  // `checkpoint` must have been read before the first letter.
  PartitionRedrive(const RedriveOptions& options, Decoder& decoder, StreamPartition where,
                   std::optional<Checkpoint> checkpoint);

  // All letters of the partition, offsets ascending.
  void add(const DeadLetter& letter);
  // Before run().  Error (kData): the table holds more dead letters than the checkpoint counted, or fewer.  Some then
  // may be in the windows already: a program that could not read them wrote them, but was ended before its checkpoint,
  // and a newer one read them.
  [[nodiscard]] Result<void> check() const;
  // Called with the number of items dealt with; false: stop, which an error then says (kTryAgain).
  using Tick = std::function<bool(std::int64_t items)>;
  // Calling it again changes nothing.
  [[nodiscard]] Result<RedriveStats> run(AggregateTable& table, const WaitForRetry& wait, const Tick& tick = {});

  [[nodiscard]] const StreamPartition& where() const { return where_; }

 private:
  struct Contribution {
    Offset offset;
    Micro value;
    std::size_t letter;  // index into folded_
  };
  struct Item {
    EventTime window_end;
    std::vector<Contribution> contributions;  // offsets ascending
    Image image;
  };
  // The order of a flush.
  struct ByWindow {
    bool operator()(const ItemKey& a, const ItemKey& b) const {
      return std::tie(a.window_start, a.device) < std::tie(b.window_start, b.device);
    }
  };
  using Items = std::map<ItemKey, Item, ByWindow>;
  using Chunk = std::vector<Items::value_type*>;

  // Into the first `windows` of those that hold the reading.
  void add_reading(const DeadLetter& letter, const Reading& reading, std::int64_t windows);
  [[nodiscard]] OffsetRange known_around(Offset offset) const;
  [[nodiscard]] Result<std::optional<ItemPut>> put_for(const ItemKey& key, const Item& item);
  [[nodiscard]] Result<void> load(AggregateTable& table, const Chunk& chunk, const WaitForRetry& wait);
  [[nodiscard]] Result<void> write(AggregateTable& table, Chunk chunk, const WaitForRetry& wait);
  // Keeps in `chunk` what has to be tried again.
  [[nodiscard]] Result<void> settle(Chunk& chunk, FlushResult& result, const FlushRequest& request);

  RedriveOptions options_;
  Decoder& decoder_;
  Assigner assigner_;
  StreamPartition where_;
  FenceName fence_name_;
  std::optional<Checkpoint> checkpoint_;
  std::vector<OffsetRange> covered_;  // by the checkpoint
  std::vector<Offset> left_;          // covered letters that take no part
  Items items_;
  std::vector<bool> folded_;  // of the letters that are readings
  Counts stored_;             // covered letters by kind, as the checkpoint counts them
  RedriveStats stats_;
  int attempt_ = 0;
};

// The fence name of a partition's repaired dead letters, and the partition's own name of it (or of any other name).
[[nodiscard]] std::string repaired_fence_name(const StreamPartition& where);
[[nodiscard]] std::string_view partition_fence_name(std::string_view name);

}  // namespace culvert
