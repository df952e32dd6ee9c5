// SPDX-License-Identifier: Apache-2.0
// A running event source mapping: Kafka on one side, a function on the other, a Mapping between them.
//
// Flow    kafka::Consumer -> [BridgeSession] -> Mapping -> Deliveries -> Invoker -> the function; outcomes come back,
//         then positions are committed to Kafka, and what was given up goes to the FailureSink.
// Owner   the bridge command; run() is its loop, on the calling thread.
// Time    the steady clock paces it; wall time is compared with records' timestamps only for their greatest age.
// Bounds  backlog_records_most and backlog_bytes_most for each poller, then its partitions are paused.
// See     docs/operating.md: bridge.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "adapters/clock/clock.h"
#include "adapters/kafka/consumer.h"
#include "adapters/lambda/event_writer.h"
#include "adapters/lambda/invoker.h"
#include "adapters/lambda/mapping.h"
#include "app/bridge/failure_sink.h"
#include "app/cli/log.h"
#include "app/cli/signals.h"
#include "app/session/start_position.h"

namespace culvert {

// Wakes the session from whatever it waits in; any thread.
class BridgeWaker {
 public:
  void wake();
  // The session's: what it polls, or nothing.
  void attach(kafka::Consumer* consumer);
  // Waits at most `most` for a wake().
  void wait(Millis most);

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  kafka::Consumer* consumer_ = nullptr;
};

struct BridgeSettings {
  kafka::KafkaConfig kafka;
  kafka::ConsumerOptions consumer;
  lambda::MappingOptions mapping;
  lambda::EventOrigin origin;
  std::string function_arn;  // for on-failure documents
  StartPosition start;       // of a partition for which the group has committed nothing
  bool exit_at_end = false;  // stop when every assigned partition is dealt with up to its end at assignment
  std::size_t backlog_bytes_most = 24 << 20;
  Millis drain_deadline{6'000};    // for what is under way on stop or revoke; below the 10 s a supervisor waits
  Millis progress_limit{120'000};  // records waiting but none arriving for this long: reconnect, then give up
  Millis report_interval{1'000};
};

struct BridgeReport {
  lambda::MappingCounters mapping;
  lambda::InvokerCounters invoker;
  std::size_t partitions = 0;
  std::size_t under_way = 0;
  std::int64_t too_large = 0;               // events of one record that no invocation can carry
  std::optional<std::int64_t> lag_records;  // log end minus position, over all partitions; absent: not known yet
  double records_per_second = 0;            // since the last report
  bool assigned = false;
};

class BridgeSession {
 public:
  // Connects and joins the group.  Everything that is referred to must outlive the session; `sink` may be null:
  // batches that are given up are then only counted and logged.
  [[nodiscard]] static Result<std::unique_ptr<BridgeSession>> open(const BridgeSettings& settings,
                                                                   lambda::Invoker& invoker, FailureSink* sink,
                                                                   BridgeWaker& waker, Log& log, const Clock& clock);
  BridgeSession(const BridgeSession&) = delete;
  BridgeSession& operator=(const BridgeSession&) = delete;
  ~BridgeSession();

  // Runs until a stop is requested, the end is reached (exit_at_end), or something fails for good.  Then waits for what
  // is under way, commits and leaves the group.  `report` is called about every report_interval.
  [[nodiscard]] Result<void> run(const StopFlag& stop, const std::function<void(const BridgeReport&)>& report);

  [[nodiscard]] BridgeReport report();

 private:
  struct PendingDiscard {
    lambda::Discard discard;
    std::vector<std::string> documents;  // not yet taken by the sink
    int attempts = 0;
    SteadyTime not_before{};
  };

  BridgeSession(const BridgeSettings& settings, lambda::Invoker& invoker, FailureSink* sink, BridgeWaker& waker,
                Log& log, const Clock& clock);
  [[nodiscard]] Result<void> connect();
  void disconnect(Millis deadline);

  // What the loop does in each turn, besides polling.
  void work();
  void take_outcomes();
  void handle_outcome(const lambda::InvocationOutcome& outcome);
  void send_batches();
  void send(const lambda::Delivery& delivery);
  void discard_batches();
  [[nodiscard]] bool write_documents(PendingDiscard& pending);
  [[nodiscard]] std::vector<std::string> documents(const lambda::Discard& discard) const;
  void commit(bool at_once);
  void balance();
  [[nodiscard]] Millis poll_timeout() const;

  void handle(kafka::Polled polled);
  void add(const kafka::PartitionRecords& run);
  void on_assigned(const kafka::Assigned& assigned);
  void on_revoked(const kafka::Revoked& revoked);
  void start_claims();
  [[nodiscard]] Result<Offset> where_to_start(const Claim& claim);
  void finish_revocation();
  void check_watchdog();
  [[nodiscard]] bool at_end() const;
  void shut_down();
  void fail(const Error& error);
  [[nodiscard]] lambda::MappingTime now() const;

  const BridgeSettings settings_;
  lambda::Invoker& invoker_;
  FailureSink* const sink_;
  BridgeWaker& waker_;
  Log& log_;
  const Clock& clock_;
  const lambda::EventWriter writer_;
  lambda::Mapping mapping_;
  std::unique_ptr<kafka::Consumer> consumer_;

  std::optional<Error> failure_;
  std::map<lambda::Ticket, lambda::BatchId> tickets_;  // invocations without an outcome
  std::uint64_t last_ticket_ = 0;
  std::vector<PendingDiscard> discards_;
  std::vector<Claim> claims_;
  std::vector<Claim> to_start_;  // assigned, and where they begin is not known yet
  SteadyTime start_not_before_{};
  std::map<Claim, int> short_logs_;  // how often a log ended below the committed offset
  std::map<Claim, Offset> end_at_;   // log end offset at assignment
  std::map<Claim, Offset> end_now_;  // as last heard
  std::set<Claim> paused_;
  std::optional<SteadyTime> revoking_until_;
  bool assigned_once_ = false;
  bool reconnected_ = false;
  SteadyTime invoker_due_{};
  SteadyTime next_watch_{};
  SteadyTime next_commit_{};
  SteadyTime last_report_{};
  std::int64_t last_records_ = 0;
  std::int64_t too_large_ = 0;
  std::uint64_t commits_failed_ = 0;  // as last seen
};

}  // namespace culvert
