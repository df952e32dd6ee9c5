// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.1 server for one address: requests in, answers now, later from another thread, or as a stream.
//
// Flow    kernel -> [Server] -> RequestReader -> the handler, on the I/O thread; its Responder carries the answer back.
// Owner   a command; each Server has a thread of its own and several may run in one process.
// Time    monotonic clock; every phase of a connection has a time-out, so that no client can hold one for ever.
// Bounds  ServerOptions: connections, header and body bytes, unsent bytes of a stream.  One request at a time for each
//         connection: what a client sends ahead stays with the kernel.
// See     RFC 9112 (framing, persistence), docs/security.md.
//
// The server decides nothing about who may ask: without a check in the handler everybody who reaches the address may.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/http/message.h"
#include "model/result.h"

namespace culvert::http {

struct ServerOptions {
  std::string address = "127.0.0.1";  // a literal, never a name
  std::uint16_t port = 0;             // 0: the kernel chooses a free one
  // One more: the connection that has been idle longest is closed, or, if none is idle, the new one is told 503.
  std::size_t connections_most = 256;
  std::size_t header_bytes_most = 16 << 10;        // request line and headers; more: 431
  std::size_t body_bytes_most = 1 << 20;           // more: 413
  std::size_t stream_bytes_most = 1 << 20;         // written to a stream and not yet taken by the client; more: dropped
  std::chrono::milliseconds idle_timeout{60'000};  // between two requests
  std::chrono::milliseconds header_timeout{10'000};  // from a request's first byte to its last header
  std::chrono::milliseconds body_timeout{30'000};    // from there to the last byte of its body
  std::chrono::milliseconds write_timeout{30'000};   // for an answer, or for each piece of a stream
};

struct ServerRequest {
  std::string method;  // as sent; methods are case-sensitive
  std::string target;  // path and query as sent, beginning with '/'
  std::vector<Header> headers{};
  std::string body{};
  std::string peer{};  // the client's address, without its port

  [[nodiscard]] const std::string* header(std::string_view name) const { return find_header(headers, name); }
};

// Content-Length, Transfer-Encoding and Connection are the server's to add.
struct ServerResponse {
  int status = 200;
  std::vector<Header> headers{};
  std::string body{};
};

class ResponseLink;

// The answer to one request: respond(), or begin(), write().., end().  Any thread, at any time, also after the server
// is gone.  A Responder that is dropped without an answer answers 500, so that no client waits for nothing.
class Responder {
 public:
  explicit Responder(std::shared_ptr<ResponseLink> link) : link_(std::move(link)) {}
  Responder(const Responder&) = delete;
  Responder& operator=(const Responder&) = delete;
  ~Responder();  // NOLINT(bugprone-exception-escape): without memory for that answer the program ends

  // False: the client is gone, or an answer was begun before.
  bool respond(ServerResponse response);
  bool begin(int status, std::vector<Header> headers);
  // False: the client is gone, or it does not read fast enough and has just been dropped.
  bool write(std::string bytes);
  void end();

  [[nodiscard]] bool gone() const;
  // Runs once, on the I/O thread (or at once, here), if the client goes away or the server stops before the answer is
  // complete.  It must not block.
  void on_gone(std::function<void()> callback);

 private:
  std::shared_ptr<ResponseLink> link_;
};

using ServerHandler = std::function<void(ServerRequest request, std::shared_ptr<Responder> responder)>;

class Server {
 public:
  // `handler` runs on the I/O thread and must not block.
  [[nodiscard]] static Result<std::unique_ptr<Server>> listen(const ServerOptions& options, ServerHandler handler);
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  ~Server();

  // Takes no more connections, gives answers that are being sent half a second, closes the rest.  The handler does not
  // run any more when it returns.  Not to be called by the handler.
  void stop();

  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string url() const;  // `http://127.0.0.1:8080`

  struct Stats {
    std::size_t open = 0;  // connections now
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;    // told 503 because connections_most were in use
    std::uint64_t requests = 0;   // handed to the handler
    std::uint64_t bad = 0;        // answered 400, 413, 431 or 505 by the server itself
    std::uint64_t timed_out = 0;  // closed because the client was too slow
    std::uint64_t dropped = 0;    // streams whose client did not read
  };
  [[nodiscard]] Stats stats() const;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace culvert::http
