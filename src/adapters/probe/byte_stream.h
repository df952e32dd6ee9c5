// SPDX-License-Identifier: Apache-2.0
// One TCP connection of a probe, plain or inside TLS, with a deadline for every step.
//
// Flow    broker_probe, tls_probe -> [Socket, ByteStream] -> kernel.
// Owner   one probe, on one thread.
// Time    monotonic clock; nothing waits beyond the deadline it is given.
// Bounds  as many bytes as the caller asks for.
// See     tls_probe.h for the stream inside TLS.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>

#include "adapters/http/address.h"

namespace culvert::probe {

using Deadline = std::chrono::steady_clock::time_point;

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  Socket(Socket&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Socket& operator=(Socket&& other) noexcept;
  ~Socket();

  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

enum class TcpFault : std::uint8_t {
  kNone,
  kRefused,       // a reset in answer to the first packet: the machine is there, the port is closed
  kTimedOut,      // no answer at all: dropped on the way
  kUnreachable,   // a router or this machine says that there is no way
  kClosedAtOnce,  // accepted, then closed before a byte came, whatever was said
  kOther,
};

struct TcpReport {
  TcpFault fault = TcpFault::kOther;
  std::string detail{};     // the system's words; empty without a fault
  http::Address address{};  // that answered, or the last one tried
  std::chrono::milliseconds took{0};
};

// What an errno of connect(), or the error pending on the socket after it, says of the way.  A reset right behind the
// accept may already be there when connect() returns.
[[nodiscard]] TcpFault tcp_fault(int error);

// Non-blocking, with Nagle's algorithm off.  Closed unless `report.fault` is kNone.
[[nodiscard]] Socket connect_tcp(const http::Address& address, std::uint16_t port, Deadline until, TcpReport& report);

enum class IoEnd : std::uint8_t {
  kDone,
  kEnd,    // the other side ended the stream in order
  kReset,  // connection reset or broken
  kTimedOut,
  kAlert,  // TLS only: `detail` says which
};

struct IoOutcome {
  IoEnd end = IoEnd::kTimedOut;
  std::size_t bytes = 0;  // moved before the end
  std::string detail{};
};

class ByteStream {
 public:
  ByteStream() = default;
  ByteStream(const ByteStream&) = delete;
  ByteStream& operator=(const ByteStream&) = delete;
  virtual ~ByteStream() = default;

  // All of it, or the reason why not.
  [[nodiscard]] virtual IoOutcome write(std::span<const std::uint8_t> bytes, Deadline until) = 0;
  [[nodiscard]] virtual IoOutcome read(std::span<std::uint8_t> bytes, Deadline until) = 0;
};

class PlainStream final : public ByteStream {
 public:
  explicit PlainStream(const Socket& socket) : fd_(socket.fd()) {}
  [[nodiscard]] IoOutcome write(std::span<const std::uint8_t> bytes, Deadline until) override;
  [[nodiscard]] IoOutcome read(std::span<std::uint8_t> bytes, Deadline until) override;

 private:
  int fd_;
};

// Waits for POLLIN or POLLOUT; false: the time is over.
[[nodiscard]] bool wait_for(int fd, short events, Deadline until);

}  // namespace culvert::probe
