// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/lane.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "adapters/kafka/log_queries.h"

namespace culvert::kafka {

namespace {

// A seek is a matter of the client's own threads; it is tried again at the next poll if they are busy.
constexpr Millis kSeekTimeout{1'000};
constexpr Millis kSeekQuiet{5'000};
// About six seconds in all: a leader that has just taken over is settled by then.
constexpr int kRefusalsMost = 5;

Millis pause_after(int refusals) { return Millis{std::min(2'500, 100 << (2 * (refusals - 1)))}; }

}  // namespace

bool Suspicion::refused(Clock::time_point now) {
  if (times_ == kRefusalsMost) return false;
  ++times_;
  open_ = true;
  asked_again_ = false;
  ask_again_at_ = now + pause_after(times_);
  return true;
}

std::string Suspicion::note() const {
  return fmt::format("asked again, as its leader may just have changed ({} of {})", times_, kRefusalsMost);
}

bool SeekRefusals::refused(Clock::time_point now) {
  if (!since_) since_ = now;
  return now - *since_ >= kSeekQuiet;
}

void Lane::keep_epoch() {
  if (last_delivered == nullptr) return;
  leader_epoch = rd_kafka_message_leader_epoch(std::exchange(last_delivered, nullptr));
  suspicion.clear();
}

void Lane::begin_again() {
  position.seek(position.next());
  seek_wanted = true;
  seek_refusals.clear();
  suspicion.asked_again();
}

TopicPartitionList Lane::list(const std::string& topic) const {
  TopicPartitionList list = make_list(1);
  rd_kafka_topic_partition_t* entry =
      rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), claim.partition.value());
  entry->offset = position.next().value();
  if (suspicion.open()) rd_kafka_topic_partition_set_leader_epoch(entry, leader_epoch);
  return list;
}

std::optional<Error> Lane::carry_out_seek(const Client& client, const std::string& topic) {
  const TopicPartitionList to = list(topic);
  const Handle<rd_kafka_error_t> error{rd_kafka_seek_partitions(client.get(), to.get(), to_ms(kSeekTimeout))};
  const rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error.get()) : to->elems[0].err;
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    seek_wanted = false;
    seek_refusals.clear();
    suspicion.close();
    position.seek_done();
    return std::nullopt;
  }
  if (!seek_refusals.refused(SeekRefusals::Clock::now())) return std::nullopt;
  return Error::retriable_error(ErrorKind::kUnavailable, fmt::format("{}: seek to {} failed: {} (it is tried again)",
                                                                     partition_name(topic, claim.partition),
                                                                     position.next().value(), rd_kafka_err2str(code)));
}

bool Lane::doubt_refusal(const Client& client, const std::string& topic, const Error& error) {
  if (!suspicion.refused(Suspicion::Clock::now())) return false;
  client.log(LogLevel::kWarning, fmt::format("{} is refused; {}: {}", partition_name(topic, claim.partition),
                                             suspicion.note(), error.message));
  return true;
}

}  // namespace culvert::kafka
