// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/server_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/status.hpp>
#include <cerrno>
#include <utility>

namespace culvert::http {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

constexpr std::size_t kReadBytes = 16 << 10;
constexpr std::size_t kLingerBytesMost = 1 << 20;
constexpr std::chrono::milliseconds kLinger{1'000};
// A client that has shut its sending side may still want the answer, if it comes at once.
constexpr std::chrono::milliseconds kHalfClosedMost{500};

bool one_line(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return c == '\r' || c == '\n' || c == '\0'; });
}

bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

}  // namespace

// ------------------------------------------------------------------------------------------------------ ResponseLink

template <class Call>
void ResponseLink::post(Call call) {
  asio::post(*io_, [session = session_, call = std::move(call)]() mutable {
    if (const auto here = session.lock()) call(*here);
  });
}

bool ResponseLink::respond(ServerResponse response) {
  const std::lock_guard lock(mutex_);
  if (io_ == nullptr || phase_ != Phase::kWaiting) return false;
  phase_ = Phase::kAnswered;
  post([response = std::move(response)](ServerSession& session) mutable { session.respond(std::move(response)); });
  return true;
}

bool ResponseLink::begin(int status, std::vector<Header> headers) {
  const std::lock_guard lock(mutex_);
  if (io_ == nullptr || phase_ != Phase::kWaiting) return false;
  phase_ = Phase::kStreaming;
  post([status, headers = std::move(headers)](ServerSession& session) { session.begin_stream(status, headers); });
  return true;
}

bool ResponseLink::write(std::string bytes) {
  const std::lock_guard lock(mutex_);
  if (io_ == nullptr || phase_ != Phase::kStreaming) return false;
  if (bytes.empty()) return true;
  if (unsent_bytes_ + bytes.size() > stream_bytes_most_) {
    phase_ = Phase::kAnswered;
    post([](ServerSession& session) { session.drop(); });
    return false;
  }
  unsent_bytes_ += bytes.size();
  post([bytes = std::move(bytes)](ServerSession& session) mutable { session.stream(std::move(bytes)); });
  return true;
}

void ResponseLink::end() {
  const std::lock_guard lock(mutex_);
  if (io_ == nullptr || phase_ != Phase::kStreaming) return;
  phase_ = Phase::kAnswered;
  post([](ServerSession& session) { session.end_stream(); });
}

void ResponseLink::answer_if_none() {
  end();
  respond(ServerResponse{500, {{"Content-Type", "text/plain"}}, "the request was not answered\n"});
}

bool ResponseLink::gone() {
  const std::lock_guard lock(mutex_);
  return io_ == nullptr && !completed_;
}

void ResponseLink::on_gone(std::function<void()> callback) {
  {
    const std::lock_guard lock(mutex_);
    if (io_ != nullptr) {
      on_gone_ = std::move(callback);
      return;
    }
    if (completed_) return;
  }
  callback();
}

void ResponseLink::sent(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  unsent_bytes_ -= bytes;
}

void ResponseLink::cut() {
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex_);
    io_ = nullptr;
    callback.swap(on_gone_);
  }
  if (callback) callback();
}

void ResponseLink::complete() {
  std::function<void()> dropped;  // destroyed outside of the lock: it may own anything
  const std::lock_guard lock(mutex_);
  io_ = nullptr;
  completed_ = true;
  dropped.swap(on_gone_);
}

// ------------------------------------------------------------------------------------------------------------ reading

ServerSession::ServerSession(tcp::socket socket, Host& host)
    : socket_(std::move(socket)), host_(host), chunk_(kReadBytes) {
  error_code error;
  const auto remote = socket_.remote_endpoint(error);
  if (!error) peer_ = remote.address().to_string();
}

void ServerSession::start() {
  error_code error;
  // Both fail only when the client is gone, which the first read says.
  socket_.non_blocking(true, error);
  socket_.set_option(tcp::no_delay(true), error);
  next_request();
}

void ServerSession::next_request() {
  state_ = State::kIdle;
  idle_since_ = steady_clock::now();
  deadline_ = idle_since_ + host_.options.idle_timeout;
  reader_.emplace(host_.options.header_bytes_most, host_.options.body_bytes_most);
  continued_ = false;
  if (unparsed_.empty()) {
    read_more();
  } else {
    parse();
  }
}

void ServerSession::read_more() {
  if (reading_) return;
  reading_ = true;
  socket_.async_read_some(asio::buffer(chunk_),
                          [self = shared_from_this()](const error_code& error, std::size_t bytes) {
                            self->reading_ = false;
                            self->on_read(error, bytes);
                          });
}

void ServerSession::on_read(const error_code& error, std::size_t bytes) {
  if (state_ == State::kClosed) return;
  if (error) return close();
  if (state_ == State::kLingering) {
    lingered_bytes_ += bytes;
    return lingered_bytes_ > kLingerBytesMost ? close() : read_more();
  }
  unparsed_.append(chunk_.data(), bytes);
  parse();
}

void ServerSession::parse() {
  if (state_ == State::kIdle) {
    state_ = State::kHeader;
    deadline_ = steady_clock::now() + host_.options.header_timeout;
  }
  unparsed_.erase(0, reader_->feed(unparsed_));
  switch (reader_->state()) {
    case RequestReader::State::kHeader:
      return read_more();
    case RequestReader::State::kBody:
      if (state_ == State::kHeader) {
        state_ = State::kBody;
        deadline_ = steady_clock::now() + host_.options.body_timeout;
      }
      if (!continued_ && reader_->expects_continue()) {
        continued_ = true;
        send("HTTP/1.1 100 Continue\r\n\r\n", false);
      }
      return read_more();
    case RequestReader::State::kComplete:
      return hand_over();
    case RequestReader::State::kRefused:
      return refuse(reader_->refusal());
  }
}

void ServerSession::hand_over() {
  state_ = State::kHandling;
  keep_alive_ = reader_->keeps_alive() && !stopping_;
  chunked_ = reader_->chunks_allowed();
  ending_ = false;
  half_closed_at_.reset();
  ServerRequest request = std::move(reader_->request());
  head_only_ = request.method == "HEAD";
  request.peer = peer_;
  ++host_.counters.requests;
  link_ = std::make_shared<ResponseLink>(host_.io, weak_from_this(), host_.options.stream_bytes_most);
  watch();
  host_.handler(std::move(request), std::make_shared<Responder>(link_));
}

// Nothing that follows a broken request can be trusted to be one.
void ServerSession::refuse(int status) {
  ++host_.counters.bad;
  keep_alive_ = false;
  head_only_ = false;
  state_ = State::kHandling;
  respond(ServerResponse{status, {{"Content-Type", "text/plain"}}, fmt::format("{}\n", status)});
}

// While an answer is awaited nothing is read, so a client that leaves would not be noticed.
void ServerSession::watch() {
  if (watching_ || !unparsed_.empty()) return;
  watching_ = true;
  socket_.async_wait(tcp::socket::wait_read, [self = shared_from_this()](const error_code& error) {
    self->watching_ = false;
    if (!error) self->look();
  });
}

void ServerSession::look() {
  if (state_ != State::kHandling && state_ != State::kStreaming) return;
  char byte = 0;
  const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (got == 0) {
    half_closed_at_ = steady_clock::now();  // check() ends it
  } else if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
    watch();
  } else if (got < 0) {
    close();
  }
  // Otherwise the next request waits in the kernel, and is read when its turn comes.
}

// ------------------------------------------------------------------------------------------------------------ writing

std::string ServerSession::head(int status, const std::vector<Header>& headers, std::optional<std::size_t> length) {
  const auto reason = boost::beast::http::obsolete_reason(static_cast<boost::beast::http::status>(status));
  std::string text = fmt::format("HTTP/1.1 {} {}\r\n", status, std::string_view(reason.data(), reason.size()));
  for (const Header& header : headers) {
    CULVERT_CHECK(one_line(header.name) && one_line(header.value), "a response header of more than one line");
    text.append(header.name).append(": ").append(header.value).append("\r\n");
  }
  if (!length) {
    if (chunked_) text.append("Transfer-Encoding: chunked\r\n");
    if (!chunked_) keep_alive_ = false;
  } else if (has_body(status)) {
    text.append("Content-Length: ").append(std::to_string(*length)).append("\r\n");
  }
  return text.append(keep_alive_ ? "Connection: keep-alive\r\n\r\n" : "Connection: close\r\n\r\n");
}

void ServerSession::respond(ServerResponse response) {
  if (state_ != State::kHandling) return;
  state_ = State::kAnswering;
  deadline_ = steady_clock::now() + host_.options.write_timeout;
  ending_ = true;
  std::string text = head(response.status, response.headers, response.body.size());
  send(std::move(text), false);
  if (!head_only_ && has_body(response.status) && !response.body.empty()) send(std::move(response.body), false);
}

void ServerSession::begin_stream(int status, const std::vector<Header>& headers) {
  if (state_ != State::kHandling) return;
  state_ = State::kStreaming;
  deadline_ = SteadyTime::max();
  send(head(status, headers, std::nullopt), false);
}

void ServerSession::stream(std::string bytes) {
  if (state_ != State::kStreaming) return;
  if (head_only_) return link_->sent(bytes.size());
  if (!chunked_) return send(std::move(bytes), true);
  // The limit counts what the caller wrote; the chunk's frame is a few bytes more.
  out_.push_back({fmt::format("{:x}\r\n", bytes.size()), false});
  out_.push_back({std::move(bytes), true});
  send("\r\n", false);
}

void ServerSession::end_stream() {
  if (state_ != State::kStreaming) return;
  state_ = State::kAnswering;
  deadline_ = steady_clock::now() + host_.options.write_timeout;
  ending_ = true;
  if (chunked_ && !head_only_) return send("0\r\n\r\n", false);
  if (out_.empty()) answer_sent();
}

void ServerSession::drop() {
  ++host_.counters.dropped;
  close();
}

void ServerSession::send(std::string bytes, bool counted) {
  out_.push_back({std::move(bytes), counted});
  write_more();
}

void ServerSession::write_more() {
  if (writing_ > 0 || out_.empty()) return;
  constexpr std::size_t kPiecesMost = 32;
  std::vector<asio::const_buffer> buffers;
  for (const Piece& piece : out_) {
    if (buffers.size() == kPiecesMost) break;
    buffers.emplace_back(asio::buffer(piece.bytes));
  }
  writing_ = buffers.size();
  if (state_ == State::kStreaming) deadline_ = steady_clock::now() + host_.options.write_timeout;
  asio::async_write(socket_, buffers,
                    [self = shared_from_this()](const error_code& error, std::size_t) { self->on_written(error); });
}

void ServerSession::on_written(const error_code& error) {
  std::size_t counted = 0;
  for (; writing_ > 0; --writing_) {
    if (out_.front().counted) counted += out_.front().bytes.size();
    out_.pop_front();
  }
  if (counted > 0 && link_) link_->sent(counted);
  if (state_ == State::kClosed) return;
  if (error) return close();
  if (!out_.empty()) return write_more();
  if (state_ == State::kStreaming) deadline_ = SteadyTime::max();
  if (state_ == State::kAnswering && ending_) answer_sent();
}

void ServerSession::answer_sent() {
  if (link_) link_->complete();
  link_.reset();
  if (stopping_) return close();
  if (!keep_alive_ || half_closed_at_) return linger();
  next_request();
}

// Closing with unread bytes would reset the connection, and the client might never see the answer.
void ServerSession::linger() {
  state_ = State::kLingering;
  deadline_ = steady_clock::now() + kLinger;
  error_code error;
  if (socket_.shutdown(tcp::socket::shutdown_send, error)) return close();
  read_more();
}

void ServerSession::check(SteadyTime now) {
  if (half_closed_at_ && now - *half_closed_at_ >= kHalfClosedMost &&
      (state_ == State::kHandling || state_ == State::kStreaming)) {
    return close();
  }
  if (state_ == State::kHandling || state_ == State::kClosed || now < deadline_) return;
  if (state_ != State::kIdle && state_ != State::kLingering) ++host_.counters.timed_out;
  close();
}

void ServerSession::stop(bool answers_too) {
  stopping_ = true;
  if (answers_too || state_ != State::kAnswering) close();
}

void ServerSession::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  const auto self = shared_from_this();  // the list may hold the last reference
  error_code error;
  socket_.close(error);
  if (link_) link_->cut();
  link_.reset();
  host_.closed(*this);
}

// ---------------------------------------------------------------------------------------------------------- Responder

// NOLINTNEXTLINE(bugprone-exception-escape): without memory for that answer the program ends
Responder::~Responder() { link_->answer_if_none(); }
bool Responder::respond(ServerResponse response) { return link_->respond(std::move(response)); }
bool Responder::begin(int status, std::vector<Header> headers) { return link_->begin(status, std::move(headers)); }
bool Responder::write(std::string bytes) { return link_->write(std::move(bytes)); }
void Responder::end() { link_->end(); }
bool Responder::gone() const { return link_->gone(); }
void Responder::on_gone(std::function<void()> callback) { link_->on_gone(std::move(callback)); }

}  // namespace culvert::http
