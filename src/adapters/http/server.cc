// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/server.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <csignal>
#include <set>
#include <thread>

#include "adapters/http/server_session.h"

namespace culvert::http {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kCheckEvery{200};
constexpr std::chrono::milliseconds kAcceptPause{200};
constexpr std::chrono::milliseconds kStopAnswersMost{500};

Error listen_error(const ServerOptions& options, const error_code& error) {
  const bool permission = error == asio::error::access_denied;
  const bool in_use = error == asio::error::address_in_use;
  return Error::fatal(permission ? ErrorKind::kPermission : ErrorKind::kUnavailable,
                      fmt::format("cannot listen on {} port {}: {}{}", options.address, options.port, error.message(),
                                  permission ? " (ports below 1024 need a privilege: take a higher one)"
                                  : in_use   ? " (take another port, or 0 for a free one)"
                                             : ""));
}

}  // namespace

class Server::Impl {
 public:
  Impl(const ServerOptions& options, ServerHandler handler)
      : options_(options),
        handler_(std::move(handler)),
        acceptor_(io_),
        accept_timer_(io_),
        check_timer_(io_),
        host_{io_, options_, handler_, counters_, [this](ServerSession& session) { on_closed(session); }} {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() { stop(); }  // NOLINT(bugprone-exception-escape): without memory for one task the program ends

  Result<void> open() {
    error_code error;
    const auto address = asio::ip::make_address(options_.address, error);
    if (error) {
      return Error::fatal(
          ErrorKind::kConfiguration,
          fmt::format("cannot listen on '{}': not an address (such as 127.0.0.1 or ::1)", options_.address));
    }
    const tcp::endpoint endpoint(address, options_.port);
    if (acceptor_.open(endpoint.protocol(), error) || acceptor_.set_option(tcp::acceptor::reuse_address(true), error) ||
        acceptor_.bind(endpoint, error) || acceptor_.listen(tcp::acceptor::max_listen_connections, error) ||
        acceptor_.non_blocking(true, error)) {
      return listen_error(options_, error);
    }
    bound_ = acceptor_.local_endpoint(error);
    if (error) return listen_error(options_, error);
    accept();
    thread_ = std::thread([this] { run(); });
    return {};
  }

  void stop() {
    if (!thread_.joinable()) return;
    CULVERT_CHECK(std::this_thread::get_id() != thread_.get_id(), "a server that is stopped by its own handler");
    asio::post(io_, [this] { begin_stop(); });
    thread_.join();
  }

  [[nodiscard]] const tcp::endpoint& bound() const { return bound_; }
  [[nodiscard]] const ServerCounters& counters() const { return counters_; }

 private:
  void run() {
    // The process's signals are for the program's main thread; and a broken connection is an error here, never a
    // SIGPIPE.
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    io_.run();
  }

  void accept() {
    acceptor_.async_accept([this](const error_code& error, tcp::socket socket) {
      if (error == asio::error::operation_aborted || stopping_) return;
      if (error) {  // no descriptors left, mostly: connections wait with the kernel until some are free again
        accept_timer_.expires_after(kAcceptPause);
        accept_timer_.async_wait([this](const error_code& cancelled) {
          if (!cancelled) accept();
        });
        return;
      }
      admit(std::move(socket));
      accept();
    });
  }

  void admit(tcp::socket socket) {
    ++counters_.accepted;
    if (sessions_.size() >= options_.connections_most && !close_oldest_idle()) return turn_away(socket);
    auto session = std::make_shared<ServerSession>(std::move(socket), host_);
    sessions_.insert(session);
    counters_.open = sessions_.size();
    session->start();
    if (sessions_.size() == 1) check_later();
  }

  bool close_oldest_idle() {
    std::shared_ptr<ServerSession> oldest;
    for (const auto& session : sessions_) {
      if (session->idle() && (!oldest || session->idle_since() < oldest->idle_since())) oldest = session;
    }
    if (!oldest) return false;
    oldest->stop(true);
    return true;
  }

  void turn_away(tcp::socket& socket) {
    ++counters_.refused;
    constexpr std::string_view kBusy =
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    // A new connection's buffer takes so few bytes at once; should it not, the client sees a close.
    [[maybe_unused]] const ssize_t sent =
        ::send(socket.native_handle(), kBusy.data(), kBusy.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    error_code error;
    socket.shutdown(tcp::socket::shutdown_send, error);
    socket.close(error);
  }

  void on_closed(ServerSession& session) {
    sessions_.erase(session.shared_from_this());
    counters_.open = sessions_.size();
    if (stopping_ && sessions_.empty()) check_timer_.cancel();
  }

  void check_later() {
    check_timer_.expires_after(kCheckEvery);
    check_timer_.async_wait([this](const error_code& cancelled) {
      if (cancelled) return;
      const auto now = steady_clock::now();
      const auto sessions = sessions_;  // close() takes from it
      for (const auto& session : sessions) {
        session->check(now);
        if (stopping_ && now >= stop_until_) session->stop(true);
      }
      if (!sessions_.empty()) check_later();
    });
  }

  void begin_stop() {
    stopping_ = true;
    stop_until_ = steady_clock::now() + kStopAnswersMost;
    error_code error;
    acceptor_.close(error);
    accept_timer_.cancel();
    const auto sessions = sessions_;
    for (const auto& session : sessions) session->stop(false);
    if (sessions_.empty()) check_timer_.cancel();
  }

  const ServerOptions options_;
  const ServerHandler handler_;
  ServerCounters counters_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer accept_timer_;
  asio::steady_timer check_timer_;
  ServerSession::Host host_;
  std::set<std::shared_ptr<ServerSession>> sessions_;
  bool stopping_ = false;
  steady_clock::time_point stop_until_;
  tcp::endpoint bound_;
  std::thread thread_;
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::listen(const ServerOptions& options, ServerHandler handler) {
  auto impl = std::make_unique<Impl>(options, std::move(handler));
  if (auto opened = impl->open(); !opened) return opened.error();
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

void Server::stop() { impl_->stop(); }
std::uint16_t Server::port() const { return impl_->bound().port(); }
std::string Server::url() const {
  return Endpoint{false, impl_->bound().address().to_string(), impl_->bound().port()}.text();
}

Server::Stats Server::stats() const {
  const ServerCounters& now = impl_->counters();
  return {now.open.load(), now.accepted.load(),  now.refused.load(), now.requests.load(),
          now.bad.load(),  now.timed_out.load(), now.dropped.load()};
}

}  // namespace culvert::http
