// SPDX-License-Identifier: Apache-2.0
#include "app/fleet/sensor_stream.h"

#include <algorithm>
#include <limits>

namespace culvert {

SensorStream::SensorStream(const SensorPlan& plan, kafka::Producer& producer, const Clock& clock)
    : plan_(plan),
      producer_(producer),
      clock_(clock),
      start_(clock.steady()),
      pacer_(plan.rate_per_second, start_),
      fleet_(plan.fleet) {}

bool SensorStream::over(SteadyTime now) const {
  return (plan_.total && totals_.sent >= *plan_.total) || (plan_.duration && now - start_ >= *plan_.duration);
}

// False: the queue is full.
Result<bool> SensorStream::send(const SensorRecord& record, WallTime now) {
  kafka::OutgoingRecord outgoing;
  outgoing.key = record.key;
  outgoing.value = record.value;
  // A record must not claim to be older than its reading, or the reading would be from the future.
  if (record.sent > now) {
    outgoing.timestamp = RecordTime{std::chrono::floor<Millis>(record.sent).time_since_epoch().count()};
  }
  if (auto sent = producer_.send(outgoing, kWaitMost); !sent) {
    if (sent.error().retriable) return false;
    return sent.error();
  }
  ++totals_.sent;
  if (record.flaw != DeadLetterReason::kNone) {
    ++totals_.bad;
  } else if (record.late) {
    ++totals_.late;
  }
  return true;
}

Result<bool> SensorStream::advance() {
  const SteadyTime now = clock_.steady();
  if (over(now)) return false;
  std::int64_t sendable = kChunkRecords;
  if (const auto due = pacer_.due(now)) sendable = std::min(sendable, *due - totals_.sent);
  if (plan_.total) sendable = std::min(sendable, *plan_.total - totals_.sent);
  if (sendable <= 0) {
    const auto wait = std::chrono::ceil<Millis>(pacer_.due_time(totals_.sent) - now);
    producer_.poll(std::clamp(wait, Millis{1}, kWaitMost));
    return true;
  }
  const WallTime wall = clock_.wall();
  for (std::int64_t i = 0; i < sendable; ++i) {
    if (pending_ == nullptr) pending_ = &fleet_.next();
    auto sent = send(*pending_, wall);
    if (!sent) return sent.error();
    if (!*sent) return true;
    pending_ = nullptr;
  }
  return true;
}

}  // namespace culvert
