// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/producer.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "adapters/kafka/client.h"
#include "adapters/kafka/connect.h"
#include "adapters/kafka/errors.h"
#include "model/check.h"

namespace culvert::kafka {

namespace {

using SteadyClock = std::chrono::steady_clock;

// Often enough to keep the reports from piling up, seldom enough to cost nothing for each record.
constexpr std::uint64_t kSendsPerPoll = 256;
constexpr Millis kWaitStep{100};
constexpr Millis kDestroyWait{2'000};

}  // namespace

class Producer::Impl final : public ClientObserver {
 public:
  Impl(KafkaConfig config, ProducerOptions options) : config_(std::move(config)), options_(std::move(options)) {}

  Result<void> start();
  Result<void> send(const OutgoingRecord& record, Millis wait_most);
  void poll(Millis timeout) { rd_kafka_poll(client_->get(), to_ms(timeout)); }
  Result<void> flush(Millis deadline, const std::function<void(const ProducerCounters&)>& progress);

  void on_error(rd_kafka_resp_err_t code, const Error& error) override;
  void on_delivery(const rd_kafka_message_t* message) override;

  [[nodiscard]] const ProducerCounters& counters() const { return counters_; }
  [[nodiscard]] const std::optional<Error>& first_failure() const { return first_failure_; }
  [[nodiscard]] std::int32_t partition_count() const { return partition_count_; }

 private:
  [[nodiscard]] rd_kafka_resp_err_t enqueue(const OutgoingRecord& record);
  Result<void> recreate();
  [[nodiscard]] Error fatal_error() const;
  void note_failure(Error error);
  [[nodiscard]] std::string what() const { return fmt::format("topic '{}'", options_.topic); }

  KafkaConfig config_;
  ProducerOptions options_;
  ErrorNotes notes_;
  std::unique_ptr<Client> client_;
  Handle<rd_kafka_topic_t> topic_;
  ProducerCounters counters_;
  std::optional<Error> first_failure_;
  std::int32_t partition_count_ = 0;
};

Result<void> Producer::Impl::start() {
  Result<std::unique_ptr<Client>> client = Client::open(config_, Role::kProducer, {}, this);
  if (!client) return client.error();
  client_ = *std::move(client);
  client_->set_destroy_wait(kDestroyWait);
  const Result<TopicDescription> found = connect(*client_, notes_, options_.topic, options_.connect_timeout);
  if (!found) return found.error();
  partition_count_ = found->partitions;
  topic_.reset(rd_kafka_topic_new(client_->get(), options_.topic.c_str(), nullptr));
  if (!topic_) return to_error(rd_kafka_last_error(), what(), {});
  return {};
}

rd_kafka_resp_err_t Producer::Impl::enqueue(const OutgoingRecord& record) {
  const std::int32_t partition = record.partition ? record.partition->value() : RD_KAFKA_PARTITION_UA;
  const std::string_view key = record.key.value_or(std::string_view{});
  // librdkafka tells an empty key or value from a null one by the pointer.
  const void* key_data = record.key ? (key.data() != nullptr ? key.data() : "") : nullptr;
  const std::string_view value = record.value.value_or(std::string_view{});
  // The C interface takes the bytes as not const; with MSG_F_COPY it only reads them.
  const void* value_data = record.value ? (value.data() != nullptr ? value.data() : "") : nullptr;
  if (!record.timestamp) {
    const int refused = rd_kafka_produce(topic_.get(), partition, RD_KAFKA_MSG_F_COPY, const_cast<void*>(value_data),
                                         value.size(), key_data, key.size(), nullptr);
    return refused == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
  }
  std::array<rd_kafka_vu_t, 6> fields{};
  fields[0].vtype = RD_KAFKA_VTYPE_RKT;
  fields[0].u.rkt = topic_.get();
  fields[1].vtype = RD_KAFKA_VTYPE_PARTITION;
  fields[1].u.i32 = partition;
  fields[2].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  fields[2].u.i = RD_KAFKA_MSG_F_COPY;
  fields[3].vtype = RD_KAFKA_VTYPE_VALUE;
  fields[3].u.mem.ptr = const_cast<void*>(value_data);
  fields[3].u.mem.size = value.size();
  fields[4].vtype = RD_KAFKA_VTYPE_KEY;
  fields[4].u.mem.ptr = const_cast<void*>(key_data);
  fields[4].u.mem.size = key.size();
  fields[5].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
  fields[5].u.i64 = record.timestamp->value();
  const Handle<rd_kafka_error_t> error{rd_kafka_produceva(client_->get(), fields.data(), fields.size())};
  return error ? rd_kafka_error_code(error.get()) : RD_KAFKA_RESP_ERR_NO_ERROR;
}

Result<void> Producer::Impl::send(const OutgoingRecord& record, Millis wait_most) {
  if (counters_.sent % kSendsPerPoll == 0) poll(Millis{0});
  const auto begin = SteadyClock::now();
  for (;;) {
    const rd_kafka_resp_err_t code = enqueue(record);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
      ++counters_.sent;
      return {};
    }
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
      if (Result<void> again = recreate(); !again) return again;
      continue;
    }
    if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      Error error = to_error(code, what(), {});
      error.retriable = false;
      return error;
    }
    if (SteadyClock::now() - begin >= wait_most) {
      const Error full = to_error(RD_KAFKA_RESP_ERR__TIMED_OUT, what(),
                                  fmt::format("{} records wait for acknowledgement", counters_.under_way()));
      return notes_.latest() ? Error::retriable_error(full.kind, full.message + "; " + notes_.latest()->message) : full;
    }
    poll(std::min(wait_most, kWaitStep));
  }
}

// The idempotence protocol lost its thread (a broker lost its state, say): this client can send no more.  What was
// under way is reported as failed, because nobody can tell what of it was stored; sending it again could store it
// twice.
Result<void> Producer::Impl::recreate() {
  const Error cause = fatal_error();
  rd_kafka_purge(client_->get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
  rd_kafka_flush(client_->get(), to_ms(kDestroyWait));
  if (cause.kind == ErrorKind::kPermission || cause.kind == ErrorKind::kConfiguration) return cause;
  const std::uint64_t unreported = counters_.under_way();
  if (unreported != 0) {
    note_failure(cause);
    counters_.failed += unreported;
  }
  ++counters_.recreated;
  client_->log(LogLevel::kWarning, cause.message + "; the producer is set up anew");
  topic_.reset();
  client_.reset();
  return start();
}

Error Producer::Impl::fatal_error() const {
  std::array<char, 512> text{};
  const rd_kafka_resp_err_t code = rd_kafka_fatal_error(client_->get(), text.data(), text.size());
  Error error = to_error(code, what(), text.data());
  error.retriable = false;
  return error;
}

void Producer::Impl::on_error(rd_kafka_resp_err_t code, const Error& error) {
  if (code == RD_KAFKA_RESP_ERR__FATAL) return;  // send() sees it too and deals with it
  notes_.on_error(code, error);
}

void Producer::Impl::on_delivery(const rd_kafka_message_t* message) {
  if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) [[likely]] {
    ++counters_.acknowledged;
    return;
  }
  ++counters_.failed;
  if (first_failure_) return;
  // Not rd_kafka_message_errstr(): in a producer it would take the record's value for the text of the error.
  const char* text = rd_kafka_message_produce_errstr(message);
  Error error = to_error(message->err, what(), text == nullptr ? "" : text);
  // A time-out is only the end of the story; the connection's own complaint is its cause.
  if (message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT && notes_.latest()) error = notes_.latest()->within(what());
  const bool purged = message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
                      message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT || message->err == RD_KAFKA_RESP_ERR__FATAL;
  if (purged && rd_kafka_fatal_error(client_->get(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) error = fatal_error();
  note_failure(std::move(error));
}

void Producer::Impl::note_failure(Error error) {
  if (!first_failure_) first_failure_ = std::move(error);
}

Result<void> Producer::Impl::flush(Millis deadline, const std::function<void(const ProducerCounters&)>& progress) {
  const auto end = SteadyClock::now() + deadline;
  while (counters_.under_way() != 0) {
    const auto left = std::chrono::duration_cast<Millis>(end - SteadyClock::now());
    if (left <= Millis{0}) {
      Error error = to_error(RD_KAFKA_RESP_ERR__TIMED_OUT, what(),
                             fmt::format("{} records are not acknowledged", counters_.under_way()));
      if (notes_.latest()) error.message += "; " + notes_.latest()->message;
      return error;
    }
    if (rd_kafka_fatal_error(client_->get(), nullptr, 0) != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (Result<void> again = recreate(); !again) return again;
      continue;
    }
    // flush() rather than poll(): it sends what lingers.
    rd_kafka_flush(client_->get(), to_ms(std::min(left, 2 * kWaitStep)));
    if (progress) progress(counters_);
  }
  return {};
}

Result<std::unique_ptr<Producer>> Producer::open(const KafkaConfig& config, const ProducerOptions& options) {
  CULVERT_CHECK(!options.topic.empty(), "a producer needs a topic");
  auto impl = std::make_unique<Impl>(config, options);
  if (Result<void> started = impl->start(); !started) return started.error();
  return std::unique_ptr<Producer>{new Producer(std::move(impl))};
}

Producer::Producer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Producer::~Producer() = default;

Result<void> Producer::send(const OutgoingRecord& record, Millis wait_most) { return impl_->send(record, wait_most); }
void Producer::poll(Millis timeout) { impl_->poll(timeout); }
Result<void> Producer::flush(Millis deadline, const std::function<void(const ProducerCounters&)>& progress) {
  return impl_->flush(deadline, progress);
}
const ProducerCounters& Producer::counters() const { return impl_->counters(); }
const std::optional<Error>& Producer::first_failure() const { return impl_->first_failure(); }
std::int32_t Producer::partition_count() const { return impl_->partition_count(); }

}  // namespace culvert::kafka
