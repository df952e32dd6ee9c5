// SPDX-License-Identifier: Apache-2.0
// Every seam of culvert on one screen: what the pipeline needs from the world, in the pipeline's own words.
//
// Flow    PartitionPipeline makes a FlushRequest -> an AggregateTable carries it out -> FlushResult goes back in.
// Owner   adapters implement these; app/ constructs them; the pipeline never knows which one it has.
// Time    none here: retries and back-off belong to the adapters and drivers.
// Bounds  a FlushRequest holds at most what one partition's unwritten deltas hold (PipelineOptions::delta_bytes_max).
// See     docs/ARCHITECTURE.md, "The offset fence" and "Order of writing".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/boxed.h"
#include "model/definition.h"
#include "model/device.h"
#include "model/ids.h"
#include "model/record.h"
#include "model/result.h"
#include "model/time.h"
#include "pipeline/checkpoint.h"
#include "pipeline/fence.h"
#include "window/accumulator.h"

namespace culvert {

struct ItemKey {
  DeviceId device;
  EventTime window_start;
  friend auto operator<=>(const ItemKey&, const ItemKey&) = default;
  friend bool operator==(const ItemKey&, const ItemKey&) = default;
};

// An item as last known to be stored.
struct Image {
  Accumulator aggregate;
  Fences fences;
  friend bool operator==(const Image&, const Image&) = default;
};

// Store `desired` if the stored fences equal `expected` (nullopt: if the item is absent).  Equal fences mean equal
// content, so the fences are also the version.
struct ItemPut {
  ItemKey key;
  EventTime window_end;
  Image desired;
  std::optional<Fences> expected;
};

// Store `desired` if the stored checkpoint equals `expected` in next and ranges (nullopt: if absent).
struct CheckpointPut {
  Checkpoint desired;
  std::optional<Checkpoint> expected;
};

// One flush of one partition.  The table writes (1) dead letters, insert-or-keep by position, (2) items, (3) the
// checkpoint, and (3) only if every item and dead letter is stored.  A table with transactions may do all at once.
struct FlushRequest {
  StreamPartition where;
  std::vector<DeadLetter> dead_letters;
  std::vector<ItemPut> items;  // ascending by (window_start, device)
  std::optional<CheckpointPut> checkpoint;
};

enum class PutStatus : std::uint8_t {
  kStored,
  kConflict,  // the condition failed; `current` says what is stored (nullopt: nothing)
  kUnknown,   // no reply, or one that says nothing about the outcome: it may or may not have been stored
  kNotTried,  // an earlier step failed first (checkpoint after a conflict, items after an error)
};

template <class T>
struct PutOutcome {
  PutStatus status = PutStatus::kNotTried;
  Boxed<T> current;
};

struct FlushResult {
  PutStatus dead_letters = PutStatus::kNotTried;  // kStored also when there were none
  std::vector<PutOutcome<Image>> items;           // parallel to FlushRequest::items
  PutOutcome<Checkpoint> checkpoint;
  // Set when anything is kUnknown or kNotTried for another reason than a conflict.  Retriable: send the same request's
  // remainder again after a pause; fatal: stop.
  std::optional<Error> error;
};

// A stored item as query and verify see it.
struct StoredItem {
  ItemKey key;
  EventTime window_end;
  Image image;
};

struct ItemFilter {
  std::optional<DeviceId> device;
  std::optional<EventTime> from;  // window_start >= from
  std::optional<EventTime> to;    // window_start < to
};

class AggregateTable {
 public:
  AggregateTable() = default;
  AggregateTable(const AggregateTable&) = delete;
  AggregateTable& operator=(const AggregateTable&) = delete;
  virtual ~AggregateTable() = default;

  [[nodiscard]] virtual FlushResult flush(const FlushRequest& request) = 0;
  // The same for callers that need not wait: `done` is called exactly once, on any thread, perhaps before this returns,
  // and `request` lives until then.  Flushes of different partitions may be under way at once; a table that gains
  // nothing by that carries them out here, one after the other.
  virtual void begin_flush(const FlushRequest& request, std::function<void(FlushResult)> done) { done(flush(request)); }
  // Consistent reads, parallel to `keys`; nullopt: no such item.
  [[nodiscard]] virtual Result<std::vector<std::optional<Image>>> load(std::span<const ItemKey> keys) = 0;
  [[nodiscard]] virtual Result<std::optional<Checkpoint>> load_checkpoint(const StreamPartition& where) = 0;

  // From another thread, at the end of a program that must not wait for a table: calls under way and later ones end
  // soon, saying that they do not know.  For tables whose calls end soon anyway there is nothing to do.
  virtual void interrupt() {}
};

// How much a table holds, as far as it knows by itself: an estimate that may be hours old.
struct TableSize {
  std::int64_t items = 0;
  std::int64_t bytes = 0;
};

// The reading side, for query, verify, dead-letters and dashboard.  `visit` returns false to stop early.
class TableReader {
 public:
  TableReader() = default;
  TableReader(const TableReader&) = delete;
  TableReader& operator=(const TableReader&) = delete;
  virtual ~TableReader() = default;

  // Ascending by (device, window_start).
  [[nodiscard]] virtual Result<void> scan_items(const ItemFilter& filter,
                                                const std::function<bool(const StoredItem&)>& visit) = 0;
  // Ascending by (topic, generation, partition).
  [[nodiscard]] virtual Result<std::vector<PartitionCheckpoint>> checkpoints() = 0;
  // Ascending by (topic, generation, partition, offset).
  [[nodiscard]] virtual Result<void> scan_dead_letters(const std::function<bool(const DeadLetter&)>& visit) = 0;

  // What scan_items() without a device reads where that is paid for or takes long; nullopt: neither, or not known.
  [[nodiscard]] virtual Result<std::optional<TableSize>> size_estimate() { return std::optional<TableSize>(); }
  // For tables that read everything before the first item is visited: called now and then, on the caller's thread,
  // with the number of items read so far; false ends the scan early, as if everything had been visited.
  virtual void watch_scans(std::function<bool(std::int64_t items)> /*tick*/) {}
  // As AggregateTable's.
  virtual void interrupt() {}
};

}  // namespace culvert
