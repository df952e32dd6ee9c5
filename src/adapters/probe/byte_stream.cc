// SPDX-License-Identifier: Apache-2.0
#include "adapters/probe/byte_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace culvert::probe {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

int pending_error(int fd) {
  int error = 0;
  socklen_t bytes = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) == 0 ? error : errno;
}

IoOutcome broken(std::size_t bytes) {
  const int error = errno;
  return {IoEnd::kReset, bytes, std::strerror(error)};
}

}  // namespace

TcpFault tcp_fault(int error) {
  switch (error) {
    case 0:
      return TcpFault::kNone;
    case ECONNREFUSED:
      return TcpFault::kRefused;
    case ETIMEDOUT:
      return TcpFault::kTimedOut;
    case ENETUNREACH:
    case EHOSTUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:  // a rule of this machine's own firewall
      return TcpFault::kUnreachable;
    case EPIPE:  // a FIN, then a reset
    case ECONNRESET:
    case ECONNABORTED:  // so does connect() call a connection that came and went while it was called
      return TcpFault::kClosedAtOnce;
    default:
      return TcpFault::kOther;
  }
}

Socket& Socket::operator=(Socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

Socket::~Socket() {
  if (fd_ >= 0) ::close(fd_);
}

bool wait_for(int fd, short events, Deadline until) {
  while (true) {
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    if (left.count() <= 0) return false;
    pollfd p{fd, events, 0};
    const int ready = ::poll(&p, 1, static_cast<int>(std::min<std::int64_t>(left.count(), 60'000)));
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return true;  // the next call on the descriptor says what is wrong
  }
}

Socket connect_tcp(const http::Address& address, std::uint16_t port, Deadline until, TcpReport& report) {
  const auto begin = Clock::now();
  report = TcpReport{};
  report.address = address;
  sockaddr_storage to{};
  const socklen_t bytes = http::to_sockaddr(address, port, to);
  Socket socket(::socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int error = socket.open() ? 0 : errno;
  if (error == 0) {
    const int on = 1;
    ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);  // only a matter of speed
    if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&to), bytes) != 0) error = errno;
  }
  if (error == EINPROGRESS) error = wait_for(socket.fd(), POLLOUT, until) ? pending_error(socket.fd()) : ETIMEDOUT;
  report.took = std::chrono::duration_cast<milliseconds>(Clock::now() - begin);
  report.fault = tcp_fault(error);
  if (error == 0) return socket;
  report.detail = std::strerror(error);
  return Socket{};
}

IoOutcome PlainStream::write(std::span<const std::uint8_t> bytes, Deadline until) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t sent = ::send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent > 0) {
      done += static_cast<std::size_t>(sent);
    } else if (errno == EAGAIN) {
      if (!wait_for(fd_, POLLOUT, until)) return {IoEnd::kTimedOut, done, {}};
    } else if (errno != EINTR) {
      return broken(done);
    }
  }
  return {IoEnd::kDone, done, {}};
}

IoOutcome PlainStream::read(std::span<std::uint8_t> bytes, Deadline until) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::recv(fd_, bytes.data() + done, bytes.size() - done, 0);
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (got == 0) {
      return {IoEnd::kEnd, done, "closed by the other side"};
    } else if (errno == EAGAIN) {
      if (!wait_for(fd_, POLLIN, until)) return {IoEnd::kTimedOut, done, {}};
    } else if (errno != EINTR) {
      return broken(done);
    }
  }
  return {IoEnd::kDone, done, {}};
}

}  // namespace culvert::probe
