// SPDX-License-Identifier: Apache-2.0
// A running consumer group member: Kafka on one side, a table on the other, a GroupMember between them.
//
// Flow    kafka::Consumer -> [ConsumeSession] -> GroupMember -> FlushRequests -> TableWorker -> AggregateTable; the
//         stored checkpoint comes back and is committed to Kafka.
// Owner   a command; run() is its loop, on the calling thread.
// Time    the steady clock, for the flush interval, retries and deadlines.  Nothing of it reaches a result.
// Bounds  ConsumeSettings::member.memory_limit_bytes for deltas, fetch_bytes_max for what is fetched ahead.
// See     docs/ARCHITECTURE.md, "While a flush is under way"; docs/operating.md.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "adapters/clock/clock.h"
#include "adapters/kafka/consumer.h"
#include "app/cli/log.h"
#include "app/cli/signals.h"
#include "app/session/start_position.h"
#include "app/session/table_worker.h"
#include "pipeline/group_member.h"

namespace culvert {

struct ConsumeSettings {
  kafka::KafkaConfig kafka;
  kafka::ConsumerOptions consumer;
  MemberOptions member;
  StartPosition start;  // of a partition without a checkpoint
  Millis flush_interval{1'000};
  bool exit_at_end = false;        // stop when every assigned partition is read up to its end at assignment
  Millis drain_deadline{8'000};    // for the last flush on stop or revoke; below the 10 s a supervisor waits
  Millis progress_limit{120'000};  // records waiting but none arriving for this long: reconnect, then give up
  Millis report_interval{1'000};
  // For those who look on: each attempt to write, with its outcome and how long it took.  On the session's thread.
  std::function<void(const FlushRequest& request, const FlushResult& result, std::chrono::microseconds took)> on_flush;
};

struct PartitionReport {
  PartitionView view;
  Offset position;
  std::optional<Offset> log_end;
};

// A look at the session, for people and metrics.
struct ConsumeReport {
  PipelineStats stats;
  std::vector<PartitionReport> partitions;
  std::optional<std::int64_t> lag_records;  // log end minus checkpoint, over all partitions; absent: not known yet
  double records_per_second = 0;            // since the last report
  std::size_t open_deltas = 0;
  std::size_t memory_bytes = 0;
  std::int64_t refolds = 0;
  std::int64_t flushes = 0;
  std::int64_t flush_retries = 0;
  Millis last_flush{0};
  std::int64_t bytes_read = 0;  // keys and values
  std::int64_t rebalances = 0;
  std::int32_t partitions_of_topic = 0;
  bool assigned = false;
  bool paused_for_memory = false;
  bool stopping = false;  // no more records are read; what is there is being flushed
};

class ConsumeSession final : private MemberEffects {
 public:
  // Connects and joins the group.
  [[nodiscard]] static Result<std::unique_ptr<ConsumeSession>> open(const ConsumeSettings& settings,
                                                                    std::unique_ptr<AggregateTable> table, Log& log,
                                                                    const Clock& clock);
  ~ConsumeSession() override;

  // Runs until a stop is requested, the end is reached (exit_at_end), or something fails for good.  Then flushes,
  // checkpoints, commits and leaves the group.  `report` is called about every report_interval.
  [[nodiscard]] Result<void> run(const StopFlag& stop, const std::function<void(const ConsumeReport&)>& report);

  [[nodiscard]] ConsumeReport report();

 private:
  ConsumeSession(const ConsumeSettings& settings, std::unique_ptr<AggregateTable> table, Log& log, const Clock& clock);
  [[nodiscard]] Result<void> connect();

  // MemberEffects
  void load(const Claim& claim) override;
  void read_from(const Claim& claim, Offset offset) override;
  void load_images(const Claim& claim, std::vector<ItemKey> keys) override;
  void flush(const Claim& claim, std::shared_ptr<const FlushRequest> request,
             const std::optional<Error>& after) override;
  void commit(const Claim& claim, Offset next) override;
  void pause(const Claim& claim) override;
  void resume(const Claim& claim) override;
  void drained(const Claim& claim) override;
  void fail(const Error& error) override;

  void handle(kafka::Polled polled);
  void on_revoked(const kafka::Revoked& revoked);
  void confirm_revoke();
  [[nodiscard]] Result<LogState> log_state(const Claim& claim, const std::optional<Checkpoint>& checkpoint,
                                           std::int64_t round, int attempt);
  [[nodiscard]] Result<std::string> topic_id(std::int64_t round);
  void watch_topic();
  void ask_whether_compacted();
  void check_deadlines();
  void check_watchdog();
  [[nodiscard]] bool at_end() const;
  [[nodiscard]] Result<void> shut_down(const StopFlag& stop);
  void drain(const StopFlag& stop);
  [[nodiscard]] Millis poll_timeout() const;
  [[nodiscard]] Millis backoff(int attempt);
  // How an attempt on the worker's thread ended that could not be carried out: with a pause before the next one, or
  // for good.
  [[nodiscard]] TableWorker::Attempt failed_attempt(std::string_view doing, int attempt, const Error& error);

  ConsumeSettings settings_;
  std::unique_ptr<AggregateTable> table_;
  Log& log_;
  const Clock& clock_;
  std::unique_ptr<Decoder> decoder_;
  GroupMember member_;
  std::unique_ptr<kafka::Consumer> consumer_;
  std::mt19937_64 random_;

  std::optional<Error> failure_;
  std::set<PartitionId> started_;        // answered with Consumer::start, so seek() is the way from here
  std::map<Claim, Offset> end_at_;       // log end offset when the claim was first loaded
  std::map<Claim, int> flush_attempts_;  // of the flush under way
  bool assigned_once_ = false;
  bool stopping_ = false;
  bool revoking_ = false;
  std::set<Claim> draining_;
  SteadyTime drain_deadline_{};
  SteadyTime next_flush_{};
  SteadyTime next_watch_{};
  bool reconnected_ = false;
  std::int64_t flushes_ = 0;
  std::int64_t flush_retries_ = 0;
  Millis last_flush_{0};
  std::int64_t bytes_read_ = 0;
  std::int64_t rebalances_ = 0;
  SteadyTime last_report_{};
  std::int64_t last_read_ = 0;
  std::int32_t partitions_at_start_ = 0;  // of the topic, when the session was opened
  bool topic_asked_ = false;              // an answer of watch_topic() is awaited
  // The worker's thread only: what the brokers said in this round of assignments.
  std::optional<std::string> topic_id_;
  std::int64_t topic_id_round_ = -1;
  // Last, so that its thread ends before anything its jobs use is gone.
  TableWorker worker_;
};

}  // namespace culvert
