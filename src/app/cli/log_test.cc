// SPDX-License-Identifier: Apache-2.0
#include "app/cli/log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

namespace culvert {
namespace {

// What a log writes, read from the other end of a pipe after the log is gone.
class LogTest : public ::testing::Test {
 protected:
  LogTest() {
    EXPECT_EQ(::pipe(ends_.data()), 0);
    EXPECT_GT(::fcntl(ends_[1], F_SETPIPE_SZ, 1 << 20), 0);
    options_.descriptor = ends_[1];
    log_ = std::make_unique<Log>(options_, clock_);
  }
  ~LogTest() override { ::close(ends_[0]); }

  void restart(const LogOptions& options) {
    options_ = options;
    options_.descriptor = ends_[1];
    log_ = std::make_unique<Log>(options_, clock_);
  }

  std::vector<std::string> lines() {
    log_.reset();
    ::close(ends_[1]);
    std::string text;
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::read(ends_[0], buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
    std::vector<std::string> lines;
    for (std::size_t first = 0; first < text.size();) {
      const auto newline = text.find('\n', first);
      lines.push_back(text.substr(first, newline - first));
      first = newline + 1;
    }
    return lines;
  }

  std::array<int, 2> ends_{};
  ManualClock clock_{WallTime{std::chrono::seconds{1}}};
  LogOptions options_;
  std::unique_ptr<Log> log_;
};

TEST_F(LogTest, WritesJsonLinesWhereThereIsNoTerminal) {
  const std::string table = "a\"b\n";
  log_->info("flush failed", {{"table", table}, {"items", 3}, {"rate", 2.5}, {"again", true}});
  EXPECT_EQ(lines(), (std::vector<std::string>{
                         R"({"timestamp":"1970-01-01T00:00:01.000Z","level":"info","message":"flush failed",)"
                         R"("table":"a\"b\u000a","items":3,"rate":2.5,"again":true})"}));
}

TEST_F(LogTest, ANumberThatIsNotKnownIsNoNumber) {
  log_->info("progress", {{"lag", std::optional<std::int64_t>()}, {"end", std::optional<std::int64_t>(7)}});
  EXPECT_EQ(lines(),
            (std::vector<std::string>{
                R"({"timestamp":"1970-01-01T00:00:01.000Z","level":"info","message":"progress","lag":null,"end":7})"}));
}

TEST_F(LogTest, AsTextANumberThatIsNotKnownIsCalledUnknown) {
  LogOptions options;
  options.format = LogFormat::kText;
  restart(options);
  log_->info("progress", {{"lag", std::optional<std::int64_t>()}});
  EXPECT_EQ(lines(), (std::vector<std::string>{"00:00:01.000 info    progress lag=unknown"}));
}

TEST_F(LogTest, TextHidesControlCharacters) {
  LogOptions options;
  options.format = LogFormat::kText;
  restart(options);
  log_->warning("odd device", {{"device", "\x1b[2Jx"}});
  EXPECT_EQ(lines(), (std::vector<std::string>{R"(00:00:01.000 warning odd device device=\x1b[2Jx)"}));
}

TEST_F(LogTest, LevelsBelowTheChosenOneAreLeftOut) {
  LogOptions options;
  options.level = LogLevel::kWarning;
  restart(options);
  log_->debug("a");
  log_->info("b");
  log_->error("c");
  EXPECT_EQ(lines().size(), 1U);
}

TEST_F(LogTest, SecretsNeverAppearInMessageOrField) {
  log_->redact("hunter2");
  log_->redact("p\"w");
  log_->error("login with hunter2 failed", {{"url", "http://u:hunter2@h/?x=hunter2"}, {"other", "p\"w"}});
  const auto found = lines();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].find("hunter2"), std::string::npos) << found[0];
  EXPECT_EQ(found[0].find("p\\\"w"), std::string::npos) << "secrets are replaced before they are escaped: " << found[0];
  EXPECT_NE(found[0].find("login with [redacted] failed"), std::string::npos) << found[0];
}

TEST_F(LogTest, RepeatsAreCountedAndToldWithTheNextOne) {
  for (int i = 0; i < 25; ++i) log_->warning("broker down");
  log_->warning("another");
  clock_.move(std::chrono::seconds{11});
  log_->warning("broker down");
  const auto found = lines();
  ASSERT_EQ(found.size(), 12U);
  EXPECT_NE(found[11].find("\"left_out\":15"), std::string::npos) << found[11];
}

TEST_F(LogTest, AFullQueueDropsTheOldestAndSaysSo) {
  // Nobody reads the pipe, so that the writer stalls on it with a queue of four lines.
  EXPECT_GT(::fcntl(ends_[1], F_SETPIPE_SZ, 4096), 0);
  LogOptions options;
  options.queue_lines_max = 4;
  options.repeats_max = 1'000'000;
  restart(options);
  const std::string filler(1000, 'x');
  for (int i = 0; i < 200; ++i) log_->info("line", {{"i", i}, {"filler", filler}});
  EXPECT_GT(log_->dropped(), 100);
  // The destructor has to wait for a reader, so reading begins before it.
  std::string text;
  std::thread reader([&] {
    std::array<char, 4096> buffer{};
    for (ssize_t n = 0; (n = ::read(ends_[0], buffer.data(), buffer.size())) > 0;) {
      text.append(buffer.data(), static_cast<std::size_t>(n));
    }
  });
  log_.reset();
  ::close(ends_[1]);
  reader.join();
  EXPECT_NE(text.find("\"i\":199"), std::string::npos) << "the newest line is kept";
  EXPECT_NE(text.find("log lines were dropped because the queue was full\",\"dropped\":"), std::string::npos);
}

}  // namespace
}  // namespace culvert
