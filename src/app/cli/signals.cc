// SPDX-License-Identifier: Apache-2.0
#include "app/cli/signals.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "model/check.h"

namespace culvert {

namespace {

std::atomic<int> g_event_descriptor{-1};
std::atomic<bool> g_requested{false};
static_assert(std::atomic<bool>::is_always_lock_free && std::atomic<int>::is_always_lock_free,
              "signal handlers may touch lock-free atomics only");

void raise_flag() {
  g_requested.store(true);
  const std::uint64_t one = 1;
  // The counter cannot be full after one increment, so there is no outcome to look at.
  [[maybe_unused]] const ssize_t written = ::write(g_event_descriptor.load(), &one, sizeof one);
}

extern "C" void on_signal(int signal_number) {
  const int saved_errno = errno;
  // 128 + n by _exit rather than by the signal's default action: as process 1 of a container that would be ignored.
  if (g_requested.load()) ::_exit(128 + signal_number);
  raise_flag();
  errno = saved_errno;
}

std::atomic<bool> g_state_wanted{false};

extern "C" void on_state_signal(int) { g_state_wanted.store(true); }

void install(int signal_number, void (*handler)(int)) {
  struct sigaction action {};
  action.sa_handler = handler;
  ::sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  CULVERT_CHECK(::sigaction(signal_number, &action, nullptr) == 0, "sigaction failed for a constant signal");
}

}  // namespace

bool StopFlag::wait_ms(int milliseconds) const {
  pollfd event{descriptor(), POLLIN, 0};
  ::poll(&event, 1, milliseconds);
  return requested();
}

StopSignals::StopSignals() {
  CULVERT_CHECK(g_event_descriptor.load() == -1, "two StopSignals at a time");
  g_requested.store(false);
  g_event_descriptor.store(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  CULVERT_CHECK(g_event_descriptor.load() >= 0, "eventfd failed: no descriptors left at start");
  install(SIGTERM, on_signal);
  install(SIGINT, on_signal);
  // A reader that went away is an error of the write, handled where the writing is.
  install(SIGPIPE, SIG_IGN);
}

StopSignals::~StopSignals() {
  install(SIGTERM, SIG_DFL);
  install(SIGINT, SIG_DFL);
  ::close(g_event_descriptor.exchange(-1));
}

bool StopSignals::requested() const { return g_requested.load(std::memory_order_relaxed); }

int StopSignals::descriptor() const { return g_event_descriptor.load(); }

void StopSignals::request() { raise_flag(); }

StateSignal::StateSignal() { install(SIGUSR1, on_state_signal); }

// Ignored from here on: a question that comes too late must not end what is stopping in order.
StateSignal::~StateSignal() { install(SIGUSR1, SIG_IGN); }

bool StateSignal::take() { return g_state_wanted.exchange(false); }

}  // namespace culvert
