// SPDX-License-Identifier: Apache-2.0
// Real processes that speak the Runtime API: tests/support/probe_function.cc says what each event makes it do.
#include "adapters/lambda/function_pool.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "adapters/lambda/line_splitter.h"

namespace culvert::lambda {
namespace {

constexpr Millis kPatience{30'000};

// `R`unning, `S`leeping, s`T`opped, `Z`ombie; 0: gone.
char process_state(pid_t pid) {
  std::ifstream stat(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(stat, text);
  const auto at = text.rfind(')');
  return at == std::string::npos ? '\0' : text.at(at + 2);
}

bool alive(pid_t pid) {
  const char state = process_state(pid);
  return state != '\0' && state != 'Z';
}

// A process that was sent SIGKILL ends when the kernel next runs it; who is not its parent can only look again.
bool ended(pid_t pid) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  while (alive(pid)) {
    if (std::chrono::steady_clock::now() >= end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class PoolTest : public testing::Test {
 protected:
  FunctionPoolOptions options() {
    FunctionPoolOptions options;
    options.executable = PROBE_FUNCTION;
    options.name = "probe";
    options.wake = [this] {
      const std::lock_guard lock(mutex_);
      woken_ = true;
      changed_.notify_all();
    };
    options.output = [this](int instance, std::string_view line) {
      const std::lock_guard lock(mutex_);
      lines_.push_back(fmt::format("{}: {}", instance, line));
    };
    return options;
  }

  void open(FunctionPoolOptions options) {
    auto opened = FunctionPool::open(std::move(options), clock_);
    ASSERT_TRUE(opened.ok()) << opened.error().message;
    pool_ = *std::move(opened);
  }

  void submit(const std::string& event) {
    pool_->submit(Ticket{++last_ticket_}, std::make_shared<const std::string>(event));
  }

  // Ticks as a session does, until `done`.
  bool tick_until(const std::function<bool()>& done) {
    const SteadyTime end = clock_.steady() + kPatience;
    while (clock_.steady() < end) {
      const auto next = pool_->tick(clock_.steady());
      EXPECT_TRUE(next.ok()) << next.error().message;
      for (auto& outcome : pool_->take_outcomes()) outcomes_.push_back(std::move(outcome));
      if (done()) return true;
      std::unique_lock lock(mutex_);
      changed_.wait_until(lock, std::min(*next, clock_.steady() + Millis{20}), [this] { return woken_; });
      woken_ = false;
    }
    return false;
  }
  InvocationOutcome outcome_of(const std::string& event) {
    outcomes_.clear();
    submit(event);
    if (!tick_until([&] { return !outcomes_.empty(); })) {
      ADD_FAILURE() << "no outcome of '" << event << "'";
      return {};
    }
    return outcomes_.front();
  }
  std::vector<std::string> lines() {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

  SystemClock clock_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
  std::vector<std::string> lines_;
  std::uint64_t last_ticket_ = 0;
  std::vector<InvocationOutcome> outcomes_;
  std::unique_ptr<FunctionPool> pool_;
};

TEST_F(PoolTest, AnswersWithWhatTheFunctionReturned) {
  open(options());
  const InvocationOutcome outcome = outcome_of("echo hello");
  EXPECT_EQ(outcome.end, InvocationEnd::kResponse);
  EXPECT_EQ(outcome.text, "echo hello");
  EXPECT_EQ(outcome.ticket, Ticket{1});
  EXPECT_EQ(outcome.request_id.size(), 36u);
  EXPECT_EQ(pool_->counters().cold_starts, 1);
  EXPECT_EQ(outcome_of("echo again").text, "echo again");
  EXPECT_EQ(pool_->counters().cold_starts, 1) << "the same instance";
  EXPECT_EQ(pool_->counters().invocations, 2);
}

TEST_F(PoolTest, EventsAndResponsesOfSixMegabytes) {
  open(options());
  const std::string event = "echo " + std::string((6 << 20) - 5, 'e');
  EXPECT_EQ(outcome_of(event).text, event);
  EXPECT_EQ(outcome_of(fmt::format("big {}", 6 << 20)).text.size(), std::size_t{6 << 20});
  const InvocationOutcome refused = outcome_of(fmt::format("big {}", (6 << 20) + 1));
  EXPECT_EQ(refused.end, InvocationEnd::kFunctionError);
  EXPECT_NE(refused.text.find("Function.ResponseSizeTooLarge"), std::string::npos) << refused.text;
  EXPECT_EQ(outcome_of("echo still here").text, "echo still here");
}

TEST_F(PoolTest, TellsTheFunctionItsEnvironment) {
  FunctionPoolOptions with = options();
  with.memory_mib = 512;
  with.environment = {{"CULVERT_TABLE", "dynamodb:t"}, {"AWS_ACCESS_KEY_ID", "id"}, {"TZ", "UTC"}};
  open(with);
  EXPECT_EQ(outcome_of("env AWS_LAMBDA_FUNCTION_NAME").text, "probe");
  EXPECT_EQ(outcome_of("env AWS_LAMBDA_FUNCTION_MEMORY_SIZE").text, "512");
  EXPECT_EQ(outcome_of("env _HANDLER").text, "bootstrap");
  EXPECT_EQ(outcome_of("env AWS_REGION").text, "us-east-1");
  EXPECT_EQ(outcome_of("env AWS_LAMBDA_LOG_GROUP_NAME").text, "/aws/lambda/probe");
  EXPECT_EQ(outcome_of("env CULVERT_TABLE").text, "dynamodb:t");
  EXPECT_EQ(outcome_of("env AWS_ACCESS_KEY_ID").text, "id");
  EXPECT_EQ(outcome_of("env TZ").text, "UTC") << "a variable that is given replaces the function's own";
  EXPECT_EQ(outcome_of("env HOME").text, "unset") << "nothing else of ours is handed on";
}

TEST_F(PoolTest, TellsAnInvocationItsIdDeadlineAndArn) {
  FunctionPoolOptions with = options();
  with.timeout = Millis{45'000};
  open(with);
  const std::int64_t before = std::chrono::duration_cast<Millis>(clock_.wall().time_since_epoch()).count();
  const InvocationOutcome outcome = outcome_of("headers");
  const std::int64_t after = std::chrono::duration_cast<Millis>(clock_.wall().time_since_epoch()).count();
  const auto value = [&](const std::string& name) {
    const auto at = outcome.text.find(name + ": ");
    if (at == std::string::npos) return std::string{};
    const auto first = at + name.size() + 2;
    return outcome.text.substr(first, outcome.text.find('\r', first) - first);
  };
  EXPECT_EQ(value("Lambda-Runtime-Aws-Request-Id"), outcome.request_id);
  EXPECT_EQ(value("Lambda-Runtime-Invoked-Function-Arn"), pool_->function_arn());
  EXPECT_TRUE(value("Lambda-Runtime-Trace-Id").starts_with("Root=1-")) << outcome.text;
  const std::int64_t deadline = std::stoll(value("Lambda-Runtime-Deadline-Ms"));
  EXPECT_GE(deadline, before + 45'000);
  EXPECT_LE(deadline, after + 45'000);
}

TEST_F(PoolTest, ReportsTheFunctionsError) {
  open(options());
  const InvocationOutcome outcome = outcome_of("error please");
  EXPECT_EQ(outcome.end, InvocationEnd::kFunctionError);
  EXPECT_TRUE(outcome.text.starts_with("Probe.Error: {\"errorMessage\":\"as asked\"")) << outcome.text;
  EXPECT_EQ(pool_->counters().function_errors, 1);
  EXPECT_EQ(outcome_of("echo on").text, "echo on");
  EXPECT_EQ(pool_->counters().cold_starts, 1) << "an error does not end the instance";
}

TEST_F(PoolTest, ACrashFailsTheInvocationAndTheInstanceIsStartedAnew) {
  open(options());
  InvocationOutcome outcome = outcome_of("crash now");
  EXPECT_EQ(outcome.end, InvocationEnd::kCrash);
  EXPECT_EQ(outcome.text, "Runtime exited with error: exit status 3");
  outcome = outcome_of("abort now");
  EXPECT_EQ(outcome.text, "Runtime exited with error: signal: Aborted");
  EXPECT_EQ(outcome_of("echo on").text, "echo on");
  EXPECT_EQ(pool_->counters().crashes, 2);
  EXPECT_EQ(pool_->counters().cold_starts, 3);
}

TEST_F(PoolTest, OneThatTakesTooLongIsKilledAndStartedAnew) {
  FunctionPoolOptions with = options();
  with.timeout = Millis{300};
  with.init_timeout = kPatience;
  open(with);
  const InvocationOutcome outcome = outcome_of("hang");
  EXPECT_EQ(outcome.end, InvocationEnd::kTimeout);
  EXPECT_EQ(outcome.text, "Task timed out after 0.30 seconds");
  EXPECT_GE(outcome.duration, Millis{300});
  EXPECT_EQ(pool_->counters().timeouts, 1);
  EXPECT_EQ(pool_->counters().crashes, 0);
}

TEST_F(PoolTest, AFunctionThatNeverBeginsFailsTheInvocationItWasStartedFor) {
  FunctionPoolOptions with = options();
  with.environment = {{"PROBE_INIT", "exit"}};
  open(with);
  EXPECT_EQ(outcome_of("echo").text, "before it asked for an invocation: Runtime exited with error: exit status 7");
  with.environment = {{"PROBE_INIT", "error"}};
  open(with);
  const InvocationOutcome outcome = outcome_of("echo");
  EXPECT_EQ(outcome.end, InvocationEnd::kCrash);
  EXPECT_NE(outcome.text.find("no table"), std::string::npos) << outcome.text;
  with.environment = {{"PROBE_INIT", "hang"}};
  with.timeout = Millis{100};
  with.init_timeout = Millis{200};
  open(with);
  EXPECT_EQ(outcome_of("echo").text, "before it asked for an invocation: it did not ask for an invocation in time");
}

TEST_F(PoolTest, AFileThatCannotBeExecutedIsRefusedAtOnce) {
  FunctionPoolOptions with = options();
  with.executable = "/proc/version";
  const auto opened = FunctionPool::open(with, clock_);
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().kind, ErrorKind::kConfiguration);
  EXPECT_NE(opened.error().message.find("/proc/version"), std::string::npos) << opened.error().message;
}

TEST_F(PoolTest, AskingTwiceIsRefusedAsLambdaDoes) {
  open(options());
  EXPECT_EQ(outcome_of("twice").text, "next answered 403");
}

TEST_F(PoolTest, InstancesAreStartedWhileEventsWaitAndWorkSideBySide) {
  FunctionPoolOptions with = options();
  with.instances = 3;
  with.timeout = Millis{600'000};
  open(with);
  submit("hang");
  submit("hang");
  submit("echo third");
  ASSERT_TRUE(tick_until([&] { return !outcomes_.empty(); }));
  EXPECT_EQ(outcomes_.front().text, "echo third");
  EXPECT_EQ(pool_->process_groups().size(), 3u);
  submit("echo fourth");
  ASSERT_TRUE(tick_until([&] { return outcomes_.size() == 2; }));
  EXPECT_EQ(pool_->counters().cold_starts, 3) << "no more than there may be";
}

TEST_F(PoolTest, WhatAFunctionWritesComesAsLines) {
  open(options());
  outcome_of("say one\ntwo");
  ASSERT_TRUE(tick_until([&] { return lines().size() >= 4; }));
  EXPECT_EQ(lines(), (std::vector<std::string>{"0: one", "0: two", "0: one", "0: two"}));
}

TEST_F(PoolTest, IsFrozenBetweenInvocationsIfAskedFor) {
  FunctionPoolOptions with = options();
  with.freeze = true;
  open(with);
  ASSERT_TRUE(tick_until([&] { return process_state(pool_->process_groups().front()) == 'T'; }));
  EXPECT_EQ(outcome_of("echo thawed").text, "echo thawed");
  EXPECT_TRUE(tick_until([&] { return process_state(pool_->process_groups().front()) == 'T'; }));
  const pid_t group = pool_->process_groups().front();
  pool_.reset();
  EXPECT_FALSE(alive(group)) << "a frozen one ends too";
}

TEST_F(PoolTest, NothingIsLeftWhenThePoolEnds) {
  open(options());
  const pid_t child = static_cast<pid_t>(std::stol(outcome_of("spawn").text));
  const pid_t group = pool_->process_groups().front();
  EXPECT_TRUE(alive(group));
  EXPECT_TRUE(alive(child));
  pool_.reset();
  EXPECT_FALSE(alive(group)) << "the pool has waited for it";
  EXPECT_TRUE(ended(child));
}

// The whole owner is killed by SIGKILL, as a crash or the kernel would.
TEST_F(PoolTest, NothingIsLeftWhenTheOwnerIsKilled) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t owner = ::fork();
  if (owner == 0) {
    open(options());
    const std::string told = fmt::format("{} {}\n", pool_->process_groups().front(), outcome_of("spawn").text);
    (void)!::write(ends[1], told.data(), told.size());
    ::pause();
    std::_Exit(0);
  }
  char buffer[64] = {};
  ASSERT_GT(::read(ends[0], buffer, sizeof buffer - 1), 0);
  char* rest = nullptr;
  const auto group = static_cast<pid_t>(std::strtol(buffer, &rest, 10));
  const auto child = static_cast<pid_t>(std::strtol(rest, nullptr, 10));
  EXPECT_TRUE(alive(group));
  EXPECT_TRUE(alive(child));
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
  EXPECT_TRUE(ended(group));
  EXPECT_TRUE(ended(child));
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(PoolTest, SeveralLoopsOfOneInstance) {
  FunctionPoolOptions with = options();
  with.invocations_at_once = 2;
  open(with);
  submit("twice");
  submit("echo for the second loop");
  ASSERT_TRUE(tick_until([&] { return !outcomes_.empty(); }));
  EXPECT_EQ(outcomes_.front().text, "next answered 200") << "a second loop may ask while the first one works";
  EXPECT_EQ(pool_->counters().invocations, 2);
}

TEST(LineSplitter, LinesAcrossPiecesAndTooLongOnes) {
  LineSplitter splitter(8);
  std::vector<std::string> lines;
  const auto sink = [&](std::string_view line) { lines.emplace_back(line); };
  splitter.add("ab", sink);
  splitter.add("c\n\nd", sink);
  splitter.add("efghijkl\nx", sink);
  splitter.finish(sink);
  splitter.finish(sink);
  EXPECT_EQ(lines, (std::vector<std::string>{"abc", "", "defghijk", "l", "x"}));
  lines.clear();
  splitter.add("12345678\n9", sink);
  splitter.finish(sink);
  EXPECT_EQ(lines, (std::vector<std::string>{"12345678", "9"}));
}

}  // namespace
}  // namespace culvert::lambda
