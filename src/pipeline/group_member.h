// SPDX-License-Identifier: Apache-2.0
// One member of a consumer group: which partitions it owns, and one pipeline for each assignment of one.
//
// Flow    the driver (command `consume`, or the simulation) tells it what happened (on_*); it answers by calling
//         MemberEffects, whose results come back as further on_* calls.  It does no I/O and never waits.
// Owner   one thread; effects are called from inside on_*, and may answer at once or later.
// Time    none: the driver decides when to flush and how long to pause before a retry.
// Bounds  memory_bytes() over all partitions; above MemberOptions::memory_limit_bytes reading is paused, never stopped
//         being polled, until a flush has made room.  If nothing is left to be flushed and it is still too much (final
//         emission: open windows), the member fails.
// See     docs/ARCHITECTURE.md, "One object for each assignment".
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "pipeline/partition_pipeline.h"

namespace culvert {

// What the broker says about a partition's log.
struct LogState {
  Offset start;          // first offset still there
  Offset end;            // log end offset
  Offset wanted;         // where reading begins if there is no checkpoint: --start earliest, latest or a time
  std::string topic_id;  // empty: the broker does not say
};

class MemberEffects {
 public:
  MemberEffects() = default;
  MemberEffects(const MemberEffects&) = delete;
  MemberEffects& operator=(const MemberEffects&) = delete;
  virtual ~MemberEffects() = default;

  // Answer with on_loaded(): the stored checkpoint and the state of the log.
  virtual void load(const Claim& claim) = 0;
  // Records from `offset` on are expected next, and none read before this call.
  virtual void read_from(const Claim& claim, Offset offset) = 0;
  // Answer with on_images().
  virtual void load_images(const Claim& claim, std::vector<ItemKey> keys) = 0;
  // Answer with on_flushed().  `after` tells why the attempt before did not finish: pause before this one.
  virtual void flush(const Claim& claim, std::shared_ptr<const FlushRequest> request,
                     const std::optional<Error>& after) = 0;
  // Everything below `next` is in the table: Kafka's committed offset may follow.
  virtual void commit(const Claim& claim, Offset next) = 0;
  virtual void pause(const Claim& claim) = 0;
  virtual void resume(const Claim& claim) = 0;
  // The partition is flushed and forgotten; a revoke may be confirmed.
  virtual void drained(const Claim& claim) = 0;
  // The member cannot go on; the process should end with this error.
  virtual void fail(const Error& error) = 0;
};

struct MemberOptions {
  PipelineOptions pipeline;
  std::string topic;
  std::int64_t generation = 1;
  std::size_t memory_limit_bytes = std::size_t{1} << 30;
  bool accept_loss = false;           // go on although retention removed records that were never folded
  std::optional<Offset> replay_from;  // read the log again from its start and fold what fences say is missing
};

struct PartitionView {
  Claim claim;
  bool reading = false;
  Offset read_next{0};
  std::optional<Offset> checkpoint_next;
  std::optional<EventTime> max_event_time;
  std::optional<EventTime> watermark;
  std::size_t open_deltas = 0;
  std::size_t memory_bytes = 0;
};

class GroupMember {
 public:
  // The decoder is shared by all pipelines: they run on one thread.
  GroupMember(MemberOptions options, Decoder& decoder, MemberEffects& effects);

  void on_assigned(std::span<const Claim> claims);
  void on_loaded(const Claim& claim, const std::optional<Checkpoint>& checkpoint, const LogState& log);
  // Ascending offsets; records of a claim that is not reading are dropped.
  void on_records(const Claim& claim, std::span<const Record> records);
  // Everything below `next` has been delivered: the log holds nothing else there.
  void on_position(const Claim& claim, Offset next);
  void on_images(const Claim& claim, std::span<const ItemKey> keys, std::vector<std::optional<Image>> images);
  void on_flushed(const Claim& claim, FlushResult result);
  // Flush, then drained(); or, when the partitions are lost already (another member owns them), forget them at once.
  void on_revoked(std::span<const Claim> claims, bool lost);
  // Forget a draining partition whose flush takes too long: nothing is lost, its next owner reads it again.
  void abandon(const Claim& claim);

  // Starts a flush of every partition that has something to write and none under way.
  void flush_all();
  // True when memory is more than half used: do not wait for the flush interval.
  [[nodiscard]] bool wants_flush() const { return memory_bytes() * 2 > options_.memory_limit_bytes; }

  [[nodiscard]] bool owns(const Claim& claim) const { return find(claim) != nullptr; }
  [[nodiscard]] bool idle() const;  // nothing unwritten and no flush under way in any partition
  [[nodiscard]] bool paused_for_memory() const { return paused_for_memory_; }
  [[nodiscard]] std::size_t memory_bytes() const;
  [[nodiscard]] std::vector<PartitionView> view() const;
  [[nodiscard]] PipelineStats stats() const;  // over all assignments so far
  [[nodiscard]] std::int64_t refolds() const { return refolds_; }

 private:
  enum class State : std::uint8_t { kLoading, kReading, kLoadingImages };
  // A record that outlives the batch it came in.
  struct OwnedRecord {
    Offset offset;
    std::optional<RecordTime> timestamp;
    std::optional<std::string> key;
    std::optional<std::string> value;

    explicit OwnedRecord(const Record& record);
    [[nodiscard]] Record borrow() const;
    [[nodiscard]] std::size_t memory_bytes() const;
  };
  struct Slot {
    Claim claim;
    State state = State::kLoading;
    bool draining = false;
    bool paused = false;           // as the consumer was told last
    Offset load_before{0};         // carried over a refold
    Offset replay_until{0};        // a replay ends here
    bool replay_flushing = false;  // the flush under way ends it
    std::unique_ptr<PartitionPipeline> pipeline;
    std::vector<OwnedRecord> waiting;  // records whose items' images are being loaded
    Offset waiting_next{0};            // and the position behind them, if it was told meanwhile
    std::optional<Offset> committed;
  };

  [[nodiscard]] const Slot* find(const Claim& claim) const;
  [[nodiscard]] Slot* find(const Claim& claim);
  void start(Slot& slot, const std::optional<Checkpoint>& checkpoint, const LogState& log);
  [[nodiscard]] Result<void> check_log(const StreamPartition& where, const Checkpoint& checkpoint,
                                       const LogState& log) const;
  void fold(Slot& slot, std::span<const Record> records);
  void begin_flush(Slot& slot);
  void take_step(Slot& slot, Result<PartitionPipeline::FlushStep> step);
  void refold(Slot& slot);
  void finish_drain(Slot& slot);
  void forget(const Claim& claim);
  void commit(Slot& slot);
  void watch_memory();
  void relieve_memory();
  void set_paused(Slot& slot, bool paused);

  MemberOptions options_;
  Decoder& decoder_;
  MemberEffects& effects_;
  std::map<PartitionId, Slot> slots_;
  std::set<PartitionId> replayed_;
  PipelineStats past_;  // of pipelines that are gone
  std::int64_t refolds_ = 0;
  bool paused_for_memory_ = false;
};

}  // namespace culvert
