// SPDX-License-Identifier: Apache-2.0
// The session against the embedded broker, with a function that always succeeds at once.
#include "app/bridge/session.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "adapters/kafka/embedded_broker.h"
#include "adapters/kafka/producer.h"

namespace culvert {
namespace {

constexpr Millis kPatience{30'000};
const std::string kTopic = "readings";

class WillingInvoker final : public lambda::Invoker {
 public:
  explicit WillingInvoker(BridgeWaker& waker) : waker_(waker) {}
  void submit(lambda::Ticket ticket, std::shared_ptr<const std::string> event) override {
    events.push_back(*event);
    lambda::InvocationOutcome outcome;
    outcome.ticket = ticket;
    outcomes_.push_back(outcome);
    waker_.wake();
  }
  std::vector<lambda::InvocationOutcome> take_outcomes() override { return std::exchange(outcomes_, {}); }
  Result<SteadyTime> tick(SteadyTime now) override { return now + Millis{50}; }
  lambda::InvokerCounters counters() const override { return {}; }

  std::vector<std::string> events;

 private:
  BridgeWaker& waker_;
  std::vector<lambda::InvocationOutcome> outcomes_;
};

class StopSwitch final : public StopFlag {
 public:
  bool requested() const override { return on; }
  int descriptor() const override { return -1; }
  bool on = false;
};

class BridgeSessionTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto started = kafka::EmbeddedBroker::start(1);
    ASSERT_TRUE(started.ok()) << started.error().message;
    broker_ = *std::move(started);
    ASSERT_TRUE(broker_->create_topic(kTopic, 2).ok());
    auto producer = kafka::Producer::open(broker_->config(), {.topic = kTopic});
    ASSERT_TRUE(producer.ok()) << producer.error().message;
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE((*producer)->send({.value = "v", .partition = PartitionId{i % 2}}).ok());
    }
    ASSERT_TRUE((*producer)->flush(kPatience).ok());
  }

  // The embedded broker keeps a place in the group for a member that left until its session ends.
  [[nodiscard]] kafka::KafkaConfig config() const {
    kafka::KafkaConfig config = broker_->config();
    config.properties = {{"session.timeout.ms", "6000"}, {"heartbeat.interval.ms", "200"}};
    return config;
  }

  // Without `report` it ends where the log ends.
  Result<void> run(const std::function<void(StopSwitch& stop)>& report = {}) {
    BridgeSettings settings;
    settings.kafka = config();
    settings.consumer.topic = kTopic;
    settings.consumer.group = "g";
    settings.consumer.with_metadata = true;
    settings.mapping.batch_records_most = 5;
    settings.origin.topic = kTopic;
    settings.exit_at_end = !report;
    settings.report_interval = Millis{100};
    auto session = BridgeSession::open(settings, invoker_, nullptr, waker_, log_, clock_);
    if (!session) return session.error();
    StopSwitch stop;
    return (*session)->run(stop, [&](const BridgeReport&) {
      if (report) report(stop);
    });
  }

  // A member that has been assigned the partitions and reads none.
  std::unique_ptr<kafka::Consumer> member() {
    auto consumer = kafka::Consumer::open(config(), {.topic = kTopic, .group = "g"});
    EXPECT_TRUE(consumer.ok()) << consumer.error().message;
    const auto end = clock_.steady() + kPatience;
    while (clock_.steady() < end) {
      if (std::holds_alternative<kafka::Assigned>((*consumer)->poll(Millis{100}))) return *std::move(consumer);
    }
    ADD_FAILURE() << "never assigned";
    return *std::move(consumer);
  }
  // By partition; -1: nothing.
  std::vector<std::int64_t> committed() {
    const auto consumer = member();
    std::vector<std::int64_t> positions;
    for (const int partition : {0, 1}) {
      const auto position = consumer->committed(PartitionId{partition}, kPatience);
      EXPECT_TRUE(position.ok()) << position.error().message;
      positions.push_back(position.ok() && *position ? (*position)->value() : -1);
    }
    EXPECT_TRUE(consumer->close(kPatience).ok());
    return positions;
  }

  SystemClock clock_;
  Log log_{LogOptions{.level = LogLevel::kError}, clock_};
  BridgeWaker waker_;
  WillingInvoker invoker_{waker_};
  std::unique_ptr<kafka::EmbeddedBroker> broker_;
};

TEST_F(BridgeSessionTest, EndsWhenEverythingIsDealtWith) {
  const auto done = run();
  ASSERT_TRUE(done.ok()) << done.error().message;
  EXPECT_EQ(invoker_.events.size(), 10u);
}

TEST_F(BridgeSessionTest, ACommitThatIsRefusedIsSaidAgain) {
  constexpr int kInvalidCommitOffsetSize = 28;  // one that the client does not repeat by itself
  broker_->fail_requests(kafka::Request::kOffsetCommit, kInvalidCommitOffsetSize, 1'000);
  const SteadyTime begun = clock_.steady();
  SteadyTime last_sent = begun;
  std::optional<SteadyTime> healed;
  const auto done = run([&](StopSwitch& stop) {
    const SteadyTime now = clock_.steady();
    if (invoker_.events.size() < 10) last_sent = now;
    if (!healed && now - last_sent > Millis{500}) {  // the last positions have been refused by now
      broker_->clear_failures(kafka::Request::kOffsetCommit);
      healed = now;
    }
    stop.on = (healed && now - *healed > Millis{1'500}) || now - begun > kPatience;
  });
  ASSERT_TRUE(done.ok()) << done.error().message;
  ASSERT_TRUE(healed.has_value());
  EXPECT_EQ(committed(), (std::vector<std::int64_t>{25, 25}));
}

TEST_F(BridgeSessionTest, APositionAboveTheLogsEndIsRefused) {
  const auto consumer = member();
  consumer->commit(PartitionId{1}, Offset{26});
  ASSERT_TRUE(consumer->close(kPatience).ok());
  const auto done = run();
  ASSERT_FALSE(done.ok());
  EXPECT_EQ(done.error().kind, ErrorKind::kData);
  EXPECT_NE(done.error().message.find("has committed 26 and the log ends at 25"), std::string::npos)
      << done.error().message;
}

}  // namespace
}  // namespace culvert
