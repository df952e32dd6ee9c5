// SPDX-License-Identifier: Apache-2.0
#include "adapters/kafka/connect.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "adapters/kafka/client.h"
#include "adapters/kafka/errors.h"

namespace culvert::kafka {

namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr Millis kAttempt{500};
// After so long somebody who waits is told what for.
constexpr Millis kPatience{3'000};
// A topic created a moment ago is unknown to brokers that have not heard of it yet.
constexpr Millis kUnknownTopicGrace{1'500};

bool is_unknown_topic(const Error& error) { return error.kind == ErrorKind::kConfiguration && !error.retriable; }

}  // namespace

void ErrorNotes::on_error(rd_kafka_resp_err_t code, const Error& error) {
  if (!final_ && ends_connecting(error)) final_ = error;
  if (!latest_ || code != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) latest_ = error;
}

Result<Handle<const rd_kafka_metadata_t>> ask_metadata(const Client& client, const ErrorNotes& notes,
                                                       const std::string* topic, Millis timeout) {
  const auto begin = SteadyClock::now();
  bool told = false;
  for (;;) {
    const auto left = timeout - std::chrono::duration_cast<Millis>(SteadyClock::now() - begin);
    auto found = query_metadata(client, topic, std::clamp(left, Millis{1}, kAttempt));
    if (found) return found;
    rd_kafka_poll(client.get(), 0);
    if (notes.final_error()) return *notes.final_error();
    const bool may_appear = is_unknown_topic(found.error()) && SteadyClock::now() - begin < kUnknownTopicGrace;
    if (!found.error().retriable && !may_appear) return found.error();
    if (left <= Millis{0}) {
      const Error& last = notes.latest() ? *notes.latest() : found.error();
      return Error::retriable_error(last.kind,
                                    fmt::format("gave up after {}: {}", format_duration(timeout), last.message));
    }
    if (!told && timeout - left >= kPatience && notes.latest()) {
      told = true;
      client.log(LogLevel::kWarning,
                 fmt::format("still connecting, for {} s more: {}", left.count() / 1'000, notes.latest()->message));
    }
    if (may_appear) rd_kafka_poll(client.get(), 100);
  }
}

Result<TopicDescription> connect(const Client& client, const ErrorNotes& notes, const std::string& topic,
                                 Millis timeout) {
  const auto metadata = ask_metadata(client, notes, &topic, timeout);
  if (!metadata) return metadata.error();
  return TopicDescription{(*metadata)->topics[0].partition_cnt, (*metadata)->broker_cnt};
}

}  // namespace culvert::kafka
