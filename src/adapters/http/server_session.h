// SPDX-License-Identifier: Apache-2.0
// One connection of a Server: a request, its answer, the next request.
//
// Flow    socket -> RequestReader -> [ServerSession] -> handler; ResponseLink brings the answer back -> socket.
// Owner   the Server's list and the pending operations; used on the I/O thread only.  Internal to adapters/http.
// Time    deadlines are kept here and looked at by check(), which the server calls a few times a second.
// Bounds  one request's bytes and limits, one answer, ServerOptions::stream_bytes_most for a stream.
// See     server.h.
#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "adapters/http/request_reader.h"
#include "adapters/http/server.h"

namespace culvert::http {

class ServerSession;

struct ServerCounters {
  std::atomic<std::size_t> open{0};
  std::atomic<std::uint64_t> accepted{0};
  std::atomic<std::uint64_t> refused{0};
  std::atomic<std::uint64_t> requests{0};
  std::atomic<std::uint64_t> bad{0};
  std::atomic<std::uint64_t> timed_out{0};
  std::atomic<std::uint64_t> dropped{0};
};

// What joins a Responder, on any thread, to its session on the I/O thread; cut by the session when it ends.
class ResponseLink {
 public:
  ResponseLink(boost::asio::io_context& io, std::weak_ptr<ServerSession> session, std::size_t stream_bytes_most)
      : io_(&io), session_(std::move(session)), stream_bytes_most_(stream_bytes_most) {}

  bool respond(ServerResponse response);
  bool begin(int status, std::vector<Header> headers);
  bool write(std::string bytes);
  void end();
  void answer_if_none();
  [[nodiscard]] bool gone();
  void on_gone(std::function<void()> callback);

  // The session's side.
  void sent(std::size_t bytes);  // of a stream
  void cut();                    // the client is gone: tells who waits for it
  void complete();               // everything is sent: nobody is told

 private:
  enum class Phase : std::uint8_t { kWaiting, kStreaming, kAnswered };
  template <class Call>
  void post(Call call);  // with mutex_ held and io_ set

  std::mutex mutex_;
  boost::asio::io_context* io_;  // null: cut
  std::weak_ptr<ServerSession> session_;
  const std::size_t stream_bytes_most_;
  Phase phase_ = Phase::kWaiting;
  std::size_t unsent_bytes_ = 0;
  bool completed_ = false;
  std::function<void()> on_gone_;
};

class ServerSession : public std::enable_shared_from_this<ServerSession> {
 public:
  using SteadyTime = std::chrono::steady_clock::time_point;

  // The server, as its sessions see it.
  struct Host {
    boost::asio::io_context& io;
    const ServerOptions& options;
    const ServerHandler& handler;
    ServerCounters& counters;
    std::function<void(ServerSession&)> closed;
  };

  ServerSession(boost::asio::ip::tcp::socket socket, Host& host);

  void start();
  void check(SteadyTime now);
  // `answers_too` false: an answer that is being sent may be finished.
  void stop(bool answers_too);
  // Waiting for a request of which no byte has come.
  [[nodiscard]] bool idle() const { return state_ == State::kIdle; }
  [[nodiscard]] SteadyTime idle_since() const { return idle_since_; }

  // From the link.
  void respond(ServerResponse response);
  void begin_stream(int status, const std::vector<Header>& headers);
  void stream(std::string bytes);
  void end_stream();
  void drop();

 private:
  enum class State : std::uint8_t { kIdle, kHeader, kBody, kHandling, kStreaming, kAnswering, kLingering, kClosed };

  void next_request();
  void read_more();
  void on_read(const boost::system::error_code& error, std::size_t bytes);
  void parse();
  void hand_over();
  void refuse(int status);
  void watch();
  void look();
  void send(std::string bytes, bool counted);
  void write_more();
  void on_written(const boost::system::error_code& error);
  void answer_sent();
  void linger();
  void close();
  [[nodiscard]] std::string head(int status, const std::vector<Header>& headers, std::optional<std::size_t> length);

  boost::asio::ip::tcp::socket socket_;
  Host& host_;
  std::string peer_;
  State state_ = State::kIdle;
  SteadyTime deadline_;
  SteadyTime idle_since_;
  std::vector<char> chunk_;
  std::string unparsed_;
  std::optional<RequestReader> reader_;
  bool reading_ = false;
  bool continued_ = false;

  bool head_only_ = false;
  bool keep_alive_ = true;
  bool chunked_ = false;
  bool ending_ = false;
  bool stopping_ = false;
  std::shared_ptr<ResponseLink> link_;

  // Looking for the client's end while an answer is awaited.
  bool watching_ = false;
  std::optional<SteadyTime> half_closed_at_;

  struct Piece {
    std::string bytes;
    bool counted;  // against the stream's limit
  };
  std::deque<Piece> out_;
  std::size_t writing_ = 0;  // pieces of out_ under way
  std::size_t lingered_bytes_ = 0;
};

}  // namespace culvert::http
