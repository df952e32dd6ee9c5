// SPDX-License-Identifier: Apache-2.0
#include "broker_fixture.h"

#include <fmt/format.h>

#include <numeric>
#include <variant>

namespace culvert::kafka {

namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

KafkaConfig quick(const EmbeddedBroker& broker) {
  KafkaConfig config = broker.config();
  config.properties = {{"session.timeout.ms", "6000"},
                       {"heartbeat.interval.ms", "200"},
                       {"topic.metadata.refresh.interval.ms", "500"},
                       {"retry.backoff.ms", "50"},
                       {"linger.ms", "5"},
                       {"reconnect.backoff.max.ms", "500"}};
  return config;
}

void fill(const KafkaConfig& config, int partitions, int count, int first) {
  Result<std::unique_ptr<Producer>> producer = Producer::open(config, {.topic = kTopic});
  ASSERT_TRUE(producer.ok()) << producer.error().message;
  for (int i = first; i < first + count; ++i) {
    for (int p = 0; p < partitions; ++p) {
      const std::string key = fmt::format("{}/{}", p, i);
      const std::string value = "value " + key;
      const Result<void> sent = (*producer)->send({.key = key, .value = value, .partition = PartitionId{p}});
      ASSERT_TRUE(sent.ok()) << sent.error().message;
    }
  }
  const Result<void> flushed = (*producer)->flush(kPatience);
  ASSERT_TRUE(flushed.ok()) << flushed.error().message;
  EXPECT_EQ((*producer)->counters().acknowledged, static_cast<std::uint64_t>(partitions * count));
  EXPECT_EQ((*producer)->counters().failed, 0u);
}

void BrokerTest::SetUp() {
  auto started = EmbeddedBroker::start(3);
  ASSERT_TRUE(started.ok()) << started.error().message;
  broker = *std::move(started);
  ASSERT_TRUE(broker->create_topic(kTopic, 4).ok());
  config = quick(*broker);
}

Reader::Reader(const KafkaConfig& config, const ConsumerOptions& options) {
  Result<std::unique_ptr<Consumer>> consumer = Consumer::open(config, options);
  CULVERT_CHECK(consumer.ok(), "the test's consumer cannot be opened");
  consumer_ = *std::move(consumer);
}

void Reader::poll_until(const std::function<bool()>& done, const std::string& what) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (!done()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited in vain until " << what;
    poll_once();
  }
}

void Reader::poll_once(Millis timeout) { take(consumer_->poll(timeout)); }

std::size_t Reader::received() const {
  std::size_t count = 0;
  for (const auto& [partition, list] : offsets) count += list.size();
  return count;
}

void Reader::take(const Polled& polled) {
  std::visit(Overloaded{
                 [](const Nothing&) {},
                 [&](const Records& records) {
                   for (const PartitionRecords& run : records.runs) {
                     if (on_run) {
                       on_run(run);
                       continue;
                     }
                     for (const Record& record : run.records) {
                       offsets[run.claim.partition.value()].push_back(record.offset.value());
                       values[run.claim.partition.value()].emplace_back(record.value.value_or("<null>"));
                       if (position != nullptr) (*position)[run.claim.partition.value()] = record.offset.value() + 1;
                     }
                   }
                 },
                 [&](const Assigned& event) {
                   assigned.push_back(event.claims);
                   owned = event.claims;
                   for (const Claim& claim : event.claims) {
                     auto& start = position != nullptr ? *position : start_at;
                     consumer_->start(claim.partition, Offset{start[claim.partition.value()]});
                   }
                 },
                 [&](const Revoked& event) {
                   revoked.push_back(event.claims);
                   lost.push_back(event.lost);
                   owned.clear();
                   if (!hold_revocation) consumer_->revoke_done();
                 },
                 [&](const EndReached& event) { end_of[event.claim.partition.value()] = event.next.value(); },
                 [&](const Failed& event) { errors.push_back(event.error); },
             },
             polled);
}

std::vector<std::int64_t> sequence(std::int64_t count, std::int64_t first) {
  std::vector<std::int64_t> result(static_cast<std::size_t>(count));
  std::iota(result.begin(), result.end(), first);
  return result;
}

}  // namespace culvert::kafka
