// SPDX-License-Identifier: Apache-2.0
#include "app/session/consume_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "decode/json_decoder.h"

namespace culvert {

namespace {

constexpr Millis kLogQueryTimeout{10'000};
constexpr Millis kTopicQueryTimeout{1'000};
constexpr Millis kPollIdle{100};
constexpr Millis kPollBusy{2};  // something is on its way back from the table
constexpr Millis kWatchInterval{5'000};
// A log that ends below the checkpoint is asked for so many times more before that is believed.
constexpr int kShortLogAttempts = 4;

Millis since(SteadyTime start, SteadyTime now) { return std::chrono::duration_cast<Millis>(now - start); }

}  // namespace

// --------------------------------------------------------------------------------------------------- open and close

ConsumeSession::ConsumeSession(const ConsumeSettings& settings, std::unique_ptr<AggregateTable> table, Log& log,
                               const Clock& clock)
    : settings_(settings),
      table_(std::move(table)),
      log_(log),
      clock_(clock),
      decoder_(std::make_unique<JsonDecoder>(settings.member.pipeline.definition)),
      member_(settings.member, *decoder_, *this),
      random_(std::random_device{}()),
      worker_(clock) {}

ConsumeSession::~ConsumeSession() {
  worker_.stop();
  table_->interrupt();  // the worker's thread is waited for
}

Result<std::unique_ptr<ConsumeSession>> ConsumeSession::open(const ConsumeSettings& settings,
                                                             std::unique_ptr<AggregateTable> table, Log& log,
                                                             const Clock& clock) {
  std::unique_ptr<ConsumeSession> session(new ConsumeSession(settings, std::move(table), log, clock));
  if (auto connected = session->connect(); !connected) return connected.error();
  return session;
}

Result<void> ConsumeSession::connect() {
  auto consumer = kafka::Consumer::open(settings_.kafka, settings_.consumer);
  if (!consumer) return consumer.error();
  consumer_ = *std::move(consumer);
  started_.clear();
  if (partitions_at_start_ == 0) partitions_at_start_ = consumer_->partition_count();
  next_flush_ = clock_.steady() + settings_.flush_interval;
  next_watch_ = clock_.steady() + kWatchInterval;
  return {};
}

Result<void> ConsumeSession::run(const StopFlag& stop, const std::function<void(const ConsumeReport&)>& on_report) {
  last_report_ = clock_.steady();
  while (!stop.requested() && !failure_) {
    handle(consumer_->poll(poll_timeout()));
    worker_.run_completions();
    check_deadlines();
    const SteadyTime now = clock_.steady();
    if (now - last_report_ >= settings_.report_interval) on_report(report());
    if (settings_.exit_at_end && at_end()) break;
  }
  stopping_ = true;
  on_report(report());
  auto closed = shut_down(stop);
  on_report(report());
  if (failure_) return *failure_;
  return closed;
}

// SIGTERM, the end, or a failure: what can be written is written, then the group is left.  Nothing is lost when this
// does not finish in time: whatever is not checkpointed is read again.
Result<void> ConsumeSession::shut_down(const StopFlag& stop) {
  drain_deadline_ = clock_.steady() + settings_.drain_deadline;
  if (!failure_) drain(stop);
  const auto left = std::max(Millis{500}, since(clock_.steady(), drain_deadline_));
  auto closed = consumer_->close(left);
  if (!closed && closed.error().retriable) {
    log_.warning("the group could not be left in time", {{"detail", closed.error().message}});
    return {};
  }
  return closed;
}

void ConsumeSession::drain(const StopFlag& stop) {
  std::vector<Claim> claims;
  for (const PartitionView& view : member_.view()) claims.push_back(view.claim);
  draining_.insert(claims.begin(), claims.end());
  member_.on_revoked(claims, false);
  while (!draining_.empty() && !failure_) {
    // Only who was told to stop is waited for by somebody; at the end of the log the last flush has all the time it
    // needs, as whoever reads the table next expects it to be complete.
    if (!stop.requested()) drain_deadline_ = clock_.steady() + settings_.drain_deadline;
    if (clock_.steady() >= drain_deadline_) break;
    if (!worker_.run_completions()) (void)worker_.pause(kPollBusy);
  }
  if (!draining_.empty() && !failure_) {
    log_.warning("the last flush did not finish in time; what it held is read again at the next start",
                 {{"partitions", static_cast<std::int64_t>(draining_.size())}});
  }
}

// ------------------------------------------------------------------------------------------------------------- poll

Millis ConsumeSession::poll_timeout() const {
  if (worker_.busy()) return kPollBusy;
  const auto until_flush = since(clock_.steady(), next_flush_);
  return std::clamp(until_flush, Millis{0}, kPollIdle);
}

void ConsumeSession::handle(kafka::Polled polled) {
  if (const auto* records = std::get_if<kafka::Records>(&polled)) {
    for (const auto& run : records->runs) {
      for (const Record& record : run.records) {
        bytes_read_ += static_cast<std::int64_t>((record.key ? record.key->size() : 0) +
                                                 (record.value ? record.value->size() : 0));
      }
      member_.on_records(run.claim, run.records);
    }
  } else if (const auto* end = std::get_if<kafka::EndReached>(&polled)) {
    member_.on_position(end->claim, end->next);
  } else if (const auto* assigned = std::get_if<kafka::Assigned>(&polled)) {
    if (!assigned_once_) ask_whether_compacted();
    assigned_once_ = true;
    ++rebalances_;
    started_.clear();
    log_.info("partitions assigned", {{"count", assigned->claims.size()}});
    member_.on_assigned(assigned->claims);
  } else if (const auto* revoked = std::get_if<kafka::Revoked>(&polled)) {
    on_revoked(*revoked);
  } else if (const auto* failed = std::get_if<kafka::Failed>(&polled)) {
    if (!failed->error.retriable) return fail(failed->error);
    log_.warning("Kafka", {{"detail", failed->error.message}});
  }
}

void ConsumeSession::on_revoked(const kafka::Revoked& revoked) {
  log_.info(revoked.lost ? "partitions lost" : "partitions revoked", {{"count", revoked.claims.size()}});
  for (const Claim& claim : revoked.claims) {
    if (member_.owns(claim)) draining_.insert(claim);
    end_at_.erase(claim);
    flush_attempts_.erase(claim);
  }
  revoking_ = true;
  drain_deadline_ = clock_.steady() + settings_.drain_deadline;
  member_.on_revoked(revoked.claims, revoked.lost);
  confirm_revoke();
}

void ConsumeSession::drained(const Claim& claim) {
  draining_.erase(claim);
  confirm_revoke();
}

// Whichever comes last, the revoke itself or the last partition's drain, answers it, and only once.
void ConsumeSession::confirm_revoke() {
  if (!revoking_ || !draining_.empty()) return;
  revoking_ = false;
  consumer_->revoke_done();
}

void ConsumeSession::check_deadlines() {
  const SteadyTime now = clock_.steady();
  if (revoking_ && now >= drain_deadline_) {
    log_.warning("a revoked partition could not be flushed in time; its next owner reads the rest again");
    const auto late = draining_;
    for (const Claim& claim : late) member_.abandon(claim);
  }
  if (now >= next_flush_ || member_.wants_flush()) {
    member_.flush_all();
    next_flush_ = now + settings_.flush_interval;
  }
  if (now >= next_watch_) check_watchdog();
}

// librdkafka can get stuck behind one broker without reporting anything; a new client helps, and if it does not, a
// supervisor's restart is safe.
void ConsumeSession::check_watchdog() {
  next_watch_ = clock_.steady() + kWatchInterval;
  // The worker may be asking the consumer something, so it is not replaced under it.
  if (member_.paused_for_memory() || revoking_ || worker_.busy()) return watch_topic();
  const auto progress = consumer_->check_progress(settings_.progress_limit);
  if (progress) return watch_topic();
  if (reconnected_) return fail(Error{progress.error().kind, false, progress.error().message});
  log_.warning("no progress; connecting anew", {{"detail", progress.error().message}});
  reconnected_ = true;
  std::vector<Claim> claims;
  for (const PartitionView& view : member_.view()) claims.push_back(view.claim);
  member_.on_revoked(claims, true);
  if (const auto closed = consumer_->close(Millis{2'000}); !closed) {
    log_.debug("the stuck client did not close in order", {{"detail", closed.error().message}});
  }
  if (const auto connected = connect(); !connected) fail(connected.error());
}

bool ConsumeSession::at_end() const {
  if (!assigned_once_ || revoking_) return false;
  const auto views = member_.view();
  return std::all_of(views.begin(), views.end(), [&](const PartitionView& view) {
    const auto end = end_at_.find(view.claim);
    return view.reading && end != end_at_.end() && view.read_next >= end->second;
  });
}

// ---------------------------------------------------------------------------------------------------- MemberEffects

Millis ConsumeSession::backoff(int attempt) {
  constexpr std::int64_t kFirstMs = 50;
  constexpr std::int64_t kMostMs = 10'000;
  const std::int64_t ceiling = std::min(kMostMs, kFirstMs << std::min(attempt, 10));
  return Millis{std::uniform_int_distribution<std::int64_t>(0, ceiling)(random_)};
}

// What may succeed later is tried again, and holds up nobody meanwhile.
TableWorker::Attempt ConsumeSession::failed_attempt(std::string_view doing, int attempt, const Error& error) {
  if (!error.retriable) return [this, error] { fail(error); };
  log_.warning("waiting to try again", {{"doing", doing}, {"detail", error.message}});
  return Millis{std::min<std::int64_t>(10'000, 100LL << std::min(attempt, 7))};
}

Result<LogState> ConsumeSession::log_state(const Claim& claim, const std::optional<Checkpoint>& checkpoint,
                                           std::int64_t round, int attempt) {
  const auto range = consumer_->log_range(claim.partition, kLogQueryTimeout);
  if (!range) return range.error();
  if (checkpoint && checkpoint->next > range->log_end && attempt < kShortLogAttempts) {
    return Error::retriable_error(
        ErrorKind::kData,
        fmt::format("topic '{}' partition {}: the log ends at {}, below the checkpoint's next "
                    "offset {}; its leader may just have started",
                    settings_.member.topic, claim.partition.value(), range->log_end.value(), checkpoint->next.value()));
  }
  const auto id = topic_id(round);
  if (!id) return id.error();
  LogState log{range->log_start, range->log_end, range->log_start, *id};
  if (checkpoint) return log;
  // A partition that came to the topic since holds nothing that is older than the start.
  const bool there_at_start = claim.partition.value() < partitions_at_start_;
  if (settings_.start.kind == StartPosition::Kind::kLatest && there_at_start) log.wanted = range->log_end;
  if (settings_.start.kind == StartPosition::Kind::kTime) {
    const auto found = consumer_->offset_for_time(claim.partition, settings_.start.time, kLogQueryTimeout);
    if (!found) return found.error();
    log.wanted = found->value_or(range->log_end);
  }
  return log;
}

// Asked for once in each round of assignments: between two of them the topic may have been made anew.
Result<std::string> ConsumeSession::topic_id(std::int64_t round) {
  if (!topic_id_ || topic_id_round_ != round) {
    auto id = consumer_->topic_id(kLogQueryTimeout);
    if (!id) return id.error();
    topic_id_ = *std::move(id);
    topic_id_round_ = round;
  }
  return *topic_id_;
}

// A topic that is made anew within seconds, or while this process stands still, brings no new assignment: the client
// goes on at its position in the new log as soon as that is long enough, and says nothing.
void ConsumeSession::watch_topic() {
  if (topic_asked_ || revoking_) return;
  topic_asked_ = true;
  worker_.submit([this, round = rebalances_]() -> TableWorker::Attempt {
    const bool known = topic_id_ && !topic_id_->empty() && topic_id_round_ == round;
    const auto now = known ? consumer_->topic_id(kTopicQueryTimeout) : Result<std::string>(std::string());
    const bool same = !now || now->empty() || *now == *topic_id_;
    std::string change;
    if (!same) {
      change = fmt::format(
          "topic '{}': its id was {} and is {}: it was made anew while it was read; start its new "
          "incarnation with --generation {}",
          settings_.member.topic, *topic_id_, *now, settings_.member.generation + 1);
    }
    return [this, round, change] {
      topic_asked_ = false;
      if (!change.empty() && round == rebalances_) fail(Error::fatal(ErrorKind::kData, change));
    };
  });
}

// Once, and before anything is loaded, so that the shortest run tells it, too.
void ConsumeSession::ask_whether_compacted() {
  worker_.submit([this]() -> TableWorker::Attempt {
    const bool compacted = consumer_->compacted(kTopicQueryTimeout).value_or(false);
    return [this, compacted] {
      if (!compacted) return;
      log_.warning(
          "the topic is compacted (cleanup.policy): Kafka removes older records of a key, so what it removes before it "
          "is read is in no window, and the table cannot be made again or verified from what is left",
          {{"topic", settings_.member.topic}});
    };
  });
}

void ConsumeSession::load(const Claim& claim) {
  worker_.submit(
      [this, claim, round = rebalances_, table_attempt = 0, log_attempt = 0]() mutable -> TableWorker::Attempt {
        const StreamPartition where{settings_.member.topic, settings_.member.generation, claim.partition};
        const auto checkpoint = table_->load_checkpoint(where);
        if (!checkpoint) return failed_attempt("reading the checkpoint", table_attempt++, checkpoint.error());
        const auto log = log_state(claim, *checkpoint, round, log_attempt);
        if (!log) return failed_attempt("asking for the log's ends", log_attempt++, log.error());
        return [this, claim, checkpoint = *checkpoint, log = *log] {
          end_at_.try_emplace(claim, log.end);
          member_.on_loaded(claim, checkpoint, log);
        };
      });
}

void ConsumeSession::read_from(const Claim& claim, Offset offset) {
  if (started_.insert(claim.partition).second) {
    consumer_->start(claim.partition, offset);
  } else {
    consumer_->seek(claim.partition, offset);
  }
}

void ConsumeSession::load_images(const Claim& claim, std::vector<ItemKey> keys) {
  worker_.submit([this, claim, keys = std::move(keys), attempt = 0]() mutable -> TableWorker::Attempt {
    auto images = table_->load(keys);
    if (!images) return failed_attempt("reading items", attempt++, images.error());
    return [this, claim, keys, images = *std::move(images)] { member_.on_images(claim, keys, images); };
  });
}

void ConsumeSession::flush(const Claim& claim, std::shared_ptr<const FlushRequest> request,
                           const std::optional<Error>& after) {
  Millis wait{0};
  if (after) {
    ++flush_retries_;
    wait = backoff(++flush_attempts_[claim]);
    log_.warning("a flush did not finish and is tried again",
                 {{"partition", claim.partition.value()}, {"detail", after->message}});
  } else {
    flush_attempts_.erase(claim);
  }
  const auto write = [this, claim, request = std::move(request)](TableWorker::Finish finish) {
    const SteadyTime begun = clock_.steady();
    table_->begin_flush(*request, [this, claim, request, begun, finish = std::move(finish)](FlushResult written) {
      const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock_.steady() - begun);
      finish([this, claim, request, took, result = std::make_shared<FlushResult>(std::move(written))] {
        ++flushes_;
        last_flush_ = std::chrono::duration_cast<Millis>(took);
        if (settings_.on_flush) settings_.on_flush(*request, *result, took);
        member_.on_flushed(claim, std::move(*result));
      });
    });
  };
  worker_.begin(write, wait);
}

void ConsumeSession::commit(const Claim& claim, Offset next) { consumer_->commit(claim.partition, next); }

void ConsumeSession::pause(const Claim& claim) { consumer_->pause(claim.partition); }

void ConsumeSession::resume(const Claim& claim) { consumer_->resume(claim.partition); }

void ConsumeSession::fail(const Error& error) {
  if (!failure_) failure_ = error;
}

// ----------------------------------------------------------------------------------------------------------- report

ConsumeReport ConsumeSession::report() {
  ConsumeReport report;
  report.stats = member_.stats();
  report.memory_bytes = member_.memory_bytes();
  report.refolds = member_.refolds();
  report.flushes = flushes_;
  report.flush_retries = flush_retries_;
  report.last_flush = last_flush_;
  report.bytes_read = bytes_read_;
  report.rebalances = rebalances_;
  report.partitions_of_topic = consumer_->partition_count();
  report.assigned = assigned_once_;
  report.stopping = stopping_;
  report.paused_for_memory = member_.paused_for_memory();
  std::map<PartitionId, kafka::PartitionStatus> statuses;
  for (const auto& status : consumer_->status()) statuses.emplace(status.claim.partition, status);
  std::int64_t lag = 0;
  bool known = true;
  for (const PartitionView& view : member_.view()) {
    PartitionReport partition{view, view.read_next, std::nullopt};
    if (const auto at = statuses.find(view.claim.partition); at != statuses.end()) {
      partition.log_end = at->second.log_end;
    }
    if (const auto end = end_at_.find(view.claim); end != end_at_.end() && !partition.log_end) {
      partition.log_end = end->second;
    }
    report.open_deltas += view.open_deltas;
    if (partition.log_end && view.checkpoint_next) {
      lag += std::max<std::int64_t>(0, *partition.log_end - *view.checkpoint_next);
    } else {
      known = false;
    }
    report.partitions.push_back(partition);
  }
  if (known && !report.partitions.empty()) report.lag_records = lag;
  const SteadyTime now = clock_.steady();
  const auto elapsed = std::chrono::duration<double>(now - last_report_).count();
  if (elapsed > 0) report.records_per_second = static_cast<double>(report.stats.read - last_read_) / elapsed;
  last_read_ = report.stats.read;
  last_report_ = now;
  return report;
}

}  // namespace culvert
