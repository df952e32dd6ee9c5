// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/reader.h"

#include <fmt/format.h>

#include <algorithm>
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

constexpr Millis kDestroyWait{2'000};

}  // namespace

class PartitionReader::Impl final : public ClientObserver {
 public:
  explicit Impl(ReaderOptions options) : options_(std::move(options)), batch_(options_.batch_records_max, false) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() override;

  Result<void> prepare(std::unique_ptr<Client> client);
  Result<void> start(std::span<const ReadRange> ranges);
  Polled poll(Millis timeout);
  [[nodiscard]] bool done() const { return open_ == 0 && events_.empty(); }
  Result<void> check_progress(Millis limit) const;

  void on_error(rd_kafka_resp_err_t code, const Error& complaint) override;

  [[nodiscard]] const Client& client() const { return *client_; }
  [[nodiscard]] const std::string& topic() const { return options_.topic; }
  [[nodiscard]] std::int32_t partition_count() const { return partition_count_; }

 private:
  struct Track {
    Lane lane;
    std::optional<Offset> next;  // where to stop
    bool reading = false;        // the client fetches it
    bool done = false;
  };

  void sort(std::span<rd_kafka_message_t* const> messages);
  void take_error(const rd_kafka_message_t& message);
  void finish(Track& track);
  void stop_finished();
  void ask_suspects_again();
  void restart(Lane& lane);
  [[nodiscard]] Track* track_of(std::int32_t partition) const {
    const auto index = static_cast<std::size_t>(partition);
    return index < tracks_.size() ? tracks_[index].get() : nullptr;
  }

  ReaderOptions options_;
  ErrorNotes notes_;
  std::unique_ptr<Client> client_;  // outlives topic, queue and the batch's messages
  Handle<rd_kafka_topic_t> topic_;
  Handle<rd_kafka_queue_t> queue_;
  std::vector<std::unique_ptr<Track>> tracks_;  // by partition; null: not read
  MessageBatch batch_;
  std::deque<Polled> events_;
  std::size_t open_ = 0;  // ranges that are not done
  std::int32_t partition_count_ = 0;
  SteadyClock::time_point last_progress_ = SteadyClock::now();
  ComplaintFilter complaints_;
};

PartitionReader::Impl::~Impl() {
  batch_.release();
  for (const auto& track : tracks_) {
    if (track != nullptr && track->reading) rd_kafka_consume_stop(topic_.get(), track->lane.claim.partition.value());
  }
}

Result<void> PartitionReader::Impl::prepare(std::unique_ptr<Client> client) {
  client_ = std::move(client);
  client_->set_destroy_wait(kDestroyWait);
  const Result<TopicDescription> found = connect(*client_, notes_, topic(), options_.connect_timeout);
  if (!found) return found.error();
  partition_count_ = found->partitions;
  queue_.reset(rd_kafka_queue_new(client_->get()));
  topic_.reset(rd_kafka_topic_new(client_->get(), topic().c_str(), nullptr));
  if (!topic_) return to_error(rd_kafka_last_error(), fmt::format("topic '{}'", topic()), {});
  return {};
}

Result<void> PartitionReader::Impl::start(std::span<const ReadRange> ranges) {
  CULVERT_CHECK(tracks_.empty(), "a reader is started once");
  for (const ReadRange& range : ranges) {
    const auto index = static_cast<std::size_t>(range.partition.value());
    if (index >= tracks_.size()) tracks_.resize(index + 1);
    CULVERT_CHECK(tracks_[index] == nullptr, "a partition is read once");
    tracks_[index] = std::make_unique<Track>();
    Track& track = *tracks_[index];
    track.lane.claim = Claim{range.partition, AssignmentId{}};
    track.lane.position = Position{range.first};
    track.lane.started = true;
    track.next = range.next;
    ++open_;
    if (range.next && *range.next <= range.first) {
      finish(track);
      continue;
    }
    if (rd_kafka_consume_start_queue(topic_.get(), range.partition.value(), range.first.value(), queue_.get()) != 0) {
      return to_error(rd_kafka_last_error(), partition_name(topic(), range.partition), {});
    }
    track.reading = true;
  }
  last_progress_ = SteadyClock::now();
  return {};
}

Polled PartitionReader::Impl::poll(Millis timeout) {
  batch_.release();
  stop_finished();
  ask_suspects_again();
  rd_kafka_poll(client_->get(), 0);  // errors of connections; the records have a queue of their own
  sort(batch_.refill(queue_.get(), events_.empty() && !done() ? timeout : Millis{0}));
  if (const Records records = batch_.records(); records.count != 0) {
    last_progress_ = SteadyClock::now();
    return records;
  }
  if (events_.empty()) return Nothing{};
  Polled event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void PartitionReader::Impl::sort(std::span<rd_kafka_message_t* const> messages) {
  Track* track = nullptr;
  std::int32_t partition = -1;
  for (const rd_kafka_message_t* message : messages) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) [[unlikely]] {
      take_error(*message);
      continue;
    }
    if (message->partition != partition) {
      partition = message->partition;
      track = track_of(partition);
    }
    if (track == nullptr || track->done || track->lane.suspicion.open()) [[unlikely]]
      continue;
    const Offset offset{message->offset};
    if (track->next && offset >= *track->next) [[unlikely]] {  // the range ended in a gap
      finish(*track);
      continue;
    }
    const Position::Verdict verdict = track->lane.position.offer(offset);
    track->lane.seek_wanted |= verdict == Position::Verdict::kSeekAgain;
    if (verdict != Position::Verdict::kDeliver) continue;
    batch_.add(track->lane, *message);
    track->lane.last_delivered = message;
    if (track->next && track->lane.position.next() == *track->next) [[unlikely]]
      finish(*track);
  }
  for (const auto& read : tracks_) {
    if (read != nullptr) read->lane.keep_epoch();
  }
}

void PartitionReader::Impl::take_error(const rd_kafka_message_t& message) {
  Track* track = message.partition < 0 ? nullptr : track_of(message.partition);
  if (message.err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
    last_progress_ = SteadyClock::now();
    if (track == nullptr || track->done || track->lane.suspicion.open()) return;
    const Offset end{message.offset};
    track->lane.suspicion.clear();
    const Position::Verdict verdict = track->lane.position.reach_end(end);
    track->lane.seek_wanted |= verdict == Position::Verdict::kSeekAgain;
    if (verdict != Position::Verdict::kDeliver) return;
    if (!track->next) {
      events_.emplace_back(EndReached{track->lane.claim, end});
    } else if (end >= *track->next) {
      finish(*track);
    }
    return;
  }
  const std::string what = track == nullptr
                               ? fmt::format("topic '{}'", topic())
                               : fmt::format("{} at offset {}", partition_name(topic(), track->lane.claim.partition),
                                             track->lane.position.next().value());
  Error error = to_error(message.err, what, rd_kafka_message_errstr(&message));
  const bool refused = track != nullptr && !track->done && is_lost_log(message.err);
  if (refused && track->lane.doubt_refusal(*client_, topic(), error)) return;
  events_.emplace_back(Failed{std::move(error)});
}

// The client stopped fetching the partition and has to be started on it anew.
void PartitionReader::Impl::ask_suspects_again() {
  for (const auto& track : tracks_) {
    if (track == nullptr || track->done) continue;
    Lane& lane = track->lane;
    if (lane.suspicion.due(SteadyClock::now())) restart(lane);
    if (!lane.seek_wanted || lane.suspicion.waits()) continue;
    if (auto refused = lane.carry_out_seek(*client_, topic())) events_.emplace_back(Failed{*std::move(refused)});
  }
}

void PartitionReader::Impl::restart(Lane& lane) {
  const std::int32_t partition = lane.claim.partition.value();
  rd_kafka_consume_stop(topic_.get(), partition);
  if (rd_kafka_consume_start_queue(topic_.get(), partition, lane.position.next().value(), queue_.get()) == 0) {
    return lane.begin_again();
  }
  events_.emplace_back(Failed{to_error(rd_kafka_last_error(), partition_name(topic(), lane.claim.partition), {})});
}

void PartitionReader::Impl::finish(Track& track) {
  track.done = true;
  --open_;
  events_.emplace_back(EndReached{track.lane.claim, *track.next});
}

// Not in the midst of a batch: stopping waits for the client's own thread.
void PartitionReader::Impl::stop_finished() {
  for (const auto& track : tracks_) {
    if (track == nullptr || !track->done || !std::exchange(track->reading, false)) continue;
    rd_kafka_consume_stop(topic_.get(), track->lane.claim.partition.value());
  }
}

void PartitionReader::Impl::on_error(rd_kafka_resp_err_t code, const Error& complaint) {
  notes_.on_error(code, complaint);
  if (queue_ == nullptr) return;  // still connecting, which looks at the notes itself
  // The client was let in before: it goes on trying, and check_progress() tells when that does not help.
  Error error = complaint;
  error.retriable = true;
  if (complaints_.admit(error)) events_.emplace_back(Failed{std::move(error)});
}

Result<void> PartitionReader::Impl::check_progress(Millis limit) const {
  if (done() || SteadyClock::now() - last_progress_ < limit) return {};
  const bool ends = std::any_of(tracks_.begin(), tracks_.end(), [](const auto& track) {
    return track != nullptr && !track->done && track->next.has_value();
  });
  if (!ends) return {};
  const std::string text = fmt::format("topic '{}': no record arrived for {}", topic(), format_duration(limit));
  if (!notes_.latest()) return Error::retriable_error(ErrorKind::kUnavailable, text + " (check the brokers' health)");
  return Error::retriable_error(notes_.latest()->kind, fmt::format("{}: {}", text, notes_.latest()->message));
}

Result<std::unique_ptr<PartitionReader>> PartitionReader::open(const KafkaConfig& config,
                                                               const ReaderOptions& options) {
  CULVERT_CHECK(!options.topic.empty(), "a reader needs a topic");
  auto impl = std::make_unique<Impl>(options);
  Result<std::unique_ptr<Client>> client =
      Client::open(config, Role::kReader, fetch_limits(options.fetch_bytes_max), impl.get());
  if (!client) return client.error();
  if (Result<void> done = impl->prepare(*std::move(client)); !done) return done.error();
  return std::unique_ptr<PartitionReader>{new PartitionReader(std::move(impl))};
}

PartitionReader::PartitionReader(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
PartitionReader::~PartitionReader() = default;

Result<void> PartitionReader::start(std::span<const ReadRange> ranges) { return impl_->start(ranges); }
Polled PartitionReader::poll(Millis timeout) { return impl_->poll(timeout); }
bool PartitionReader::done() const { return impl_->done(); }
Result<void> PartitionReader::check_progress(Millis limit) const { return impl_->check_progress(limit); }
std::int32_t PartitionReader::partition_count() const { return impl_->partition_count(); }

Result<LogRange> PartitionReader::log_range(PartitionId partition, Millis timeout) const {
  return query_log_range(impl_->client(), impl_->topic(), partition, timeout);
}

Result<std::optional<Offset>> PartitionReader::offset_for_time(PartitionId partition, RecordTime time,
                                                               Millis timeout) const {
  return query_offset_for_time(impl_->client(), impl_->topic(), partition, time, timeout);
}

std::optional<bool> PartitionReader::compacted(Millis timeout) const {
  return query_compacted(impl_->client(), impl_->topic(), timeout);
}

Result<std::string> PartitionReader::topic_id(Millis timeout) const {
  return query_topic_id(impl_->client(), impl_->topic(), timeout);
}

}  // namespace culvert::kafka
