// SPDX-License-Identifier: Apache-2.0
// Does the simulation notice each of the seeded mistakes?
//
// Flow    mutant -> seeds, one after the other, in a process of their own -> the first violation kills the mutant.
// Owner   CTest.
// Time    a bounded number of seeds for each mutant.
// Bounds  a mutant may also run into CULVERT_CHECK; that ends its process, is counted, and kills nothing: what is
// wanted
//         is that the checker sees a wrong table or a broken invariant.
// See     src/model/mutant.h.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>

#include "model/mutant.h"
#include "simulation/simulation.h"

namespace culvert {

Mutant active_mutant = Mutant::kNone;

namespace simulation {
namespace {

constexpr std::uint64_t kSeedsMost = 1500;
constexpr unsigned kSecondsMost = 120;  // of one process, should a mutant loop

struct Verdict {
  std::optional<std::pair<std::uint64_t, std::string>> killed;  // seed, violation
  int aborted = 0;                                              // seeds that ended in CULVERT_CHECK
};

// What a child process has to say: `+seed` when one begins, `!text` when it was violated.
[[noreturn]] void run_child(Mutant mutant, const RunOptions& options, std::uint64_t first, int out) {
  alarm(kSecondsMost);
  if (std::freopen("/dev/null", "w", stderr) == nullptr) _exit(2);
  active_mutant = mutant;
  std::FILE* pipe = fdopen(out, "w");
  for (std::uint64_t seed = first; seed <= kSeedsMost; ++seed) {
    fmt::print(pipe, "+{}\n", seed);
    std::fflush(pipe);
    if (const auto violation = run_seed(seed, options)) {
      fmt::print(pipe, "!{}\n", *violation);
      std::fflush(pipe);
      _exit(0);
    }
  }
  _exit(0);
}

std::string read_all(int in) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (;;) {
    const ssize_t count = read(in, buffer.data(), buffer.size());
    if (count <= 0) return text;
    text.append(buffer.data(), static_cast<std::size_t>(count));
  }
}

// Runs seeds from `first` on in one child; returns the seed to go on with, or nullopt when all is said.
std::optional<std::uint64_t> run_some(Mutant mutant, const RunOptions& options, std::uint64_t first, Verdict& verdict) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) {
    ADD_FAILURE() << "no pipe";
    return std::nullopt;
  }
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    run_child(mutant, options, first, ends[1]);
  }
  close(ends[1]);
  const std::string said = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  const auto last = said.rfind('+');
  const std::uint64_t seed = last == std::string::npos ? first : std::stoull(said.substr(last + 1));
  if (const auto violation = said.find('!', last == std::string::npos ? 0 : last); violation != std::string::npos) {
    verdict.killed = {seed, said.substr(violation + 1)};
    return std::nullopt;
  }
  if (WIFEXITED(status)) {
    EXPECT_EQ(WEXITSTATUS(status), 0) << "the child could not run";
    return std::nullopt;
  }
  ++verdict.aborted;
  return seed + 1;
}

Verdict judge(Mutant mutant, bool end_only) {
  const RunOptions options{.trace = {}, .end_only = end_only};
  Verdict verdict;
  std::optional<std::uint64_t> seed = 1;
  while (seed && *seed <= kSeedsMost) seed = run_some(mutant, options, *seed, verdict);
  return verdict;
}

constexpr std::array kMutants{
    std::pair{Mutant::kUnknownIsSuccess, "UnknownIsSuccess"},
    std::pair{Mutant::kRetryAddsAgain, "RetryAddsAgain"},
    std::pair{Mutant::kFoldStraddling, "FoldStraddling"},
    std::pair{Mutant::kNoHoles, "NoHoles"},
    std::pair{Mutant::kCheckpointFirst, "CheckpointFirst"},
    std::pair{Mutant::kOneFenceForAll, "OneFenceForAll"},
    std::pair{Mutant::kStateByPartition, "StateByPartition"},
    std::pair{Mutant::kConflictIsOurs, "ConflictIsOurs"},
    std::pair{Mutant::kCommitFirst, "CommitFirst"},
    std::pair{Mutant::kCheckpointBackwards, "CheckpointBackwards"},
    std::pair{Mutant::kFloatingPointSum, "FloatingPointSum"},
    std::pair{Mutant::kWatermarkFromZero, "WatermarkFromZero"},
    std::pair{Mutant::kLaterMaximum, "LaterMaximum"},
    std::pair{Mutant::kRedriveAgain, "RedriveAgain"},
    std::pair{Mutant::kRedriveEverywhere, "RedriveEverywhere"},
};

class EveryMutant : public ::testing::TestWithParam<std::pair<Mutant, const char*>> {};
INSTANTIATE_TEST_SUITE_P(Mistakes, EveryMutant, ::testing::ValuesIn(kMutants),
                         [](const auto& one) { return std::string(one.param.second); });

void expect_killed(Mutant mutant, const char* name, bool end_only) {
  const Verdict verdict = judge(mutant, end_only);
  ASSERT_TRUE(verdict.killed) << name << " survives " << kSeedsMost << " seeds (" << verdict.aborted
                              << " ended in CULVERT_CHECK)";
  fmt::print("{} is killed by seed {} ({} before ended in CULVERT_CHECK): {}", name, verdict.killed->first,
             verdict.aborted, verdict.killed->second);
}

TEST_P(EveryMutant, IsSeenByAnInvariant) { expect_killed(GetParam().first, GetParam().second, false); }

// All but the table that is left in the end is overlooked.
TEST_P(EveryMutant, LeavesAWrongTable) {
  if (GetParam().first == Mutant::kCommitFirst) return;  // it harms lag monitors only: the checkpoint decides
  expect_killed(GetParam().first, GetParam().second, true);
}

TEST(NoMutant, Survives) {
  Verdict verdict;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const auto violation = run_seed(seed);
    ASSERT_FALSE(violation) << "seed " << seed << ": " << *violation;
  }
}

}  // namespace
}  // namespace simulation
}  // namespace culvert
