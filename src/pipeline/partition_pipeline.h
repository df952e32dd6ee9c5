// SPDX-License-Identifier: Apache-2.0
// One partition, one assignment: decode -> fold -> flush -> checkpoint.
//
// Flow    a driver (group member, function batch, test) puts records in by fold() and carries out the FlushRequests
// that
//         begin_flush() and on_flush() hand out; the pipeline decides everything else and does no I/O itself.
// Owner   the driver holds one per (partition, assignment) and throws it away on revoke or when a refold is asked for.
// Time    event time only.  Nothing here waits, retries by itself or looks at a clock.
// Bounds  memory_bytes() says what it holds; begin_flush() empties the deltas, images are bounded by images_most.
// See     docs/ARCHITECTURE.md, "The offset fence"; docs/semantics.md.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "decode/decoder.h"
#include "pipeline/checkpoint.h"
#include "pipeline/coverage.h"
#include "pipeline/pipeline_stats.h"
#include "pipeline/ports.h"
#include "window/assigner.h"
#include "window/delta.h"

namespace culvert {

struct PipelineOptions {
  Definition definition;
  Emission emission = Emission::kEarly;
  // Items are removed this long after their window's end; readings for such a window are late.  Absent: never.
  std::optional<Millis> expire_after;
  // Functions only: offsets between the checkpoint and a batch hold nothing, because the event source delivers in order
  // and never discards.  False: a batch that was discarded may still come, so the gap is kept open for it, and a log
  // with gaps of its own (compacted, transactional, filtered by the event source) runs into kRangesMost.
  bool gaps_are_empty = false;
  std::size_t images_most = 2'000'000;  // images kept to save a conflict per put; beyond it the oldest windows' go
  std::uint64_t hash_salt = 0x9e3779b97f4a7c15ULL;
};

struct PipelineStart {
  StreamPartition where;
  AssignmentId assignment{};
  Checkpoint checkpoint;           // as stored, or the one to begin with
  bool checkpoint_stored = false;  // false: there is none in the table yet
  Offset read_first;               // where reading begins: the checkpoint's next, a batch's first offset, or lower
  // Records below this offset are folded window by window against images loaded before (see missing_images), because
  // others may have folded some of them: set after a straddle, and by a replay.
  Offset load_before{0};
  // Set by a replay: what the checkpoint covers is judged again, from this offset on, instead of being filtered.
  std::optional<Offset> replay_from;
};

class PartitionPipeline {
 public:
  enum class FlushState {
    kWrite,   // carry out `request` (again, or what is left of it), then call on_flush()
    kDone,    // everything is stored; committable() has moved if the checkpoint did
    kRefold,  // somebody else folded some of it: drop this pipeline, load the checkpoint, start again with
              // load_before = read_next()
  };
  struct FlushStep {
    FlushState state = FlushState::kDone;
    std::shared_ptr<const FlushRequest> request;  // kWrite only
    std::optional<Error> error;  // kWrite only: why the last attempt did not finish; wait before retrying
  };

  // Error (kData): the checkpoint was written under another definition.
  [[nodiscard]] static Result<std::unique_ptr<PartitionPipeline>> create(const PipelineOptions& options,
                                                                         Decoder& decoder, PipelineStart start);

  // Items that must be handed to provide_images() before fold() may be given these records, all of them in one call;
  // empty above load_before.
  [[nodiscard]] std::vector<ItemKey> missing_images(std::span<const Record> records);
  // nullopt: there is no such item.
  void provide_images(std::span<const ItemKey> keys, std::vector<std::optional<Image>> images);

  // Records in ascending offset order, none below read_next().  A bad record is never an error.
  // Error (kData, fatal): a stated limit was reached (readings of one window).
  [[nodiscard]] Result<void> fold(std::span<const Record> records);
  // The log holds nothing between read_next() and `next` (compacted, or transaction markers).
  void skip_to(Offset next);

  // What changed since the last flush as a request, or kDone if nothing did.  Not while flushing().
  [[nodiscard]] Result<FlushStep> begin_flush();
  [[nodiscard]] Result<FlushStep> on_flush(FlushResult result);
  [[nodiscard]] bool flushing() const { return flight_ != nullptr; }
  // True if begin_flush() would have something to write.
  [[nodiscard]] bool dirty() const;

  [[nodiscard]] const StreamPartition& where() const { return where_; }
  [[nodiscard]] AssignmentId assignment() const { return assignment_; }
  [[nodiscard]] Offset read_next() const { return coverage_.read_next(); }
  // The stored checkpoint as last known; absent while there is none.  Its next may be committed to Kafka.
  [[nodiscard]] const std::optional<Checkpoint>& stored_checkpoint() const { return stored_; }
  [[nodiscard]] std::optional<EventTime> max_event_time() const { return running_.max_event_time; }
  [[nodiscard]] std::optional<EventTime> watermark() const;
  [[nodiscard]] PipelineStats stats() const;
  [[nodiscard]] std::size_t memory_bytes() const;
  // Forgets the images that nothing depends on at the moment; each costs a conflict when its item is written again.
  void shed_images();
  // Devices times windows that hold unwritten contributions.
  [[nodiscard]] std::size_t open_deltas() const;

 private:
  // A pane or a window with its deltas, and what was read before its first contribution.
  struct Bucket {
    EventTime end;
    DeltaMap deltas;
    Mark first;
  };
  struct FlightItem {
    ItemKey key;
    EventTime window_end;
    Delta unchecked;
    Boxed<Delta> checked;  // contributions that were compared with an image: after a refold
  };
  struct Flight {
    std::shared_ptr<const FlushRequest> request;
    std::vector<FlightItem> items;  // parallel to request->items
    std::vector<Piece> pieces;      // what the checkpoint will cover once all of it is stored
    OffsetRange read;               // what had been read when the flush began
  };
  enum class Decision { kPut, kNothing, kRefold };
  using Buckets = std::map<EventTime, Bucket>;
  using ImageMap = boost::unordered_flat_map<DeviceId, Image, DeviceHash, DeviceEqual>;

  PartitionPipeline(const PipelineOptions& options, Decoder& decoder, PipelineStart start);

  // fold (partition_pipeline_fold.cc)
  // How many records from the front it folded; 0: the first one needs fold_one().  Only while plain_.
  std::size_t fold_run(std::span<const Record> records);
  std::size_t fold_hot(std::span<const Record> records, std::span<const Reading> readings, Offset& next);
  void fold_one(const Record& record);
  void check_order(const Record& record) const;
  void fold_batch(std::span<const Record> records);
  [[nodiscard]] std::vector<ItemKey> batch_keys(std::span<const Record> records);
  void process(const Record& record, bool counted);
  bool filter_covered(const Record& record);
  void set_aside(const Record& record, DeadLetterReason reason, std::string detail);
  // False: late for all of its windows.
  bool fold_reading(const Record& record, const Reading& reading) {
    if (reading.event_time >= hot_start_ && reading.event_time < hot_end_ && record.offset >= load_before_) [[likely]] {
      contribute(*hot_pane_, record, reading, false);
      return true;
    }
    return fold_elsewhere(record, reading);
  }
  bool fold_elsewhere(const Record& record, const Reading& reading);
  bool fold_windows(const Record& record, const Reading& reading);
  bool fold_window(const Record& record, const Reading& reading, const Window& window);
  void contribute(Bucket& bucket, const Record& record, const Reading& reading, bool checked);
  // Of a contribution that was compared with no image.
  void fold_into(Delta& delta, Offset offset, Micro value) {
    delta.checked = false;
    delta.fold(offset, value);
    count_limit_hit_ |= delta.aggregate.count > kCountMost;
  }
  Bucket& bucket(Buckets& buckets, EventTime start, EventTime end, const Record& record);
  [[nodiscard]] bool late(EventTime window_end) const { return window_end.value() <= late_before_ms_; }
  void raise(EventTime event_time) {
    if (!running_.max_event_time || event_time > *running_.max_event_time) raise_thresholds(event_time);
  }
  void raise_thresholds(EventTime event_time);
  void join_known(Offset offset);
  void set_plain_from();
  void set_thresholds();
  void cool_pane();
  void seal_closed();

  // flush (partition_pipeline_flush.cc)
  struct Round;
  std::vector<FlightItem> collect_items();
  void collect_panes(std::vector<FlightItem>& items);
  void count_device_heap();
  void collect_windows(std::vector<FlightItem>& items);
  [[nodiscard]] std::optional<Mark> trailing_mark() const;
  Result<Decision> decide(const FlightItem& item, ItemPut& put);
  Result<FlushStep> send(Round round);
  Result<void> settle_item(FlightItem& item, const ItemPut& put, PutOutcome<Image>& outcome, Round& round);
  // False: refold.
  Result<bool> settle_checkpoint(const CheckpointPut& put, PutOutcome<Checkpoint>& outcome, Round& round);
  Result<CheckpointPut> checkpoint_put() const;
  void checkpoint_stored(const Checkpoint& checkpoint);
  void adopt(const Checkpoint& current);
  FlushStep refold();
  void forget_images(std::size_t images_most);
  Image* image(EventTime window_start, const DeviceRef& device);
  void remember(const ItemKey& key, Image image);

  PipelineOptions options_;
  Decoder& decoder_;
  Assigner assigner_;
  StreamPartition where_;
  FenceName fence_name_;
  AssignmentId assignment_;
  std::optional<Checkpoint> stored_;
  Checkpoint base_;  // stored_, or the checkpoint to begin with
  Offset load_before_;
  std::optional<Offset> replay_from_;

  Progress running_;  // maxima over everything judged or known below read_next; counts since the start
  Coverage coverage_;
  Buckets panes_;    // contributions to every window that holds the pane
  Buckets windows_;  // contributions to one window only
  std::map<EventTime, ImageMap> images_;
  std::size_t image_count_ = 0;
  std::size_t image_heap_bytes_ = 0;
  std::vector<DeadLetter> dead_letters_;
  std::size_t dead_letter_bytes_ = 0;
  std::unique_ptr<Flight> flight_;
  PipelineStats stats_;
  std::int64_t counted_ = 0;  // records in running_.counts that this pipeline added
  bool count_limit_hit_ = false;
  std::size_t device_heap_bytes_ = 0;

  // Records are decoded in runs of so many: their readings stay in the first-level cache until they are folded.
  static constexpr std::size_t kRunMost = 64;
  std::array<Reading, kRunMost> readings_{};

  // Cached for the hot path; all derived from the above.
  Bucket* hot_pane_ = nullptr;
  EventTime hot_start_{0};
  EventTime hot_end_{0};           // the hot pane is [start, end); empty when there is none
  std::int64_t late_before_ms_;    // a window is late iff end <= this
  std::int64_t closed_before_ms_;  // a window is closed iff end <= this
  std::int64_t sealed_before_ms_;  // windows with end <= this hold their panes' contributions themselves
  std::int64_t by_window_ms_;      // a pane is folded window by window iff its first window's end <= this
  Offset plain_from_{0};           // at and above it no filter, load or range is in the way
  bool plain_ = false;             // the position is at or above plain_from_ and everything below is joined
};

}  // namespace culvert
