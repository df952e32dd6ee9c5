// SPDX-License-Identifier: Apache-2.0
#include "app/fleet/sensor_options.h"

#include <gtest/gtest.h>

#include "app/cli/options.h"

namespace culvert {
namespace {

constexpr WallTime kNow{std::chrono::seconds{1'700'000'000}};

Result<SensorPlan> plan(std::vector<std::string> arguments) {
  OptionSet options;
  SensorOptions sensors;
  sensors.declare(options, SensorDefaults{});
  const std::vector<Section> sections{{"produce", &options}};
  if (auto read = read_options(sections[0], sections, OptionInputs{std::move(arguments), {}}); !read) {
    return read.error();
  }
  return sensors.plan(kNow);
}

TEST(SensorOptions, ARateForADurationIsANumberOfRecords) {
  const auto planned = plan({"--rate", "50k/s", "--duration", "30s", "--devices", "7"});
  ASSERT_TRUE(planned.ok());
  EXPECT_EQ(planned->total, 1'500'000);
  EXPECT_EQ(planned->duration, std::nullopt) << "so that a repeated run has as many records";
  EXPECT_EQ(planned->fleet.records_per_cycle, 50'000);
  EXPECT_EQ(planned->fleet.start, kNow);
  EXPECT_EQ(planned->fleet.devices, 7);
}

TEST(SensorOptions, CountEndsBeforeALongerDuration) {
  EXPECT_EQ(plan({"--duration", "30s", "--count", "10"})->total, 10);
  EXPECT_EQ(plan({"--duration", "30s", "--count", "10M"})->total, 6'000);
}

TEST(SensorOptions, AtFullSpeedEventTimesEndNow) {
  const auto planned = plan({"--rate", "max", "--count", "1M", "--devices", "1000"});
  ASSERT_TRUE(planned.ok());
  EXPECT_EQ(planned->rate_per_second, std::nullopt);
  EXPECT_EQ(planned->fleet.start, kNow - std::chrono::seconds{100})
      << "1000 records each for 1000 devices, 100 ms apart";
  EXPECT_EQ(plan({"--rate", "max", "--duration", "5s"})->fleet.start, kNow - std::chrono::hours{24});
  EXPECT_EQ(plan({"--rate", "max", "--start-time", "2023-05-01T12:00:00Z"})->fleet.start,
            SensorTime{std::chrono::seconds{1'682'942'400}});
}

TEST(SensorOptions, ImpossibleCombinationsAreRefused) {
  EXPECT_FALSE(plan({"--rate", "0"}).ok());
  EXPECT_FALSE(plan({"--rate", "fast"}).ok());
  EXPECT_FALSE(plan({"--count", "0"}).ok());
  EXPECT_FALSE(plan({"--devices", "0"}).ok());
  EXPECT_FALSE(plan({"--late-share", "1%", "--late-by", "0s"}).ok());
}

TEST(Pacer, IsExactAfterDaysAndAtHighRates) {
  const SteadyTime start{};
  const Pacer pacer(3, start);
  EXPECT_EQ(pacer.due(start), 1);
  EXPECT_EQ(pacer.due(start + std::chrono::milliseconds{999}), 3);
  EXPECT_EQ(pacer.due(start + std::chrono::hours{24 * 30}), 3 * 86'400 * 30 + 1);
  EXPECT_EQ(pacer.due_time(4), start + std::chrono::nanoseconds{1'333'333'333});
  EXPECT_EQ(Pacer(100'000'000, start).due(start + std::chrono::hours{24}), 100'000'000LL * 86'400 + 1);
  EXPECT_EQ(Pacer(std::nullopt, start).due(start), std::nullopt);
}

}  // namespace
}  // namespace culvert
