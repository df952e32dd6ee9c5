// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/process_guard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

namespace culvert::lambda {

namespace {

// Runs in the guard, which is a fork of a process with threads: only async-signal-safe calls, no allocation.
[[noreturn]] void guard(int pipe) {
  // A message is a group's number, negative when it is to be forgotten.
  static std::array<pid_t, ProcessGuard::kGroupsMost> groups;
  std::size_t count = 0;
  while (true) {
    pid_t message = 0;
    const ssize_t got = ::read(pipe, &message, sizeof message);
    if (got < 0 && errno == EINTR) continue;
    if (got != static_cast<ssize_t>(sizeof message)) break;  // the parent is gone
    if (message > 0 && count < groups.size()) {
      groups[count++] = message;
    } else if (message < 0) {
      auto* const end = groups.data() + count;
      auto* const found = std::find(groups.data(), end, -message);
      if (found != end) *found = groups[--count];
    }
  }
  for (std::size_t i = 0; i < count; ++i) ::kill(-groups[i], SIGKILL);
  ::_exit(0);
}

[[noreturn]] void become_guard(int pipe) {
  // Out of reach of what a terminal sends to the foreground, and of a supervisor that signals the whole group.
  ::setsid();
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(number, SIG_IGN);
  // Nothing else of the parent is kept open: a reader of its output must see the end when the parent ends.
  constexpr int kPipe = 3;
  if (pipe != kPipe) {
    ::dup2(pipe, kPipe);
    ::close(pipe);
  }
  ::close_range(kPipe + 1, ~0U, 0);
  const int null = ::open("/dev/null", O_RDWR);
  for (const int descriptor : {0, 1, 2}) {
    if (null >= 0) ::dup2(null, descriptor);
  }
  guard(kPipe);
}

}  // namespace

Result<std::unique_ptr<ProcessGuard>> ProcessGuard::start() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return Error::fatal(ErrorKind::kIo, fmt::format("a pipe cannot be made: {}", std::strerror(errno)));
  }
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close(ends[1]);
    become_guard(ends[0]);
  }
  ::close(ends[0]);
  if (pid < 0) {
    ::close(ends[1]);
    return Error::retriable_error(ErrorKind::kTryAgain,
                                  fmt::format("no process can be started: {}", std::strerror(errno)));
  }
  return std::unique_ptr<ProcessGuard>(new ProcessGuard(pid, ends[1]));
}

ProcessGuard::~ProcessGuard() {
  ::close(pipe_);
  while (::waitpid(guard_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void ProcessGuard::watch(pid_t group) { tell(group); }
void ProcessGuard::forget(pid_t group) { tell(-group); }

// A guard that somebody has killed takes no message; functions are then left to PR_SET_PDEATHSIG alone.
void ProcessGuard::tell(pid_t message) const {
  while (::write(pipe_, &message, sizeof message) < 0 && errno == EINTR) {
  }
}

}  // namespace culvert::lambda
