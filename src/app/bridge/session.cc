// SPDX-License-Identifier: Apache-2.0
#include "app/bridge/session.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "adapters/lambda/failure_document.h"
#include "adapters/lambda/request_ids.h"

namespace culvert {

namespace {

constexpr Millis kLogQueryTimeout{2'000};
constexpr Millis kRetryPause{500};
// A log that ends below the committed offset is asked for so many times before that is believed.
constexpr int kShortLogAttempts = 4;
constexpr Millis kPollIdle{100};
constexpr Millis kWatchInterval{5'000};
constexpr Millis kCommitInterval{50};
constexpr Millis kLeaveTime{1'500};
constexpr std::size_t kBacklogRecordsLeast = 4'000;
constexpr std::size_t kDetailBytesMost = 1'000;

Millis until(SteadyTime now, SteadyTime then) { return std::max(Millis{0}, std::chrono::ceil<Millis>(then - now)); }

lambda::RecordTimeType time_type(kafka::TimestampType type) {
  switch (type) {
    case kafka::TimestampType::kCreateTime:
      return lambda::RecordTimeType::kCreateTime;
    case kafka::TimestampType::kLogAppendTime:
      return lambda::RecordTimeType::kLogAppendTime;
    case kafka::TimestampType::kNone:
      break;
  }
  return lambda::RecordTimeType::kNone;
}

std::optional<std::string> owned(const std::optional<std::string_view>& bytes) {
  return bytes ? std::optional<std::string>{*bytes} : std::nullopt;
}

std::string_view end_name(lambda::InvocationEnd end) {
  switch (end) {
    case lambda::InvocationEnd::kResponse:
      return "response";
    case lambda::InvocationEnd::kFunctionError:
      return "error";
    case lambda::InvocationEnd::kTimeout:
      return "timeout";
    case lambda::InvocationEnd::kCrash:
      return "crash";
    case lambda::InvocationEnd::kUnreachable:
      return "unreachable";
  }
  return "?";
}

}  // namespace

// -------------------------------------------------------------------------------------------------------------- waker

void BridgeWaker::wake() {
  const std::lock_guard lock(mutex_);
  woken_ = true;
  changed_.notify_all();
  if (consumer_ != nullptr) consumer_->wake();
}

void BridgeWaker::attach(kafka::Consumer* consumer) {
  const std::lock_guard lock(mutex_);
  consumer_ = consumer;
}

void BridgeWaker::wait(Millis most) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, most, [this] { return woken_; });
  woken_ = false;
}

// ----------------------------------------------------------------------------------------------------- open and close

BridgeSession::BridgeSession(const BridgeSettings& settings, lambda::Invoker& invoker, FailureSink* sink,
                             BridgeWaker& waker, Log& log, const Clock& clock)
    : settings_(settings),
      invoker_(invoker),
      sink_(sink),
      waker_(waker),
      log_(log),
      clock_(clock),
      writer_(settings.origin),
      mapping_(settings.mapping, writer_) {}

BridgeSession::~BridgeSession() { waker_.attach(nullptr); }

Result<std::unique_ptr<BridgeSession>> BridgeSession::open(const BridgeSettings& settings, lambda::Invoker& invoker,
                                                           FailureSink* sink, BridgeWaker& waker, Log& log,
                                                           const Clock& clock) {
  std::unique_ptr<BridgeSession> session(new BridgeSession(settings, invoker, sink, waker, log, clock));
  if (auto connected = session->connect(); !connected) return connected.error();
  return session;
}

Result<void> BridgeSession::connect() {
  auto consumer = kafka::Consumer::open(settings_.kafka, settings_.consumer);
  if (!consumer) return consumer.error();
  consumer_ = *std::move(consumer);
  waker_.attach(consumer_.get());
  next_watch_ = clock_.steady() + kWatchInterval;
  return {};
}

void BridgeSession::disconnect(Millis deadline) {
  waker_.attach(nullptr);
  if (const auto closed = consumer_->close(deadline); !closed) {
    log_.warning("the group could not be left in time", {{"detail", closed.error().message}});
  }
  consumer_.reset();
}

lambda::MappingTime BridgeSession::now() const {
  const auto wall = std::chrono::duration_cast<Millis>(clock_.wall().time_since_epoch());
  return {clock_.steady(), RecordTime{wall.count()}};
}

Result<void> BridgeSession::run(const StopFlag& stop, const std::function<void(const BridgeReport&)>& on_report) {
  last_report_ = clock_.steady();
  while (!stop.requested() && !failure_) {
    handle(consumer_->poll(poll_timeout()));
    work();
    start_claims();
    finish_revocation();
    check_watchdog();
    if (clock_.steady() - last_report_ >= settings_.report_interval) on_report(report());
    if (settings_.exit_at_end && at_end()) break;
  }
  shut_down();
  on_report(report());
  if (failure_) return *failure_;
  return {};
}

// SIGTERM, the end, or a failure: what is under way is waited for, then the group is left.  What is not done in time
// comes again at the next start.
void BridgeSession::shut_down() {
  if (consumer_ == nullptr) return;  // it failed to connect anew
  const SteadyTime deadline = clock_.steady() + settings_.drain_deadline;
  mapping_.hold();
  log_.info("stopping", {{"batches_under_way", mapping_.under_way()}});
  while (mapping_.under_way() > 0 && clock_.steady() < deadline) {
    waker_.wait(Millis{20});
    work();
    if (failure_) break;
  }
  if (const std::size_t left = mapping_.under_way(); left > 0) {
    log_.warning("some batches did not end in time; they come again at the next start", {{"batches", left}});
  }
  commit(true);
  disconnect(kLeaveTime);
}

// --------------------------------------------------------------------------------------------------------------- work

void BridgeSession::work() {
  take_outcomes();
  discard_batches();
  send_batches();
  auto due = invoker_.tick(clock_.steady());
  if (!due) return fail(due.error());
  invoker_due_ = *due;
  take_outcomes();
  commit(false);
  balance();
}

Millis BridgeSession::poll_timeout() const {
  const SteadyTime at = clock_.steady();
  Millis timeout = std::min(kPollIdle, until(at, invoker_due_));
  if (const auto due = mapping_.due()) timeout = std::min(timeout, until(at, *due));
  return timeout;
}

void BridgeSession::take_outcomes() {
  for (const lambda::InvocationOutcome& outcome : invoker_.take_outcomes()) handle_outcome(outcome);
}

void BridgeSession::handle_outcome(const lambda::InvocationOutcome& outcome) {
  const auto found = tickets_.find(outcome.ticket);
  if (found == tickets_.end()) return;
  const lambda::BatchId batch = found->second;
  tickets_.erase(found);
  if (outcome.end == lambda::InvocationEnd::kResponse) {
    const std::string complaint = mapping_.succeeded(batch, outcome.text, now());
    if (complaint.empty()) return;
    log_.warning("the function's response fails the batch",
                 {{"request_id", outcome.request_id}, {"detail", complaint}});
    return;
  }
  const bool unreachable = outcome.end == lambda::InvocationEnd::kUnreachable;
  log_.warning("an invocation failed", {{"how", end_name(outcome.end)},
                                        {"request_id", outcome.request_id},
                                        {"duration_ms", outcome.duration.count()},
                                        {"detail", std::string_view(outcome.text).substr(0, kDetailBytesMost)}});
  mapping_.failed(batch, {outcome.request_id, outcome.status, unreachable ? "" : "Unhandled"}, now());
}

void BridgeSession::send_batches() {
  while (auto delivery = mapping_.next_delivery(now())) send(*delivery);
}

void BridgeSession::send(const lambda::Delivery& delivery) {
  if (delivery.event_bytes > settings_.mapping.batch_bytes_most) {
    ++too_large_;
    const lambda::EventRecord& record = *delivery.records.front();
    log_.warning(
        "a record is too large for an invocation; a provisioned mapping with --maximum-retry-attempts "
        "discards it",
        {{"partition", record.claim.partition.value()},
         {"offset", record.offset.value()},
         {"event_bytes", delivery.event_bytes},
         {"most", settings_.mapping.batch_bytes_most}});
    for (int i = delivery.twice ? 2 : 1; i > 0; --i) {
      mapping_.failed(delivery.batch, {lambda::random_request_id(), 413, ""}, now());
    }
    return;
  }
  const auto event = std::make_shared<const std::string>(writer_.write(delivery.records));
  for (int i = delivery.twice ? 2 : 1; i > 0; --i) {
    const lambda::Ticket ticket{++last_ticket_};
    tickets_.emplace(ticket, delivery.batch);
    invoker_.submit(ticket, event);
  }
}

// Thousands of small batches a second must not be as many requests to the group's coordinator.  What the coordinator
// refused is said again: a position that nobody repeats would stay behind until the partition's next batch.
void BridgeSession::commit(bool at_once) {
  const SteadyTime at = clock_.steady();
  if (!at_once && at < next_commit_) return;
  const std::uint64_t failed = consumer_->counters().commits_failed;
  const bool again = std::exchange(commits_failed_, failed) != failed;
  next_commit_ = at + (again ? kRetryPause : kCommitInterval);
  for (const lambda::PositionToCommit& it : mapping_.take_commits()) consumer_->commit(it.claim.partition, it.next);
  if (!again) return;
  for (const Claim& claim : claims_) {
    if (const auto position = mapping_.position(claim)) consumer_->commit(claim.partition, *position);
  }
}

// ----------------------------------------------------------------------------------------------------------- discards

// As many documents as it takes to keep each below the sink's limit.
std::vector<std::string> BridgeSession::documents(const lambda::Discard& discard) const {
  std::vector<std::string> result;
  std::vector<lambda::Discard> parts{discard};
  const std::string id = discard.last ? discard.last->request_id : std::string{};
  while (!parts.empty()) {
    lambda::Discard part = std::move(parts.back());
    parts.pop_back();
    std::string document = lambda::failure_document(writer_, part, settings_.function_arn,
                                                    id.empty() ? lambda::random_request_id() : id, now().wall);
    if (document.size() <= sink_->document_bytes_most() || part.records.size() == 1) {
      result.push_back(std::move(document));
      continue;
    }
    lambda::Discard second = part;
    const auto half = static_cast<std::ptrdiff_t>(part.records.size() / 2);
    second.records.erase(second.records.begin(), second.records.begin() + half);
    part.records.erase(part.records.begin() + half, part.records.end());
    parts.push_back(std::move(second));
    parts.push_back(std::move(part));
  }
  return result;
}

void BridgeSession::discard_batches() {
  while (auto discard = mapping_.next_discard()) {
    const lambda::EventRecord& first = *discard->records.front();
    log_.warning("a batch is discarded",
                 {{"reason", discard->reason == lambda::DiscardReason::kRecordAge ? "record age" : "retries exhausted"},
                  {"partition", first.claim.partition.value()},
                  {"offset", first.offset.value()},
                  {"records", discard->records.size()},
                  {"invocations", discard->invocations}});
    PendingDiscard pending{*std::move(discard), {}, 0, {}};
    if (sink_ != nullptr) pending.documents = documents(pending.discard);
    discards_.push_back(std::move(pending));
  }
  std::erase_if(discards_, [this](PendingDiscard& pending) {
    if (!write_documents(pending)) return false;
    mapping_.discarded(pending.discard.batch);
    return true;
  });
}

// True: all of them are durable.
bool BridgeSession::write_documents(PendingDiscard& pending) {
  if (clock_.steady() < pending.not_before) return false;
  while (!pending.documents.empty()) {
    const auto put = sink_->put(pending.documents.front());
    if (!put) {
      if (!put.error().retriable) {
        fail(put.error());
        return false;
      }
      log_.warning("the on-failure destination does not take a document; it is tried again",
                   {{"detail", put.error().message}});
      pending.not_before = clock_.steady() + kRetryPause * (1 << std::min(pending.attempts++, 5));
      return false;
    }
    pending.documents.erase(pending.documents.begin());
  }
  return true;
}

// --------------------------------------------------------------------------------------------------------------- poll

void BridgeSession::handle(kafka::Polled polled) {
  if (const auto* records = std::get_if<kafka::Records>(&polled)) {
    for (const auto& run : records->runs) add(run);
  } else if (const auto* end = std::get_if<kafka::EndReached>(&polled)) {
    mapping_.reach(end->claim, end->next);
  } else if (const auto* assigned = std::get_if<kafka::Assigned>(&polled)) {
    on_assigned(*assigned);
  } else if (const auto* revoked = std::get_if<kafka::Revoked>(&polled)) {
    on_revoked(*revoked);
  } else if (const auto* failed = std::get_if<kafka::Failed>(&polled)) {
    if (!failed->error.retriable) return fail(failed->error);
    log_.warning("Kafka", {{"detail", failed->error.message}});
  }
}

void BridgeSession::add(const kafka::PartitionRecords& run) {
  const SteadyTime arrived = clock_.steady();
  for (std::size_t i = 0; i < run.records.size(); ++i) {
    const Record& record = run.records[i];
    lambda::EventRecord copy;
    copy.claim = run.claim;
    copy.offset = record.offset;
    copy.timestamp = record.timestamp;
    copy.timestamp_type = time_type(run.metadata[i].timestamp_type);
    copy.key = owned(record.key);
    copy.value = owned(record.value);
    for (const kafka::HeaderView& header : run.metadata[i].headers) {
      copy.headers.push_back({std::string(header.name), owned(header.value)});
    }
    mapping_.add(std::move(copy), arrived);
  }
}

// A poller that is held up must not fill the memory, and must not hold up the others.
void BridgeSession::balance() {
  if (revoking_until_ || !to_start_.empty()) return;
  const std::size_t records_most = std::max(kBacklogRecordsLeast, 2 * settings_.mapping.batch_records_most);
  for (const Claim& claim : claims_) {
    const lambda::Mapping::Backlog backlog = mapping_.backlog(claim);
    const bool full = backlog.records >= records_most || backlog.bytes >= settings_.backlog_bytes_most;
    const bool low = backlog.records <= records_most / 2 && backlog.bytes <= settings_.backlog_bytes_most / 2;
    if (full && paused_.insert(claim).second) consumer_->pause(claim.partition);
    if (low && paused_.erase(claim) > 0) consumer_->resume(claim.partition);
  }
}

// --------------------------------------------------------------------------------------------------------- assignment

void BridgeSession::on_assigned(const kafka::Assigned& assigned) {
  log_.info("partitions assigned", {{"count", assigned.claims.size()}});
  assigned_once_ = true;
  claims_ = assigned.claims;
  to_start_ = assigned.claims;
  paused_.clear();
  end_at_.clear();
  end_now_.clear();
  short_logs_.clear();
  start_not_before_ = {};
}

void BridgeSession::start_claims() {
  while (!to_start_.empty() && !revoking_until_ && clock_.steady() >= start_not_before_) {
    const Claim claim = to_start_.back();
    const Result<Offset> next = where_to_start(claim);
    if (!next) {
      if (!next.error().retriable) return fail(next.error());
      log_.warning("waiting to try again", {{"doing", "asking where to begin"}, {"detail", next.error().message}});
      start_not_before_ = clock_.steady() + kRetryPause;
      return;
    }
    to_start_.pop_back();
    mapping_.assign(claim, *next);
    consumer_->start(claim.partition, *next);
  }
}

Result<Offset> BridgeSession::where_to_start(const Claim& claim) {
  const auto range = consumer_->log_range(claim.partition, kLogQueryTimeout);
  if (!range) return range.error();
  const auto committed = consumer_->committed(claim.partition, kLogQueryTimeout);
  if (!committed) return committed.error();
  const auto name = [&] {
    return fmt::format("topic '{}': partition {}", settings_.origin.topic, claim.partition.value());
  };
  end_at_.insert_or_assign(claim, range->log_end);
  end_now_.insert_or_assign(claim, range->log_end);
  if (*committed) {
    const Offset next = **committed;
    if (next > range->log_end) {
      const std::string where = fmt::format("{}: group '{}' has committed {} and the log ends at {}", name(),
                                            settings_.consumer.group, next.value(), range->log_end.value());
      if (++short_logs_[claim] < kShortLogAttempts) {
        return Error::retriable_error(ErrorKind::kData, where + "; its leader may just have started");
      }
      return Error::fatal(ErrorKind::kData,
                          where +
                              ": the topic was made anew, or an unclean leader election lost records (use another "
                              "group)");
    }
    if (next >= range->log_start) return next;
    log_.warning("retention removed records before they were read",
                 {{"partition", claim.partition.value()}, {"records", range->log_start - next}});
    return range->log_start;
  }
  Offset next = range->log_start;
  if (settings_.start.kind == StartPosition::Kind::kLatest) next = range->log_end;
  if (settings_.start.kind == StartPosition::Kind::kTime) {
    const auto found = consumer_->offset_for_time(claim.partition, settings_.start.time, kLogQueryTimeout);
    if (!found) return found.error();
    next = found->value_or(range->log_end);
  }
  // So that the beginning stays where it is when the program is started again before the first batch is done.
  consumer_->commit(claim.partition, next);
  return next;
}

void BridgeSession::on_revoked(const kafka::Revoked& revoked) {
  log_.info(revoked.lost ? "partitions lost" : "partitions revoked", {{"count", revoked.claims.size()}});
  to_start_.clear();
  mapping_.hold();
  revoking_until_ = clock_.steady() + (revoked.lost ? Millis{0} : settings_.drain_deadline);
}

// The group waits for us: what is under way may end, so that the next owner need not do it again.
void BridgeSession::finish_revocation() {
  if (!revoking_until_) return;
  const bool under_way =
      std::any_of(claims_.begin(), claims_.end(), [this](const Claim& claim) { return mapping_.under_way(claim); });
  if (under_way && clock_.steady() < *revoking_until_) return;
  if (under_way) log_.warning("a revoked partition's batch did not end in time; its next owner sends it again");
  commit(true);
  for (const Claim& claim : claims_) mapping_.revoke(claim);
  claims_.clear();
  paused_.clear();
  revoking_until_.reset();
  consumer_->revoke_done();
  mapping_.release();
}

// librdkafka can get stuck behind one broker without reporting anything; a new client helps, and if it does not, a
// supervisor's restart is safe.
void BridgeSession::check_watchdog() {
  if (clock_.steady() < next_watch_ || revoking_until_) return;
  next_watch_ = clock_.steady() + kWatchInterval;
  const auto progress = consumer_->check_progress(settings_.progress_limit);
  if (progress) return;
  if (reconnected_) return fail(Error{progress.error().kind, false, progress.error().message});
  log_.warning("no progress; connecting anew", {{"detail", progress.error().message}});
  reconnected_ = true;
  for (const Claim& claim : claims_) mapping_.revoke(claim);
  claims_.clear();
  to_start_.clear();
  disconnect(Millis{2'000});
  if (const auto connected = connect(); !connected) fail(connected.error());
}

bool BridgeSession::at_end() const {
  if (!assigned_once_ || revoking_until_ || !to_start_.empty()) return false;
  return std::all_of(claims_.begin(), claims_.end(), [&](const Claim& claim) {
    const auto position = mapping_.position(claim);
    const auto end = end_at_.find(claim);
    return position && end != end_at_.end() && *position >= end->second;
  });
}

void BridgeSession::fail(const Error& error) {
  if (!failure_) failure_ = error;
}

// ------------------------------------------------------------------------------------------------------------- report

BridgeReport BridgeSession::report() {
  BridgeReport report;
  report.mapping = mapping_.counters();
  report.invoker = invoker_.counters();
  report.partitions = claims_.size();
  report.under_way = mapping_.under_way();
  report.too_large = too_large_;
  report.assigned = assigned_once_;
  std::int64_t lag = 0;
  bool known = to_start_.empty() && !claims_.empty();
  if (consumer_ != nullptr) {
    for (const kafka::PartitionStatus& status : consumer_->status()) {
      if (status.log_end) end_now_.insert_or_assign(status.claim, *status.log_end);
    }
  }
  for (const Claim& claim : claims_) {
    const auto position = mapping_.position(claim);
    const auto end = end_now_.find(claim);
    known = known && position && end != end_now_.end();
    if (known) lag += std::max<std::int64_t>(0, end->second - *position);
  }
  if (known) report.lag_records = lag;
  const SteadyTime at = clock_.steady();
  const double elapsed = std::chrono::duration<double>(at - last_report_).count();
  if (elapsed > 0) report.records_per_second = static_cast<double>(report.mapping.records - last_records_) / elapsed;
  last_records_ = report.mapping.records;
  last_report_ = at;
  return report;
}

}  // namespace culvert
