// SPDX-License-Identifier: Apache-2.0
#include "dashboard/board.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "dashboard/assets.h"

namespace culvert::dashboard {
namespace {

TEST(BoardTest, HistoryKeepsOneSampleASecondOfTheLastTenMinutes) {
  Board board({});
  for (int i = 0; i < 4 * 700; ++i) {
    Snapshot now;
    now.at_ms = std::int64_t{i} * 250;
    now.records_per_second = i;
    board.publish(std::move(now));
  }
  const auto history = board.history();
  ASSERT_EQ(history.size(), Board::kSamplesMost);
  EXPECT_EQ(history.back().at_ms, 699'000);
  EXPECT_EQ(history.front().at_ms, 100'000);
}

TEST(BoardTest, ClockThatIsSetBackDoesNotStopTheHistory) {
  Board board({});
  for (const std::int64_t at : {10'000, 11'000, 5'000, 6'000}) {
    Snapshot now;
    now.at_ms = at;
    board.publish(std::move(now));
  }
  EXPECT_EQ(board.history().size(), 4U);
}

// What a session's thread and HTTP threads do at the same time; ThreadSanitizer reads along.
TEST(BoardTest, SnapshotsAreExchangedBetweenThreads) {
  Board board({}, {.windows_most = 1'000, .devices_most = 100});
  std::atomic<bool> over{false};
  std::atomic<std::int64_t> seen{0};
  std::atomic<std::int64_t> heard{0};
  board.on_publish([&](const std::shared_ptr<const Snapshot>& now) { heard = now->records_read; });
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      std::int64_t last = 0;
      while (!over) {
        const auto now = board.snapshot();
        if (!now) continue;
        EXPECT_GE(now->records_read, last);
        EXPECT_EQ(now->partitions.size(), static_cast<std::size_t>(now->records_read % 5));
        last = now->records_read;
        seen = std::max(seen.load(), last);
        for (const auto& row : board.devices().page({.search = "1", .size = 20}).rows) {
          EXPECT_GE(row.current.aggregate.count, 1);
        }
        for (const auto& letter : board.letters().newest(std::nullopt, 10)) EXPECT_FALSE(letter.letter.detail.empty());
        (void)board.history();
      }
    });
  }
  for (std::int64_t i = 1; i <= 2'000; ++i) {
    DeviceStore::Put put{DeviceId{i % 150}, {EventTime{i}, EventTime{i + 1}, {}}, std::nullopt, i, i};
    put.window.aggregate.fold(Micro{i});
    board.devices().put(put);
    board.devices().close_until(PartitionId{0}, EventTime{i});
    DeadLetter letter;
    letter.detail = "why";
    board.letters().add(letter);
    Snapshot now;
    now.records_read = i;
    now.at_ms = i * 500;
    now.partitions.resize(static_cast<std::size_t>(i % 5));
    board.publish(std::move(now));
  }
  while (seen < 2'000) std::this_thread::yield();
  over = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(heard, 2'000);
}

TEST(DeadLetterLogTest, KeepsTheNewestAndCutsThem) {
  DeadLetterLog log;
  for (int i = 0; i < 600; ++i) {
    DeadLetter letter;
    letter.offset = Offset{i};
    letter.reason = i % 2 == 0 ? DeadLetterReason::kNotJson : DeadLetterReason::kLate;
    letter.value = std::string(10'000, 'x');
    log.add(letter);
  }
  const auto newest = log.newest(std::nullopt, 1'000);
  ASSERT_EQ(newest.size(), DeadLetterLog::kLettersMost);
  EXPECT_EQ(newest.front().letter.offset, Offset{599});
  EXPECT_EQ(newest.front().letter.value->size(), DeadLetterLog::kBytesMost);
  EXPECT_EQ(newest.front().value_bytes, 10'000U);
  EXPECT_EQ(newest.front().key_bytes, std::nullopt);
  EXPECT_EQ(log.newest(DeadLetterReason::kLate, 3).at(2).letter.offset, Offset{595});
}

TEST(AssetsTest, PageIsSmallAndAsksNobodyElse) {
  std::size_t bytes = 0;
  for (const Asset& asset : assets()) {
    bytes += asset.bytes.size();
    if (asset.path == "/uplot.js" || asset.path == "/icon.svg" || asset.path == "/dom.js") continue;
    // A link to a licence is not a request.
    if (asset.path == "/openapi.yaml") continue;
    EXPECT_EQ(asset.bytes.find("http://"), std::string_view::npos) << asset.path;
    EXPECT_EQ(asset.bytes.find("https://"), std::string_view::npos) << asset.path;
    EXPECT_EQ(asset.bytes.find("innerHTML"), std::string_view::npos) << asset.path;
  }
  EXPECT_LT(bytes, std::size_t{150} << 10);
  ASSERT_NE(find_asset("/"), nullptr);
  EXPECT_EQ(find_asset("/")->type, "text/html; charset=utf-8");
  EXPECT_EQ(find_asset("/index.html"), nullptr);
}

}  // namespace
}  // namespace culvert::dashboard
