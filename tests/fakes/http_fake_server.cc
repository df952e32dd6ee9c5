// SPDX-License-Identifier: Apache-2.0
#include "fakes/http_fake_server.h"

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <future>
#include <optional>
#include <set>
#include <thread>

namespace culvert::fakes {

namespace {

namespace asio = boost::asio;
namespace bhttp = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using SteadyClock = std::chrono::steady_clock;

std::string head_text(const FakeReply& reply) {
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " -\r\n";
  for (const http::Header& header : reply.headers) text += header.name + ": " + header.value + "\r\n";
  if (reply.chunked) {
    text += "Transfer-Encoding: chunked\r\n";
  } else if (reply.status >= 200 && reply.status != 204) {
    text += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
  }
  return text + "\r\n";
}

std::string chunked_text(const std::string& body) {
  std::string text;
  for (std::size_t at = 0; at < body.size(); at += 7) {
    const std::string part = body.substr(at, 7);
    text += std::to_string(part.size()) + "\r\n" + part + "\r\n";
  }
  return text + "0\r\n\r\n";
}

struct Shared {
  HttpFakeServer::Handler handler;
  std::atomic<std::uint64_t> connections{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::int64_t> held_ns{0};
  std::set<class Session*> sessions;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, Shared& shared)
      : socket_(std::move(socket)), timer_(socket_.get_executor()), shared_(shared) {
    shared_.sessions.insert(this);
    error_code error;
    error = socket_.set_option(tcp::no_delay(true), error);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { shared_.sessions.erase(this); }

  void read() {
    reading_ = true;
    parser_.emplace();
    parser_->body_limit(64 << 20);
    bhttp::async_read(socket_, buffer_, *parser_, [self = shared_from_this()](const error_code& error, std::size_t) {
      self->reading_ = false;
      if (!error) self->handle();
    });
  }
  void close() {
    error_code error;
    error = socket_.close(error);
  }
  [[nodiscard]] bool idle() const { return reading_ && buffer_.size() == 0 && !parser_->got_some(); }

 private:
  void handle() {
    const auto arrived = SteadyClock::now();
    shared_.requests.fetch_add(1);
    auto& message = parser_->get();
    FakeRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    for (const auto& field : message)
      request.headers.push_back({std::string(field.name_string()), std::string(field.value())});
    request.body = std::move(message.body());
    FakeReply reply = shared_.handler(request);
    if (reply.delay.count() == 0) {
      send(reply, arrived);
      return;
    }
    timer_.expires_at(arrived + reply.delay);
    timer_.async_wait([self = shared_from_this(), arrived, kept = std::move(reply)](const error_code& error) {
      if (!error) self->send(kept, arrived);
    });
  }

  void send(const FakeReply& reply, SteadyClock::time_point arrived) {
    shared_.held_ns.fetch_add((SteadyClock::now() - arrived).count());
    switch (reply.fault) {
      case FakeFault::kReset: {
        error_code error;
        error = socket_.set_option(asio::socket_base::linger(true, 0), error);
        close();
        return;
      }
      case FakeFault::kClose:
        close();
        return;
      case FakeFault::kSilence:
        read();  // waits for the client to go away
        return;
      case FakeFault::kGarbage:
        out_ = "\x16\x03nonsense\r\n\r\n";
        break;
      case FakeFault::kTruncate:
        out_ = head_text(reply) + reply.body.substr(0, reply.body.size() / 2);
        break;
      case FakeFault::kNone:
      case FakeFault::kCloseAfter:
        out_ = head_text(reply) + (reply.chunked ? chunked_text(reply.body) : reply.body);
        break;
    }
    if (reply.byte_by_byte) return drip(0);
    const bool close_after = reply.fault != FakeFault::kNone;
    asio::async_write(socket_, asio::buffer(out_),
                      [self = shared_from_this(), close_after](const error_code& error, std::size_t) {
                        if (error || close_after) {
                          self->close();
                        } else {
                          self->read();
                        }
                      });
  }

  void drip(std::size_t at) {
    if (at == out_.size()) return read();
    asio::async_write(socket_, asio::buffer(out_.data() + at, 1),
                      [self = shared_from_this(), at](const error_code& failed, std::size_t) {
                        if (failed) return self->close();
                        self->timer_.expires_after(std::chrono::milliseconds{1});
                        self->timer_.async_wait([self, at](const error_code& error) {
                          if (!error) self->drip(at + 1);
                        });
                      });
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  Shared& shared_;
  boost::beast::flat_buffer buffer_;
  std::optional<bhttp::request_parser<bhttp::string_body>> parser_;
  std::string out_;
  bool reading_ = false;
};

}  // namespace

class HttpFakeServer::Impl {
 public:
  explicit Impl(Handler handler) : acceptor_(io_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)) {
    shared_.handler = std::move(handler);
    port_ = acceptor_.local_endpoint().port();
    accept();
    thread_ = std::thread([this] { io_.run(); });
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    io_.stop();
    thread_.join();
  }

  void accept() {
    acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
      if (error) return;
      shared_.connections.fetch_add(1);
      std::make_shared<Session>(std::move(socket), shared_)->read();
      accept();
    });
  }
  void close_idle() {
    std::promise<void> done;
    asio::post(io_, [&] {
      for (Session* session : shared_.sessions) {
        if (session->idle()) session->close();
      }
      done.set_value();
    });
    done.get_future().wait();
  }

  Shared shared_;  // outlives the sessions, which the io_context destroys
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

HttpFakeServer::HttpFakeServer(Handler handler) : impl_(std::make_unique<Impl>(std::move(handler))) {}
HttpFakeServer::~HttpFakeServer() = default;
http::Endpoint HttpFakeServer::endpoint() const { return {false, "127.0.0.1", impl_->port_}; }
std::string HttpFakeServer::url() const { return "http://127.0.0.1:" + std::to_string(impl_->port_); }
std::uint64_t HttpFakeServer::connections() const { return impl_->shared_.connections.load(); }
std::uint64_t HttpFakeServer::requests() const { return impl_->shared_.requests.load(); }
std::chrono::nanoseconds HttpFakeServer::time_held() const {
  return std::chrono::nanoseconds{impl_->shared_.held_ns.load()};
}
void HttpFakeServer::close_idle() { impl_->close_idle(); }

}  // namespace culvert::fakes
