// SPDX-License-Identifier: Apache-2.0
// Reading without faults: every record once, in order, from where it was asked for.
#include <fmt/format.h>

#include "broker_fixture.h"

namespace culvert::kafka {
namespace {

class Consume : public testing::Test {
 protected:
  void SetUp() override {
    auto started = EmbeddedBroker::start(3);
    ASSERT_TRUE(started.ok()) << started.error().message;
    broker = *std::move(started);
    ASSERT_TRUE(broker->create_topic(kTopic, 4).ok());
    config = quick(*broker);
  }

  std::unique_ptr<EmbeddedBroker> broker;
  KafkaConfig config;
};

TEST_F(Consume, EveryRecordOnceInOrderWithKeyAndValue) {
  fill(config, 4, 2'500);
  Reader reader(config);
  reader.poll_until([&] { return reader.received() == 10'000 && reader.ends() == 4; }, "all records and ends came");
  for (int p = 0; p < 4; ++p) {
    EXPECT_EQ(reader.offsets[p], sequence(2'500));
    EXPECT_EQ(reader.values[p][17], fmt::format("value {}/17", p));
    EXPECT_EQ(reader.end_of[p], 2'500);
  }
  EXPECT_TRUE(reader.errors.empty()) << reader.errors.front().message;
  ASSERT_EQ(reader.assigned.size(), 1u);
  EXPECT_EQ(reader.assigned[0].size(), 4u);
  EXPECT_EQ(reader.consumer().counters().delivered, 10'000u);
  reader.leave();
}

}  // namespace
}  // namespace culvert::kafka
