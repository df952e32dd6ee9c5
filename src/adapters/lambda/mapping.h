// SPDX-License-Identifier: Apache-2.0
// An event source mapping without its I/O: which records make a batch, when it is sent, and what follows its outcome.
//
// Flow    records of a consumer -> [Mapping] -> Delivery -> a function; its outcome -> [Mapping] -> the next delivery,
//         a Discard for the on-failure destination, positions to commit.
// Owner   BridgeSession, on one thread; tests drive it record by record with the time in their hands.
// Time    steady time for windows and back-off, wall time (RecordTime) for the age of records; both are handed in.
// Bounds  one batch at a time for each poller, of batch_records_most records and batch_bytes_most of payload; what
//         waits behind it is the caller's to bound, by backlog().
// See     docs/operating.md: bridge.
//
// Partitions are dealt to pollers by their number, and a poller has one batch under way at a time: so a partition has.
// A record's place in its partition is kept in whatever is sent, except where Chaos is told to break it.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/lambda/batch_response.h"
#include "adapters/lambda/event_record.h"
#include "adapters/lambda/event_writer.h"

namespace culvert::lambda {

// What at-least-once delivery allows and seldom does, done often and on purpose.
struct Chaos {
  bool recut = false;           // batches are cut at random, those that come again anew
  bool duplicate = false;       // a batch is sent twice at once, or once more after it succeeded
  bool reverse_halves = false;  // a batch is cut in two and the second half is sent first
  bool drop_reply = false;      // a success is taken for a failure
  [[nodiscard]] bool any() const { return recut || duplicate || reverse_halves || drop_reply; }
};

struct MappingOptions {
  int pollers = 1;
  std::size_t batch_records_most = 100;
  std::size_t batch_bytes_most = kEventBytesMost;
  std::chrono::milliseconds window{500};
  // A provisioned mapping's; an on-demand one has the defaults.
  std::int64_t retries_most = -1;  // besides the first attempt; -1: for ever
  std::optional<std::chrono::milliseconds> record_age_most{};
  bool bisect = false;
  bool report_item_failures = false;
  std::chrono::milliseconds backoff_first{100};  // doubled with each failure in a row, with full jitter
  std::chrono::milliseconds backoff_most{10'000};
  Chaos chaos{};
  std::uint64_t seed = 0;  // of the jitter and of chaos
};

struct MappingTime {
  std::chrono::steady_clock::time_point steady;
  RecordTime wall;
};

using BatchId = Strong<struct BatchTag, std::uint64_t>;

// Answer with succeeded() or failed(), twice if it is to be sent twice.
struct Delivery {
  BatchId batch;
  std::vector<const EventRecord*> records;  // by partition, then offset; valid until the last answer
  std::size_t event_bytes = 0;              // above batch_bytes_most only if it is one record
  int invocation = 1;                       // counted for these records
  bool twice = false;
};

struct DeliveryFailure {
  std::string request_id;
  int status = 0;              // of the invocation; 0: there was none
  std::string function_error;  // `Unhandled`; empty: the function answered
};

enum class DiscardReason : std::uint8_t { kRetriesExhausted, kRecordAge };

// Answer with discarded() when the destination has it.
struct Discard {
  BatchId batch;
  std::vector<const EventRecord*> records;  // valid until discarded()
  DiscardReason reason = DiscardReason::kRetriesExhausted;
  int invocations = 0;
  std::optional<DeliveryFailure> last;  // absent: never sent
};

struct PositionToCommit {
  Claim claim;
  Offset next;
};

struct MappingCounters {
  std::int64_t batches = 0;           // cut from the log
  std::int64_t deliveries = 0;        // batches sent, with all repetitions
  std::int64_t retries = 0;           // those sent because an earlier one had failed
  std::int64_t failures = 0;          // deliveries that failed as a whole
  std::int64_t partial_failures = 0;  // of which some records succeeded
  std::int64_t bisects = 0;
  std::int64_t records = 0;  // dealt with: succeeded or discarded
  std::int64_t discarded_batches = 0;
  std::int64_t discarded_records = 0;
  std::int64_t duplicated = 0;       // chaos
  std::int64_t reversed = 0;         // chaos
  std::int64_t replies_dropped = 0;  // chaos
};

class Mapping {
 public:
  // `writer` must outlive the mapping.
  Mapping(const MappingOptions& options, const EventWriter& writer);

  void assign(const Claim& claim, Offset next);
  // Nothing of it is sent any more; what is under way runs on and its outcome is ignored.
  void revoke(const Claim& claim);
  [[nodiscard]] bool owns(const Claim& claim) const;

  // In offset order for each claim; a record of a claim that is gone is dropped.
  void add(EventRecord record, std::chrono::steady_clock::time_point now);
  // The log holds nothing more below `next`.
  void reach(const Claim& claim, Offset next);

  // Call until it returns nothing.
  [[nodiscard]] std::optional<Delivery> next_delivery(const MappingTime& now);
  // Returns why the response makes a failure of it; empty: it does not.
  [[nodiscard]] std::string succeeded(BatchId batch, std::string_view response, const MappingTime& now);
  void failed(BatchId batch, const DeliveryFailure& failure, const MappingTime& now);

  // Each is told once.
  [[nodiscard]] std::optional<Discard> next_discard();
  void discarded(BatchId batch);

  // Since the last call: every record below `next` was dealt with.
  [[nodiscard]] std::vector<PositionToCommit> take_commits();

  // No more deliveries, for a drain; those under way are answered as ever.
  void hold() { held_ = true; }
  void release() { held_ = false; }
  // Deliveries and discards without an answer; of one claim, or of all.
  [[nodiscard]] std::size_t under_way() const;
  [[nodiscard]] bool under_way(const Claim& claim) const;

  // When next_delivery() may have something without anything else happening.
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> due() const;

  // What a claim's poller holds that is not under way.
  struct Backlog {
    std::size_t records = 0;
    std::size_t bytes = 0;
  };
  [[nodiscard]] Backlog backlog(const Claim& claim) const;
  [[nodiscard]] std::optional<Offset> position(const Claim& claim) const;
  [[nodiscard]] const MappingCounters& counters() const { return counters_; }

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;

  struct Held {
    EventRecord record;
    std::size_t bytes = 0;
    SteadyTime arrived;
  };
  // Records that are sent together; what comes of a batch when it fails.
  struct Work {
    std::vector<Held> records;
    std::int64_t failures = 0;  // that count against retries_most
    int invocations = 0;
    std::optional<DeliveryFailure> last;
  };
  struct Flight {
    BatchId batch;
    Work work;
    int answers_awaited = 1;
  };
  struct Discarding {
    BatchId batch;
    Work work;
    DiscardReason reason = DiscardReason::kRetriesExhausted;
    bool told = false;
  };
  struct Poller {
    std::deque<Held> waiting;  // in order of arrival
    std::size_t waiting_bytes = 0;
    std::deque<Work> work;  // sent before anything that waits, front first
    std::optional<Flight> flight;
    std::optional<Discarding> discarding;
    int failures_in_row = 0;
    SteadyTime not_before{};
    [[nodiscard]] bool busy() const { return flight.has_value() || discarding.has_value(); }
  };
  struct OpenRecord {
    Offset offset;
    bool done = false;
  };
  struct Partition {
    Claim claim;
    std::deque<OpenRecord> open;  // added and not dealt with, or behind such a one
    Offset position;              // everything below is dealt with
    std::optional<Offset> end;    // the log's, as last heard
    bool changed = false;         // position, since the last take_commits()
  };

  [[nodiscard]] Poller& poller_of(PartitionId partition);
  [[nodiscard]] const Poller& poller_of(PartitionId partition) const;
  [[nodiscard]] Poller& poller_of_flight(BatchId batch);
  [[nodiscard]] BatchId new_id() { return BatchId{++last_id_}; }
  [[nodiscard]] bool cut(Poller& poller, SteadyTime now);
  [[nodiscard]] std::size_t fitting(const Poller& poller) const;
  [[nodiscard]] std::size_t event_bytes(const std::vector<Held>& records) const;
  [[nodiscard]] Work take_expired(Work& work, RecordTime now) const;
  [[nodiscard]] Delivery send(Poller& poller, Work work);
  [[nodiscard]] std::optional<Work> answered(Poller& poller);
  void succeed(Poller& poller, Work work, SteadyTime now);
  void fail(Poller& poller, Work work, const DeliveryFailure& failure, SteadyTime now);
  [[nodiscard]] std::string fail_partly(Poller& poller, Work work, const BatchResponse& response, SteadyTime now);
  void send_again(Poller& poller, Work work);
  void back_off(Poller& poller, SteadyTime now);
  void deal_with(const std::vector<Held>& records);
  void settle(Partition& partition);
  void drop_unowned(std::vector<Held>& records) const;
  [[nodiscard]] bool chance(unsigned one_in);
  [[nodiscard]] std::size_t random_from_one(std::size_t most);
  static Work split_off(Work& work, std::size_t first_records);
  static std::vector<const EventRecord*> pointers(const std::vector<Held>& records);

  const MappingOptions options_;
  const EventWriter& writer_;
  std::vector<Poller> pollers_;
  std::map<PartitionId, Partition> partitions_;
  std::mt19937_64 random_;
  std::uint64_t last_id_ = 0;
  bool held_ = false;
  MappingCounters counters_;
};

}  // namespace culvert::lambda
