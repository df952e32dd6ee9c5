// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/function_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

namespace culvert::lambda {

namespace {

struct Pipe {
  int reading = -1;
  int writing = -1;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return Error::retriable_error(ErrorKind::kTryAgain, fmt::format("a pipe cannot be made: {}", std::strerror(errno)));
  }
  return Pipe{ends[0], ends[1]};
}

void close_both(const Pipe& pipe) {
  ::close(pipe.reading);
  ::close(pipe.writing);
}

std::vector<char*> pointers(const std::vector<std::string>& texts) {
  std::vector<char*> result;
  result.reserve(texts.size() + 1);
  // execve does not change what it is given.
  for (const std::string& text : texts) result.push_back(const_cast<char*>(text.c_str()));  // NOLINT
  result.push_back(nullptr);
  return result;
}

// Runs in the child of a process with threads: only async-signal-safe calls.
[[noreturn]] void become_function(const char* path, const char* directory, char* const* arguments,
                                  char* const* environment, pid_t parent, int output, int complaint) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(125);  // it died in between, and the signal will not come
  struct sigaction plain {};
  plain.sa_handler = SIG_DFL;
  for (int number = 1; number < NSIG; ++number) ::sigaction(number, &plain, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const int null = ::open("/dev/null", O_RDONLY);
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0 || ::chdir(directory) != 0) {
    const int why = errno;
    (void)!::write(complaint, &why, sizeof why);
    ::_exit(126);
  }
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  ::execve(path, arguments, environment);
  const int why = errno;
  (void)!::write(complaint, &why, sizeof why);
  ::_exit(127);
}

std::string end_text(int status) {
  if (WIFEXITED(status)) return fmt::format("exit status {}", WEXITSTATUS(status));
  const char* name = ::sigdescr_np(WTERMSIG(status));
  return fmt::format("signal: {}", name != nullptr ? name : "unknown");
}

}  // namespace

Result<std::unique_ptr<FunctionProcess>> FunctionProcess::start(const FunctionCommand& command) {
  const auto output = make_pipe();
  if (!output) return output.error();
  const auto complaint = make_pipe();
  if (!complaint) {
    close_both(*output);
    return complaint.error();
  }
  const std::vector<std::string> words{command.path};
  const std::vector<char*> arguments = pointers(words);
  const std::vector<char*> environment = pointers(command.environment);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    become_function(command.path.c_str(), command.directory.c_str(), arguments.data(), environment.data(), parent,
                    output->writing, complaint->writing);
  }
  const int fork_error = errno;
  ::close(output->writing);
  ::close(complaint->writing);
  if (pid < 0) {
    ::close(output->reading);
    ::close(complaint->reading);
    return Error::retriable_error(ErrorKind::kTryAgain,
                                  fmt::format("no process can be started: {}", std::strerror(fork_error)));
  }
  ::setpgid(pid, pid);  // the child does it too; whoever is first
  int why = 0;
  ssize_t got = 0;
  do got = ::read(complaint->reading, &why, sizeof why);
  while (got < 0 && errno == EINTR);
  ::close(complaint->reading);
  // Not glibc's wrapper: the header of 2.36 declares it without C linkage.
  const int end = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (got == static_cast<ssize_t>(sizeof why) || end < 0) {
    if (end >= 0) ::close(end);
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    ::close(output->reading);
    return Error::fatal(ErrorKind::kConfiguration,
                        fmt::format("function '{}': cannot be started: {} (it must be executable here: right "
                                    "architecture, interpreter and permissions)",
                                    command.path, std::strerror(got > 0 ? why : errno)));
  }
  ::fcntl(output->reading, F_SETFL, O_NONBLOCK);
  return std::unique_ptr<FunctionProcess>(new FunctionProcess(pid, output->reading, end));
}

FunctionProcess::~FunctionProcess() {
  kill();
  while (!ended_ && !wait(Millis{1'000})) {
  }
  ::close(end_);
  if (output_ >= 0) ::close(output_);
}

int FunctionProcess::take_output() { return std::exchange(output_, -1); }

const std::optional<std::string>& FunctionProcess::ended() {
  if (ended_) return ended_;
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid != pid_) {
    return ended_;
  }
  // Whatever it has started goes with it, as with a sandbox.  Not later: once it is waited for, the group's number may
  // become somebody else's.
  signal_group(SIGKILL);
  int status = 0;
  ::waitpid(pid_, &status, 0);
  ended_ = end_text(status);
  return ended_;
}

void FunctionProcess::signal_group(int number) const { ::kill(-pid_, number); }

void FunctionProcess::freeze() {
  if (!ended_) signal_group(SIGSTOP);
}

void FunctionProcess::thaw() {
  if (!ended_) signal_group(SIGCONT);
}

void FunctionProcess::terminate() {
  if (ended_) return;
  signal_group(SIGTERM);
  signal_group(SIGCONT);
}

void FunctionProcess::kill() {
  if (!ended_) signal_group(SIGKILL);
}

bool FunctionProcess::wait(Millis most) {
  if (ended()) return true;
  pollfd waiting{end_, POLLIN, 0};
  ::poll(&waiting, 1, static_cast<int>(most.count()));
  return ended().has_value();
}

}  // namespace culvert::lambda
