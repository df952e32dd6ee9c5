// SPDX-License-Identifier: Apache-2.0
// One keep-alive connection: connect, TLS, then one exchange after the other.
//
// Flow    Client's pool -> [Connection] -> kernel; outcomes go back through Listener.  Internal to adapters/http.
// Owner   the pool; a pending wait keeps the object alive until it ends.  Used on the I/O thread only.
// Time    deadlines are kept here and looked at by check(), which the client calls every few milliseconds: one timer
//         for all connections instead of one re-armed for each request.
// Bounds  one exchange at a time (no pipelining).
// See     client.h.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/http/address.h"
#include "adapters/http/client.h"
#include "adapters/http/message.h"
#include "adapters/http/response_reader.h"
#include "adapters/http/tls.h"

namespace culvert::http {

using SteadyTime = std::chrono::steady_clock::time_point;

struct Exchange {
  Request request;
  Callback callback;
  SteadyTime queued_until;
};
using ExchangePtr = std::unique_ptr<Exchange>;

// `now` plus a time-out that may be kNoTimeout.
[[nodiscard]] SteadyTime deadline_after(SteadyTime now, std::chrono::milliseconds timeout);

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  class Listener {
   public:
    Listener() = default;
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    // Connected and idle.
    virtual void ready(Connection& connection) = 0;
    // Closed before it was ready.
    virtual void not_connected(Connection& connection, Error error) = 0;
    // The exchange is over; the connection is idle, or closed.
    virtual void finished(Connection& connection, ExchangePtr exchange, Outcome outcome) = 0;
    // No byte of the exchange left on this connection, which is closed: it may go to another one.
    virtual void not_started(Connection& connection, ExchangePtr exchange) = 0;
    // Closed while idle.
    virtual void idle_closed(Connection& connection) = 0;

   protected:
    ~Listener() = default;
  };

  Connection(boost::asio::io_context& io, const ClientOptions& options, const Endpoint& endpoint, Listener& listener)
      : io_(io), options_(options), endpoint_(endpoint), listener_(listener), socket_(io) {}

  // Tries the addresses in their order, beginning at `first`.  `tls` is null for plain HTTP.
  void open(std::vector<Address> addresses, std::size_t first, TlsContext* tls);
  // Of an idle connection.  False if the server has closed it, or it has grown old, and the I/O thread has not come to
  // see it yet: a process that was frozen for a while finds requests before its timers have run, and a client without a
  // thread looks only while somebody waits.  The listener may be told meanwhile.
  [[nodiscard]] bool still_open(SteadyTime now);
  // Only when idle.
  void start(ExchangePtr exchange);
  void check(SteadyTime now);
  // Drops the connection; an exchange under way is not reported.
  void close();
  [[nodiscard]] ExchangePtr take_exchange() { return std::move(exchange_); }

  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }
  [[nodiscard]] bool idle() const { return state_ == State::kIdle; }
  [[nodiscard]] bool closed() const { return state_ == State::kClosed; }
  [[nodiscard]] bool opening() const { return state_ == State::kConnecting || state_ == State::kHandshake; }
  [[nodiscard]] bool maybe_sent() const { return sent_bytes_ > 0; }

 private:
  enum class State : std::uint8_t { kConnecting, kHandshake, kIdle, kBusy, kClosed };

  void connect_next();
  boost::system::error_code watch_for_reading_only(const boost::asio::ip::tcp& protocol);
  void connected();
  void step_handshake();
  void become_ready();
  void on_event();
  void write_more();
  void read_more();
  bool feed(std::string_view bytes);
  void finish_response(std::size_t unread_bytes);
  void on_end_of_stream(const std::string& why);
  void fail(ErrorKind kind, const std::string& what);
  void fail_opening(const std::string& what);
  void wait_readable();
  void wait_writable();
  [[nodiscard]] IoResult read_some(std::span<char> into);
  [[nodiscard]] IoResult write_some(std::span<const char> from);

  boost::asio::io_context& io_;
  const ClientOptions& options_;
  const Endpoint& endpoint_;
  Listener& listener_;
  boost::asio::ip::tcp::socket socket_;
  TlsContext* tls_context_ = nullptr;
  std::optional<TlsStream> tls_;

  State state_ = State::kConnecting;
  std::vector<Address> addresses_;
  std::size_t next_address_ = 0;
  std::size_t addresses_left_ = 0;
  std::uint64_t attempt_ = 0;  // tells a wait of an earlier socket from the current one's
  std::string last_error_;
  SteadyTime opened_until_;
  SteadyTime deadline_;
  SteadyTime idle_since_;

  bool waiting_readable_ = false;
  bool waiting_writable_ = false;
  ExchangePtr exchange_;
  std::string out_;
  std::size_t sent_bytes_ = 0;
  std::optional<ResponseReader> reader_;
  std::string unparsed_;
};

}  // namespace culvert::http
