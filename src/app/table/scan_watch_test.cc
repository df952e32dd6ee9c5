// SPDX-License-Identifier: Apache-2.0
#include "app/table/scan_watch.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <string>

namespace culvert {
namespace {

class SizedReader final : public TableReader {
 public:
  Result<void> scan_items(const ItemFilter&, const std::function<bool(const StoredItem&)>&) override { return {}; }
  Result<std::vector<PartitionCheckpoint>> checkpoints() override { return std::vector<PartitionCheckpoint>(); }
  Result<void> scan_dead_letters(const std::function<bool(const DeadLetter&)>&) override { return {}; }
  Result<std::optional<TableSize>> size_estimate() override { return size; }
  void watch_scans(std::function<bool(std::int64_t)> tick) override { on_tick = std::move(tick); }

  std::optional<TableSize> size;
  std::function<bool(std::int64_t)> on_tick;
};

class Stop final : public StopFlag {
 public:
  [[nodiscard]] bool requested() const override { return stop; }
  [[nodiscard]] int descriptor() const override { return -1; }
  bool stop = false;
};

class ScanWatchTest : public testing::Test {
 protected:
  // What the log says about a scan during which `during` happens.
  std::string said(const std::function<void()>& during) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe(ends.data()), 0);
    {
      LogOptions options;
      options.descriptor = ends[1];
      Log log(options, clock_);
      Output out(-1);
      LiveArea live(ends[1]);
      StopSignals signals;
      CommandContext context{log, out, live, signals, clock_};
      ScanWatch watch(reader_, "query", "name one device", stop_, context);
      EXPECT_TRUE(watch.begin().ok());
      during();
    }
    EXPECT_FALSE(reader_.on_tick) << "the watch is gone and must not be called";
    ::close(ends[1]);
    std::array<char, 4096> buffer{};
    const ssize_t size = ::read(ends[0], buffer.data(), buffer.size());
    ::close(ends[0]);
    return {buffer.data(), static_cast<std::size_t>(size)};
  }

  ManualClock clock_{WallTime{}};
  SizedReader reader_;
  Stop stop_;
};

TEST_F(ScanWatchTest, LargeTableIsToldBeforeItIsRead) {
  reader_.size = TableSize{2'000'000, 819'200'000};
  const std::string log = said([] {});
  EXPECT_NE(log.find(R"("items_about":2000000,"megabytes_about":819,"read_units_about":200000)"), std::string::npos)
      << log;
  EXPECT_NE(log.find("name one device"), std::string::npos);
}

TEST_F(ScanWatchTest, SmallTableIsNot) {
  reader_.size = TableSize{100, 40'000};
  EXPECT_EQ(said([] {}), "");
  reader_.size = std::nullopt;
  EXPECT_EQ(said([] {}), "");
}

TEST_F(ScanWatchTest, TableThatGrewSinceItsFigureIsToldWhenItShows) {
  reader_.size = TableSize{0, 0};
  const std::string log = said([&] {
    EXPECT_TRUE(reader_.on_tick(49'999));
    EXPECT_TRUE(reader_.on_tick(50'000));
    EXPECT_TRUE(reader_.on_tick(50'001));
  });
  EXPECT_NE(log.find(R"("items_so_far":50000)"), std::string::npos) << log;
  EXPECT_EQ(log.find("items_so_far"), log.rfind("items_so_far")) << "said once: " << log;
}

TEST_F(ScanWatchTest, StopEndsTheScan) {
  said([&] {
    EXPECT_TRUE(reader_.on_tick(1));
    stop_.stop = true;
    EXPECT_FALSE(reader_.on_tick(2));
  });
}

}  // namespace
}  // namespace culvert
