// SPDX-License-Identifier: Apache-2.0
#include "app/cli/progress_line.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

namespace culvert {
namespace {

TEST(ProgressText, ShowsShareRateAndTimeLeft) {
  ProgressFigures figures{1'000, 500.0, 25.0, Millis{6'000}};
  EXPECT_EQ(progress_text("produce", figures, ProgressGoal{4'000, std::nullopt}, {{"failed", 0}}, 80),
            "produce  1 000 of 4 000 (25 %)  500/s  6s left  failed=0");
  EXPECT_EQ(progress_text("consume", ProgressFigures{7, 1.0, std::nullopt, std::nullopt}, {}, {}, 80),
            "consume  7  1/s");
}

TEST(ProgressText, NeverFillsTheLastColumn) {
  EXPECT_EQ(progress_text("produce", ProgressFigures{1'000'000, 0, std::nullopt, std::nullopt}, {}, {}, 12).size(),
            11U);
}

// Where stderr is no terminal: one line every ten seconds, with the rate of late.
TEST(ProgressLine, LogsNowAndThen) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  ManualClock clock{WallTime{}};
  {
    LogOptions options;
    options.descriptor = ends[1];
    Log log(options, clock);
    LiveArea live(ends[1]);
    ProgressLine progress("produce", ProgressGoal{40'000, std::nullopt}, log, live, clock);
    progress.update(0);
    for (int second = 1; second <= 20; ++second) {
      clock.move(std::chrono::seconds{1});
      progress.update(std::int64_t{second} * 1'000, {{"failed", 0}});
    }
    EXPECT_EQ(progress.overall_rate(20'000), 1'000.0);
    progress.finish();
  }
  ::close(ends[1]);
  std::array<char, 4096> buffer{};
  const ssize_t size = ::read(ends[0], buffer.data(), buffer.size());
  ::close(ends[0]);
  ASSERT_GT(size, 0);
  EXPECT_EQ(std::string(buffer.data(), static_cast<std::size_t>(size)),
            R"({"timestamp":"1970-01-01T00:00:10.000Z","level":"info","message":"progress","command":"produce",)"
            R"("done":10000,"rate":1000,"total":40000,"percent":25,"seconds_left":30,"failed":0})"
            "\n"
            R"({"timestamp":"1970-01-01T00:00:20.000Z","level":"info","message":"progress","command":"produce",)"
            R"("done":20000,"rate":1000,"total":40000,"percent":50,"seconds_left":20,"failed":0})"
            "\n");
}

}  // namespace
}  // namespace culvert
