// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/function_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <vector>

#include "model/check.h"

namespace culvert::lambda {

FunctionOutput::FunctionOutput(LineSink sink, std::function<void()> on_end)
    : sink_(std::move(sink)),
      on_end_(std::move(on_end)),
      nudge_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      thread_([this] { work(); }) {
  CULVERT_CHECK(nudge_ >= 0, "no event descriptor");
}

FunctionOutput::~FunctionOutput() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  nudge();
  thread_.join();
  ::close(nudge_);
}

void FunctionOutput::add(int instance, int output, int end_descriptor) {
  {
    const std::lock_guard lock(mutex_);
    added_.push_back(Stream{instance, output});
    const int end = ::fcntl(end_descriptor, F_DUPFD_CLOEXEC, 0);
    if (end >= 0) added_ends_.push_back(end);
  }
  nudge();
}

void FunctionOutput::nudge() const {
  const std::uint64_t one = 1;
  (void)!::write(nudge_, &one, sizeof one);  // full means that it is nudged already
}

bool FunctionOutput::drain(Stream& stream) {
  std::array<char, 64 << 10> buffer;
  const auto sink = [&](std::string_view line) { sink_(stream.instance, line); };
  while (true) {
    const ssize_t got = ::read(stream.descriptor, buffer.data(), buffer.size());
    if (got > 0) {
      stream.lines.add({buffer.data(), static_cast<std::size_t>(got)}, sink);
    } else if (got < 0 && errno == EINTR) {
      continue;
    } else {
      if (got < 0 && errno == EAGAIN) return true;
      stream.lines.finish(sink);
      return false;
    }
  }
}

void FunctionOutput::work() {
  bool stopping = false;
  while (!stopping) {
    {
      const std::lock_guard lock(mutex_);
      streams_.splice(streams_.end(), added_);
      ends_awaited_.splice(ends_awaited_.end(), added_ends_);
      stopping = stopping_;
    }
    std::vector<pollfd> waiting{{nudge_, POLLIN, 0}};
    for (const Stream& stream : streams_) waiting.push_back({stream.descriptor, POLLIN, 0});
    for (const int end : ends_awaited_) waiting.push_back({end, POLLIN, 0});
    ::poll(waiting.data(), waiting.size(), stopping ? 0 : -1);
    std::uint64_t count = 0;
    (void)!::read(nudge_, &count, sizeof count);
    std::size_t at = 1;
    for (auto it = streams_.begin(); it != streams_.end(); ++at) {
      const bool goes_on = waiting[at].revents == 0 || drain(*it);
      if (!goes_on) ::close(it->descriptor);
      it = goes_on ? std::next(it) : streams_.erase(it);
    }
    for (auto it = ends_awaited_.begin(); it != ends_awaited_.end(); ++at) {
      const bool ended = waiting[at].revents != 0;
      if (ended) ::close(*it);
      it = ended ? ends_awaited_.erase(it) : std::next(it);
      if (ended) on_end_();
    }
  }
  for (Stream& stream : streams_) {
    stream.lines.finish([&](std::string_view line) { sink_(stream.instance, line); });
    ::close(stream.descriptor);
  }
  for (const int end : ends_awaited_) ::close(end);
}

}  // namespace culvert::lambda
