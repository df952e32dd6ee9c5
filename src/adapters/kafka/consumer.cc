// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/consumer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <utility>

#include "adapters/kafka/batch.h"
#include "adapters/kafka/client.h"
#include "adapters/kafka/connect.h"
#include "adapters/kafka/errors.h"
#include "adapters/kafka/lane.h"
#include "adapters/kafka/log_queries.h"
#include "adapters/kafka/settings.h"
#include "model/check.h"

namespace culvert::kafka {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr Millis kProgressQueryTimeout{2'000};
constexpr Millis kDestroyWaitLeast{500};
// Over the whole process, so that whatever is under way for an earlier consumer is never taken for this one's.
AssignmentId next_assignment() {
  static std::atomic<std::uint64_t> last{0};
  return AssignmentId{++last};
}

// Not negative.
Millis time_to(SteadyClock::time_point deadline) {
  return std::max(Millis{0}, std::chrono::duration_cast<Millis>(deadline - SteadyClock::now()));
}

}  // namespace

class Consumer::Impl final : public ClientObserver {
 public:
  explicit Impl(ConsumerOptions options)
      : options_(std::move(options)), batch_(options_.batch_records_max, options_.with_metadata) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() override {
    if (client_ != nullptr && !closing_) client_->skip_group_close();
  }

  Result<void> subscribe(std::unique_ptr<Client> client);
  Polled poll(Millis timeout);
  void wake() {
    woken_ = true;
    rd_kafka_queue_yield(queue_.get());
  }
  void start(PartitionId partition, Offset next);
  void revoke_done();
  void seek(PartitionId partition, Offset next);
  void pause(PartitionId partition);
  void resume(PartitionId partition);
  void commit(PartitionId partition, Offset next);
  Result<void> check_progress(Millis limit);
  Result<void> close(Millis deadline);
  [[nodiscard]] std::vector<PartitionStatus> status() const;

  void on_error(rd_kafka_resp_err_t code, const Error& complaint) override;
  void on_rebalance(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t* partitions) override;

  [[nodiscard]] const Client& client() const { return *client_; }
  [[nodiscard]] const std::string& topic() const { return options_.topic; }
  [[nodiscard]] const Counters& counters() const { return counters_; }
  [[nodiscard]] std::int32_t partition_count() const { return partition_count_; }

 private:
  [[nodiscard]] Lane* lane_of(std::int32_t partition) const {
    const auto index = static_cast<std::size_t>(partition);
    return index < lanes_.size() ? lanes_[index].get() : nullptr;
  }
  [[nodiscard]] Lane& owned(PartitionId partition) const;
  void sort(std::span<rd_kafka_message_t* const> messages);
  void deliver(Lane& lane, const rd_kafka_message_t& message);
  void take_end(Lane& lane, Offset end);
  void take_error(const rd_kafka_message_t& message);
  void drop_ends(const Claim& claim);
  void ask_suspects_again();
  void take_assignment(const rd_kafka_topic_partition_list_t* partitions);
  void take_revocation();
  void assign_started();
  void carry_out_seeks();
  void carry_out_seek(Lane& lane);
  void take_commit_results(SteadyClock::time_point deadline);
  void report_fatal();
  void report(Error error);
  void push(Polled event);
  [[nodiscard]] std::vector<Claim> claims() const;
  [[nodiscard]] Error stuck(Millis limit, std::string_view how) const;

  ConsumerOptions options_;
  ErrorNotes notes_;
  std::unique_ptr<Client> client_;  // outlives the queues and the batch's messages
  Handle<rd_kafka_queue_t> queue_;
  Handle<rd_kafka_queue_t> commit_queue_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // by partition; null: not assigned
  MessageBatch batch_;
  std::deque<Polled> events_;  // Records never wait here
  std::atomic<bool> woken_{false};
  bool assigning_ = false;  // between Assigned and the last start()
  bool revoking_ = false;   // between Revoked and revoke_done()
  bool closing_ = false;
  std::size_t commits_under_way_ = 0;
  Counters counters_;
  std::int32_t partition_count_ = 0;
  SteadyClock::time_point last_progress_ = SteadyClock::now();
  ComplaintFilter complaints_;
};

Result<void> Consumer::Impl::subscribe(std::unique_ptr<Client> client) {
  client_ = std::move(client);
  const Result<TopicDescription> found = connect(*client_, notes_, topic(), options_.connect_timeout);
  if (!found) return found.error();
  partition_count_ = found->partitions;
  rd_kafka_poll_set_consumer(client_->get());
  queue_.reset(rd_kafka_queue_get_consumer(client_->get()));
  commit_queue_.reset(rd_kafka_queue_new(client_->get()));
  const TopicPartitionList topics = make_list(1);
  rd_kafka_topic_partition_list_add(topics.get(), options_.topic.c_str(), RD_KAFKA_PARTITION_UA);
  const rd_kafka_resp_err_t code = rd_kafka_subscribe(client_->get(), topics.get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) return to_error(code, fmt::format("topic '{}'", topic()), {});
  return {};
}

Polled Consumer::Impl::poll(Millis timeout) {
  CULVERT_CHECK(!closing_, "a closed consumer was polled");
  ask_suspects_again();
  carry_out_seeks();
  sort(batch_.refill(queue_.get(), events_.empty() ? timeout : Millis{0}, &woken_));
  carry_out_seeks();
  if (commits_under_way_ != 0) take_commit_results({});
  if (const Records records = batch_.records(); records.count != 0) {
    counters_.delivered += records.count;
    last_progress_ = SteadyClock::now();
    return records;
  }
  if (events_.empty()) return Nothing{};
  Polled event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Consumer::Impl::sort(std::span<rd_kafka_message_t* const> messages) {
  Lane* lane = nullptr;
  std::int32_t partition = -1;
  for (const rd_kafka_message_t* message : messages) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) [[unlikely]] {
      take_error(*message);
      continue;
    }
    if (message->partition != partition) {
      partition = message->partition;
      lane = lane_of(partition);
    }
    if (lane == nullptr || revoking_ || lane->paused || !lane->started || lane->suspicion.open()) [[unlikely]] {
      ++counters_.stale_dropped;
      continue;
    }
    deliver(*lane, *message);
  }
  for (const auto& read : lanes_) {
    if (read != nullptr) read->keep_epoch();
  }
}

void Consumer::Impl::deliver(Lane& lane, const rd_kafka_message_t& message) {
  switch (lane.position.offer(Offset{message.offset})) {
    case Position::Verdict::kDeliver:
      batch_.add(lane, message);
      lane.last_delivered = &message;
      return;
    case Position::Verdict::kSeekAgain:
      lane.seek_wanted = true;
      ++counters_.seeks_repeated;
      [[fallthrough]];
    case Position::Verdict::kStale:
      ++counters_.stale_dropped;
      return;
  }
}

// Told by a fetch of before a seek, it would pass over what lies between.
void Consumer::Impl::take_end(Lane& lane, Offset end) {
  switch (lane.position.reach_end(end)) {
    case Position::Verdict::kDeliver:
      return push(EndReached{lane.claim, end});
    case Position::Verdict::kSeekAgain:
      lane.seek_wanted = true;
      ++counters_.seeks_repeated;
      return;
    case Position::Verdict::kStale:
      return;
  }
}

void Consumer::Impl::take_error(const rd_kafka_message_t& message) {
  // A consumer hears of it by its queue, not by the callback.
  if (message.err == RD_KAFKA_RESP_ERR__FATAL) return report_fatal();
  // Errors of the group or of the whole client come without a topic.
  Lane* lane = message.rkt != nullptr && message.partition >= 0 ? lane_of(message.partition) : nullptr;
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    last_progress_ = SteadyClock::now();
    if (lane == nullptr || revoking_ || lane->paused || !lane->started || lane->suspicion.open()) return;
    lane->suspicion.clear();
    take_end(*lane, Offset{message.offset});
    return;
  }
  const std::string what = lane == nullptr
                               ? fmt::format("topic '{}' (group '{}')", topic(), options_.group)
                               : fmt::format("{} at offset {}", partition_name(topic(), lane->claim.partition),
                                             lane->position.next().value());
  Error error = to_error(message.err, what, rd_kafka_message_errstr(&message));
  if (lane != nullptr && lane->started && !revoking_ && is_lost_log(message.err)) {
    if (lane->doubt_refusal(*client_, topic(), error)) return;
    return report(std::move(error));
  }
  // Brokers that restart forget topics for a moment; a topic that stays away is found by check_progress().
  if (message.err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) error.retriable = true;
  report(std::move(error));
}

// The client stopped fetching the partition, and only a new assignment begins that again.  Partitions that are paused
// stay so, as the client keeps a pause over assignments.
void Consumer::Impl::ask_suspects_again() {
  if (assigning_ || revoking_) return;
  const auto due = [now = SteadyClock::now()](const auto& lane) { return lane != nullptr && lane->suspicion.due(now); };
  if (std::none_of(lanes_.begin(), lanes_.end(), due)) return;
  for (const auto& lane : lanes_) {
    if (lane != nullptr) lane->begin_again();
  }
  assign_started();
}

void Consumer::Impl::on_error(rd_kafka_resp_err_t code, const Error& complaint) {
  if (code == RD_KAFKA_RESP_ERR__FATAL) return report_fatal();
  notes_.on_error(code, complaint);
  if (queue_ == nullptr) return;  // still connecting, which looks at the notes itself
  // The client was let in before: it goes on trying, and check_progress() tells when that does not help.
  Error error = complaint;
  error.retriable = true;
  report(std::move(error));
}

// The client will do nothing any more; what happened stands behind the code.
void Consumer::Impl::report_fatal() {
  std::array<char, 512> text{};
  const rd_kafka_resp_err_t cause = rd_kafka_fatal_error(client_->get(), text.data(), text.size());
  Error error = to_error(cause, fmt::format("topic '{}' (group '{}')", topic(), options_.group), text.data());
  error.retriable = false;
  report(std::move(error));
}

void Consumer::Impl::report(Error error) {
  if (error.retriable && !complaints_.admit(error)) return;
  push(Failed{std::move(error)});
}

// The wait for a message does not end by itself when a callback was served in it.
void Consumer::Impl::push(Polled event) {
  events_.push_back(std::move(event));
  rd_kafka_queue_yield(queue_.get());
}

void Consumer::Impl::on_rebalance(rd_kafka_resp_err_t code, const rd_kafka_topic_partition_list_t* partitions) {
  if (closing_) {
    rd_kafka_assign(client_->get(), nullptr);
    return;
  }
  if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    take_assignment(partitions);
  } else {
    take_revocation();
  }
}

// Called in the middle of a refill: the batch and what it lent are not to be touched.
void Consumer::Impl::take_assignment(const rd_kafka_topic_partition_list_t* partitions) {
  lanes_.clear();
  for (int i = 0; i < partitions->cnt; ++i) {
    const std::int32_t partition = partitions->elems[i].partition;
    const auto index = static_cast<std::size_t>(partition);
    if (index >= lanes_.size()) lanes_.resize(index + 1);
    lanes_[index] = std::make_unique<Lane>();
    lanes_[index]->claim = Claim{PartitionId{partition}, next_assignment()};
  }
  assigning_ = true;
  revoking_ = false;
  last_progress_ = SteadyClock::now();
  push(Assigned{claims()});
  if (partitions->cnt == 0) assign_started();
}

void Consumer::Impl::take_revocation() {
  assigning_ = false;
  revoking_ = true;
  push(Revoked{claims(), rd_kafka_assignment_lost(client_->get()) != 0});
}

void Consumer::Impl::revoke_done() {
  CULVERT_CHECK(revoking_, "revoke_done() answers a Revoked");
  batch_.release();
  lanes_.clear();
  revoking_ = false;
  rd_kafka_assign(client_->get(), nullptr);
}

void Consumer::Impl::start(PartitionId partition, Offset next) {
  if (revoking_ || closing_) return;  // the answer came too late
  Lane& lane = owned(partition);
  CULVERT_CHECK(!lane.started, "start() answers an Assigned once for each partition");
  lane.position = Position{next};
  lane.started = true;
  // The client keeps a pause over assignments; a new one begins without.
  rd_kafka_resume_partitions(client_->get(), lane.list(topic()).get());
  const bool all = std::all_of(lanes_.begin(), lanes_.end(), [](const auto& l) { return l == nullptr || l->started; });
  if (assigning_ && all) assign_started();
}

void Consumer::Impl::assign_started() {
  const TopicPartitionList list = make_list(static_cast<int>(lanes_.size()));
  for (const auto& lane : lanes_) {
    if (lane == nullptr) continue;
    rd_kafka_topic_partition_list_add(list.get(), topic().c_str(), lane->claim.partition.value())->offset =
        lane->position.next().value();
  }
  assigning_ = false;
  last_progress_ = SteadyClock::now();
  const rd_kafka_resp_err_t code = rd_kafka_assign(client_->get(), list.get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) report(to_error(code, fmt::format("assignment of topic '{}'", topic()), {}));
}

Lane& Consumer::Impl::owned(PartitionId partition) const {
  Lane* lane = lane_of(partition.value());
  CULVERT_CHECK(lane != nullptr, partition_name(topic(), partition) + " is not assigned");
  return *lane;
}

void Consumer::Impl::seek(PartitionId partition, Offset next) {
  if (revoking_) return;
  Lane& lane = owned(partition);
  CULVERT_CHECK(lane.started, "seek() before start()");
  lane.position.seek(next);
  lane.seek_wanted = true;
  drop_ends(lane.claim);
  // Not while the other partitions' answers are awaited: the client does not know the partition yet.
  if (!assigning_ && !lane.suspicion.waits()) carry_out_seek(lane);
}

void Consumer::Impl::carry_out_seek(Lane& lane) {
  if (auto refused = lane.carry_out_seek(*client_, topic())) report(*std::move(refused));
}

// An end that waits to be told behind records of other partitions is one of before the seek.
void Consumer::Impl::drop_ends(const Claim& claim) {
  std::erase_if(events_, [&](const Polled& event) {
    const auto* end = std::get_if<EndReached>(&event);
    return end != nullptr && end->claim == claim;
  });
}

void Consumer::Impl::carry_out_seeks() {
  if (assigning_ || revoking_) return;
  for (const auto& lane : lanes_) {
    if (lane != nullptr && lane->seek_wanted && !lane->suspicion.waits()) carry_out_seek(*lane);
  }
}

void Consumer::Impl::pause(PartitionId partition) {
  if (revoking_) return;
  Lane& lane = owned(partition);
  if (std::exchange(lane.paused, true)) return;
  const rd_kafka_resp_err_t code = rd_kafka_pause_partitions(client_->get(), lane.list(topic()).get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) report(to_error(code, partition_name(topic(), partition), "pause"));
}

void Consumer::Impl::resume(PartitionId partition) {
  if (revoking_) return;
  Lane& lane = owned(partition);
  if (!std::exchange(lane.paused, false)) return;
  // Where the client itself would go on depends on what it had handed out; where we go on must not.
  seek(partition, lane.position.next());
  const rd_kafka_resp_err_t code = rd_kafka_resume_partitions(client_->get(), lane.list(topic()).get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) report(to_error(code, partition_name(topic(), partition), "resume"));
}

void Consumer::Impl::commit(PartitionId partition, Offset next) {
  const Lane* lane = lane_of(partition.value());
  if (lane == nullptr) return;
  const TopicPartitionList list = make_list(1);
  rd_kafka_topic_partition_list_add(list.get(), topic().c_str(), partition.value())->offset = next.value();
  const rd_kafka_resp_err_t code =
      rd_kafka_commit_queue(client_->get(), list.get(), commit_queue_.get(), nullptr, nullptr);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    ++commits_under_way_;
  } else {
    ++counters_.commits_failed;
  }
}

// A commit that fails is not an error of ours: the checkpoint stands, and a later commit says more.
void Consumer::Impl::take_commit_results(SteadyClock::time_point deadline) {
  while (commits_under_way_ != 0) {
    const Handle<rd_kafka_event_t> event{rd_kafka_queue_poll(commit_queue_.get(), to_ms(time_to(deadline)))};
    if (!event) return;
    --commits_under_way_;
    const rd_kafka_resp_err_t code = rd_kafka_event_error(event.get());
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    ++counters_.commits_failed;
    client_->log(LogLevel::kDebug, fmt::format("topic '{}' (group '{}'): a commit failed: {}", topic(), options_.group,
                                               rd_kafka_err2str(code)));
  }
}

std::vector<Claim> Consumer::Impl::claims() const {
  std::vector<Claim> result;
  for (const auto& lane : lanes_) {
    if (lane != nullptr) result.push_back(lane->claim);
  }
  return result;
}

std::vector<PartitionStatus> Consumer::Impl::status() const {
  std::vector<PartitionStatus> result;
  for (const auto& lane : lanes_) {
    if (lane == nullptr || !lane->started) continue;
    std::int64_t first = 0;
    std::int64_t next = 0;
    const rd_kafka_resp_err_t code =
        rd_kafka_get_watermark_offsets(client_->get(), topic().c_str(), lane->claim.partition.value(), &first, &next);
    const bool known = code == RD_KAFKA_RESP_ERR_NO_ERROR && next >= 0;
    result.push_back(PartitionStatus{lane->claim, lane->position.next(),
                                     known ? std::optional{Offset{next}} : std::nullopt, lane->paused});
  }
  return result;
}

Error Consumer::Impl::stuck(Millis limit, std::string_view how) const {
  const std::string text = fmt::format("topic '{}' (group '{}'): no record arrived for {} although {}", topic(),
                                       options_.group, format_duration(limit), how);
  if (!notes_.latest()) {
    return Error::retriable_error(ErrorKind::kUnavailable,
                                  text + " (a new client may help; check the brokers' health)");
  }
  return Error::retriable_error(notes_.latest()->kind, fmt::format("{}; {}", text, notes_.latest()->message));
}

Result<void> Consumer::Impl::check_progress(Millis limit) {
  if (assigning_ || revoking_ || SteadyClock::now() - last_progress_ < limit) return {};
  const auto reading = [](const auto& lane) { return lane != nullptr && !lane->paused; };
  if (std::none_of(lanes_.begin(), lanes_.end(), reading)) {
    Result<TopicDescription> found = query_topic(*client_, topic(), kProgressQueryTimeout);
    if (!found) return found.error().retriable ? stuck(limit, found.error().message) : found.error();
  }
  for (const auto& lane : lanes_) {
    if (!reading(lane)) continue;
    const Result<LogRange> range = query_log_range(*client_, topic(), lane->claim.partition, kProgressQueryTimeout);
    if (!range) return range.error().retriable ? stuck(limit, range.error().message) : range.error();
    if (lane->position.next() < range->log_end) {
      return stuck(limit, fmt::format("partition {} is at {} and its log ends at {}", lane->claim.partition.value(),
                                      lane->position.next().value(), range->log_end.value()));
    }
  }
  last_progress_ = SteadyClock::now();
  return {};
}

Result<void> Consumer::Impl::close(Millis deadline) {
  if (std::exchange(closing_, true)) return {};
  const auto end = SteadyClock::now() + deadline;
  batch_.release();
  take_commit_results(SteadyClock::now() + deadline / 2);
  // The group's closing events come through a queue of their own; forwarding its queue to itself would never end.
  const Handle<rd_kafka_queue_t> closing{rd_kafka_queue_new(client_->get())};
  const Handle<rd_kafka_error_t> refused{rd_kafka_consumer_close_queue(client_->get(), closing.get())};
  bool closed = false;
  while (!refused && !closed && time_to(end) > Millis{0}) {
    std::ignore = batch_.refill(closing.get(), std::min(time_to(end), Millis{50}));
    batch_.release();
    closed = rd_kafka_consumer_closed(client_->get()) != 0;
  }
  if (!closed) client_->skip_group_close();
  client_->set_destroy_wait(std::max(time_to(end), kDestroyWaitLeast));
  if (refused) return to_error(refused.get(), fmt::format("group '{}'", options_.group));
  if (!closed) {
    return Error::retriable_error(
        ErrorKind::kUnavailable,
        fmt::format("group '{}': its coordinator did not confirm the leave within {} (nothing is lost; the group "
                    "notices by its session time-out)",
                    options_.group, format_duration(deadline)));
  }
  return {};
}

Result<std::unique_ptr<Consumer>> Consumer::open(const KafkaConfig& config, const ConsumerOptions& options) {
  CULVERT_CHECK(!options.topic.empty() && !options.group.empty(), "a consumer needs a topic and a group");
  auto impl = std::make_unique<Impl>(options);
  std::vector<Property> settings = fetch_limits(options.fetch_bytes_max);
  settings.push_back(Property{"group.id", options.group});
  Result<std::unique_ptr<Client>> client = Client::open(config, Role::kConsumer, settings, impl.get());
  if (!client) return client.error();
  if (Result<void> done = impl->subscribe(*std::move(client)); !done) return done.error();
  return std::unique_ptr<Consumer>{new Consumer(std::move(impl))};
}

Consumer::Consumer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Consumer::~Consumer() = default;

Polled Consumer::poll(Millis timeout) { return impl_->poll(timeout); }
void Consumer::start(PartitionId partition, Offset next) { impl_->start(partition, next); }
void Consumer::revoke_done() { impl_->revoke_done(); }
void Consumer::seek(PartitionId partition, Offset next) { impl_->seek(partition, next); }
void Consumer::pause(PartitionId partition) { impl_->pause(partition); }
void Consumer::resume(PartitionId partition) { impl_->resume(partition); }
void Consumer::commit(PartitionId partition, Offset next) { impl_->commit(partition, next); }
std::vector<PartitionStatus> Consumer::status() const { return impl_->status(); }
std::int32_t Consumer::partition_count() const { return impl_->partition_count(); }
void Consumer::wake() { impl_->wake(); }
const Consumer::Counters& Consumer::counters() const { return impl_->counters(); }
Result<void> Consumer::check_progress(Millis limit) { return impl_->check_progress(limit); }
Result<void> Consumer::close(Millis deadline) { return impl_->close(deadline); }

Result<LogRange> Consumer::log_range(PartitionId partition, Millis timeout) const {
  return query_log_range(impl_->client(), impl_->topic(), partition, timeout);
}

Result<std::optional<Offset>> Consumer::offset_for_time(PartitionId partition, RecordTime time, Millis timeout) const {
  return query_offset_for_time(impl_->client(), impl_->topic(), partition, time, timeout);
}

Result<std::string> Consumer::topic_id(Millis timeout) const {
  return query_topic_id(impl_->client(), impl_->topic(), timeout);
}

std::optional<bool> Consumer::compacted(Millis timeout) const {
  return query_compacted(impl_->client(), impl_->topic(), timeout);
}

Result<std::optional<Offset>> Consumer::committed(PartitionId partition, Millis timeout) const {
  return query_committed(impl_->client(), impl_->topic(), partition, timeout);
}

}  // namespace culvert::kafka
