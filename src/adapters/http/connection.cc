// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstring>
#include <utility>

#include "adapters/http/chunk_guard.h"

namespace culvert::http {

namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 64 << 10;

void append_request(const Request& request, const Endpoint& endpoint, const std::string& user_agent, std::string& out) {
  out.clear();
  out.append(request.method).append(" ").append(request.target).append(" HTTP/1.1\r\nHost: ");
  out.append(endpoint.authority()).append("\r\n");
  for (const Header& header : request.headers) out.append(header.name).append(": ").append(header.value).append("\r\n");
  if (!user_agent.empty()) out.append("User-Agent: ").append(user_agent).append("\r\n");
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) {
    out.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
  }
  out.append("\r\n").append(request.body);
}

}  // namespace

SteadyTime deadline_after(SteadyTime now, std::chrono::milliseconds timeout) {
  return timeout == kNoTimeout ? SteadyTime::max() : now + timeout;
}

void Connection::open(std::vector<Address> addresses, std::size_t first, TlsContext* tls) {
  addresses_ = std::move(addresses);
  addresses_left_ = addresses_.size();
  next_address_ = first % addresses_.size();
  tls_context_ = tls;
  opened_until_ = steady_clock::now() + options_.connect_timeout;
  connect_next();
}

void Connection::connect_next() {
  const auto now = steady_clock::now();
  while (addresses_left_ > 0 && now < opened_until_) {
    const Address address = addresses_[next_address_];
    next_address_ = (next_address_ + 1) % addresses_.size();
    // The time that is left is shared, so that one dead address leaves time for the others.
    deadline_ = now + (opened_until_ - now) / static_cast<int>(addresses_left_);
    --addresses_left_;
    sockaddr_storage to{};
    const socklen_t bytes = to_sockaddr(address, endpoint_.port, to);
    asio::ip::tcp::endpoint peer;
    peer.resize(bytes);
    std::memcpy(peer.data(), &to, bytes);
    error_code error;
    socket_.close(error);
    ++attempt_;
    if (socket_.open(peer.protocol(), error) || socket_.non_blocking(true, error)) {
      last_error_ = error.message();
      continue;
    }
    const error_code no_delay = socket_.set_option(asio::ip::tcp::no_delay(true), error);
    if (no_delay) last_error_ = no_delay.message();
    state_ = State::kConnecting;
    socket_.async_connect(
        peer, [self = shared_from_this(), attempt = attempt_, address, protocol = peer.protocol()](error_code failed) {
          if (attempt != self->attempt_ || self->closed()) return;
          if (!failed) failed = self->watch_for_reading_only(protocol);
          if (failed) {
            self->last_error_ = fmt::format("{}: {}", address.text(), failed.message());
            self->connect_next();
          } else {
            self->connected();
          }
        });
    return;
  }
  // Reported later: the caller may be the pool, in the middle of opening several.
  asio::post(io_, [self = shared_from_this()] {
    if (!self->closed()) self->fail_opening(self->last_error_.empty() ? "no connection in time" : self->last_error_);
  });
}

// Once Asio has waited until a socket can be written to, which connecting is, it asks for that with every later wait as
// well: each wait for a response would end at once, for nothing, and begin again.  Registered anew it asks for reading.
error_code Connection::watch_for_reading_only(const asio::ip::tcp& protocol) {
  error_code error;
  const auto handle = socket_.release(error);
  if (!error) socket_.assign(protocol, handle, error);
  return error;
}

void Connection::connected() {
  if (tls_context_ == nullptr) {
    become_ready();
    return;
  }
  tls_ = tls_context_->connect(socket_.native_handle(), endpoint_.host);
  if (!tls_) {
    fail_opening("TLS cannot be set up");
    return;
  }
  state_ = State::kHandshake;
  deadline_ = steady_clock::now() + options_.tls_timeout;
  step_handshake();
}

void Connection::step_handshake() {
  const IoResult result = tls_->handshake();
  switch (result.status) {
    case IoStatus::kDone:
      become_ready();
      break;
    case IoStatus::kWantRead:
      wait_readable();
      break;
    case IoStatus::kWantWrite:
      wait_writable();
      break;
    case IoStatus::kEnd:
    case IoStatus::kFailed:
      fail_opening("TLS handshake: " + (result.error.empty() ? "connection closed" : result.error));
      break;
  }
}

void Connection::become_ready() {
  state_ = State::kIdle;
  idle_since_ = steady_clock::now();
  deadline_ = idle_since_ + options_.idle_most;
  wait_readable();
  listener_.ready(*this);
}

bool Connection::still_open(SteadyTime now) {
  if (now >= deadline_) return false;
  // Under load a connection is used again at once, and asking the kernel each time would cost a tenth of a request.
  constexpr std::chrono::milliseconds kTrusted{1};
  if (now - idle_since_ < kTrusted) return true;
  char byte = 0;
  const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0 || !tls_) return false;  // plain bytes nobody asked for are wrong
  read_more();                          // a session ticket, or the alert that says that it was closed
  return idle();
}

void Connection::start(ExchangePtr exchange) {
  CULVERT_CHECK(idle(), "an exchange on a connection that is not idle");
  exchange_ = std::move(exchange);
  state_ = State::kBusy;
  deadline_ = deadline_after(steady_clock::now(), exchange_->request.timeout.value_or(options_.request_timeout));
  append_request(exchange_->request, endpoint_, options_.user_agent, out_);
  sent_bytes_ = 0;
  unparsed_.clear();
  reader_.emplace(options_.header_bytes_most, options_.body_bytes_most, exchange_->request.method == "HEAD");
  wait_readable();
  write_more();
}

IoResult Connection::read_some(std::span<char> into) {
  if (tls_) return tls_->read(into);
  while (true) {
    const ssize_t got = ::recv(socket_.native_handle(), into.data(), into.size(), 0);
    if (got > 0) return {IoStatus::kDone, static_cast<std::size_t>(got), {}};
    if (got == 0) return {IoStatus::kEnd, 0, {}};
    if (errno == EAGAIN) return {IoStatus::kWantRead, 0, {}};
    if (errno != EINTR) return {IoStatus::kFailed, 0, std::strerror(errno)};
  }
}

IoResult Connection::write_some(std::span<const char> from) {
  if (tls_) return tls_->write(from);
  while (true) {
    const ssize_t sent = ::send(socket_.native_handle(), from.data(), from.size(), MSG_NOSIGNAL);
    if (sent >= 0) return {IoStatus::kDone, static_cast<std::size_t>(sent), {}};
    if (errno == EAGAIN) return {IoStatus::kWantWrite, 0, {}};
    if (errno != EINTR) return {IoStatus::kFailed, 0, std::strerror(errno)};
  }
}

void Connection::write_more() {
  while (state_ == State::kBusy && sent_bytes_ < out_.size()) {
    const IoResult result = write_some(std::span<const char>(out_).subspan(sent_bytes_));
    switch (result.status) {
      case IoStatus::kDone:
        sent_bytes_ += result.bytes;
        break;
      case IoStatus::kWantRead:
        return;  // a readable wait is always pending, and on_event() comes back here
      case IoStatus::kWantWrite:
        wait_writable();
        return;
      case IoStatus::kEnd:
      case IoStatus::kFailed: {
        if (sent_bytes_ > 0) {
          // The server may have answered before it closed (413, 400): what it said is worth more than our EPIPE.
          return;
        }
        auto exchange = take_exchange();
        close();
        listener_.not_started(*this, std::move(exchange));
        return;
      }
    }
  }
}

void Connection::on_event() {
  if (state_ == State::kHandshake) {
    step_handshake();
    return;
  }
  if (state_ == State::kBusy && sent_bytes_ < out_.size()) write_more();
  if (!closed()) read_more();
}

void Connection::read_more() {
  // Not an array of the thread's own storage: every thread of the program would then begin by clearing it.
  static thread_local const auto buffer = std::make_unique_for_overwrite<std::array<char, kReadBytes>>();
  while (!closed()) {
    const IoResult result = read_some(*buffer);
    switch (result.status) {
      case IoStatus::kDone:
        if (state_ == State::kIdle) {  // nobody asked for this
          close();
          listener_.idle_closed(*this);
          return;
        }
        if (!feed({buffer->data(), result.bytes})) return;
        break;
      case IoStatus::kWantRead:
        wait_readable();
        return;
      case IoStatus::kWantWrite:
        wait_writable();
        return;
      case IoStatus::kEnd:
        on_end_of_stream("the server closed the connection");
        return;
      case IoStatus::kFailed:
        on_end_of_stream(result.error);
        return;
    }
  }
}

// Returns true if more is to be read for the same response.
bool Connection::feed(std::string_view bytes) {
  const bool joined = !unparsed_.empty();
  if (joined) unparsed_.append(bytes);
  std::string_view rest = joined ? std::string_view(unparsed_) : bytes;
  while (!rest.empty() && !reader_->is_done() && !awaits_more(*reader_, rest.size())) {
    error_code error;
    const std::size_t used = reader_->put(asio::const_buffer(rest.data(), rest.size()), error);
    rest.remove_prefix(used);
    if (error == boost::beast::http::error::need_more) {
      if (used == 0) break;
    } else if (error) {
      fail(ErrorKind::kUnavailable, fmt::format("a response that cannot be read: {}", error.message()));
      return false;
    }
    const int status = reader_->response().status;
    if (reader_->is_done() && status >= 100 && status < 200) {  // an interim response: the real one follows
      reader_.emplace(options_.header_bytes_most, options_.body_bytes_most, exchange_->request.method == "HEAD");
    }
  }
  if (reader_->is_done()) {
    finish_response(rest.size());
    return false;
  }
  // What is left over is a part of a header, of a chunk's header or of a trailer.
  if (rest.size() > options_.header_bytes_most) {
    fail(ErrorKind::kUnavailable,
         fmt::format("a response header or trailer above {} bytes", options_.header_bytes_most));
    return false;
  }
  unparsed_ = std::string(rest);
  return true;
}

void Connection::finish_response(std::size_t unread_bytes) {
  auto exchange = take_exchange();
  Outcome outcome{std::move(reader_->response())};
  const bool reusable = reader_->keep_alive() && unread_bytes == 0 && sent_bytes_ == out_.size();
  reader_.reset();
  if (reusable) {
    state_ = State::kIdle;
    idle_since_ = steady_clock::now();
    deadline_ = idle_since_ + options_.idle_most;
    wait_readable();
  } else {
    close();
  }
  listener_.finished(*this, std::move(exchange), std::move(outcome));
}

void Connection::on_end_of_stream(const std::string& why) {
  if (state_ == State::kIdle) {
    close();
    listener_.idle_closed(*this);
    return;
  }
  if (reader_ && reader_->is_header_done() && reader_->need_eof() && why == "the server closed the connection") {
    error_code error;
    reader_->put_eof(error);
    if (!error && reader_->is_done()) {
      finish_response(0);
      return;
    }
  }
  const bool began = reader_ && reader_->got_some();
  fail(ErrorKind::kUnavailable, fmt::format("{} {}", why, began ? "in mid-response" : "before any response"));
}

void Connection::fail(ErrorKind kind, const std::string& what) {
  auto exchange = take_exchange();
  const bool sent = maybe_sent();
  close();
  listener_.finished(*this, std::move(exchange),
                     Failure{Error::retriable_error(kind, fmt::format("{}: {}", endpoint_.text(), what)), sent});
}

void Connection::fail_opening(const std::string& what) {
  close();
  listener_.not_connected(*this, Error::retriable_error(ErrorKind::kUnavailable,
                                                        fmt::format("{}: cannot connect: {}", endpoint_.text(), what)));
}

void Connection::check(SteadyTime now) {
  if (closed() || now < deadline_) return;
  switch (state_) {
    case State::kConnecting:
      last_error_ = "no answer in time";
      connect_next();
      break;
    case State::kHandshake:
      fail_opening("TLS handshake: no answer in time");
      break;
    case State::kIdle:
      close();
      listener_.idle_closed(*this);
      break;
    case State::kBusy:
      fail(ErrorKind::kUnavailable, "no response in time");
      break;
    case State::kClosed:
      break;
  }
}

void Connection::close() {
  state_ = State::kClosed;
  ++attempt_;
  tls_.reset();  // no closing alert: the exchange's end is told by HTTP, and the peer may be gone
  error_code error;
  socket_.close(error);
}

void Connection::wait_readable() {
  if (waiting_readable_ || closed()) return;
  waiting_readable_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_read,
                     [self = shared_from_this(), attempt = attempt_](const error_code& error) {
                       if (attempt != self->attempt_ || error == asio::error::operation_aborted) return;
                       self->waiting_readable_ = false;
                       self->on_event();
                     });
}

void Connection::wait_writable() {
  if (waiting_writable_ || closed()) return;
  waiting_writable_ = true;
  socket_.async_wait(asio::ip::tcp::socket::wait_write,
                     [self = shared_from_this(), attempt = attempt_](const error_code& error) {
                       if (attempt != self->attempt_ || error == asio::error::operation_aborted) return;
                       self->waiting_writable_ = false;
                       self->on_event();
                     });
}

}  // namespace culvert::http
