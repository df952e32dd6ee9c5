// SPDX-License-Identifier: Apache-2.0
// The program's one HTTP client: a pool of keep-alive connections for each endpoint, driven by one thread at a time.
//
// Flow    aws, dynamodb, lambda -> [Client] -> Beast's parser over TCP or TLS -> Outcome, on the I/O thread.
// Owner   the program; everybody who uses it must be gone before it is.
// Time    monotonic clock; every phase has a time-out: names, connect, TLS, queue and request.
// Bounds  connections_most for one endpoint, queue_most requests waiting, header_bytes_most and body_bytes_most for a
//         response.  At each limit the request fails with an error that names the limit.
// See     RFC 9112 (framing, persistence), RFC 9110 section 9.2.2 (what may be sent again).
//
// The I/O thread is the client's own.  Without one (own_thread) it is, of the threads inside wait_for(), whichever came
// first: it carries out everything that is under way until it has its own result, and hands over to one that still
// waits.  While nobody waits nothing moves.  That spares whoever has nothing to do but wait the two changes of thread
// that a request otherwise costs.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "adapters/http/message.h"
#include "adapters/http/resolver.h"
#include "adapters/http/transport.h"
#include "model/result.h"

namespace culvert::http {

struct ClientOptions {
  std::size_t connections_most = 64;
  std::size_t queue_most = 10'000;
  std::chrono::milliseconds connect_timeout{3'000};  // TCP, over all addresses
  std::chrono::milliseconds tls_timeout{5'000};
  std::chrono::milliseconds request_timeout{10'000};  // also for waiting in the queue
  // A connection unused for longer is not used again: it may be dead without our having been told (a frozen function,
  // a forgetful gateway), and a request lost on it would cost a whole request_timeout.
  std::chrono::milliseconds idle_most{20'000};
  std::size_t header_bytes_most = 64 << 10;
  std::size_t body_bytes_most = 32 << 20;
  std::string ca_file;  // PEM file; empty: ca_pem, else $SSL_CERT_FILE, else the system's bundle
  std::string ca_pem;   // PEM text, for a program that carries its certificates inside
  // False: requests are carried out by the threads that wait for them (see above).  The program then ignores SIGPIPE.
  bool own_thread = true;
  std::string user_agent = "culvert";
};

class Client final : public Transport {
 public:
  // `resolver` must outlive the client.
  Client(ClientOptions options, Resolver& resolver);
  // Fails everything under way and waits for the I/O thread; callbacks run until then.
  ~Client() override;

  [[nodiscard]] Result<void> prepare_tls() override;
  void send(const Endpoint& endpoint, Request request, Callback callback) override;
  void abandon() override;
  void post(std::function<void()> task) override;
  void after(std::chrono::milliseconds delay, std::function<void()> task) override;
  [[nodiscard]] Stats stats() override;

  // As send(), waiting for the outcome.  Not to be called on the I/O thread.
  [[nodiscard]] Outcome call(const Endpoint& endpoint, Request request);
  [[nodiscard]] bool on_io_thread() const;

 protected:
  void wait(Waiting& waiting) override;
  void end_wait(Waiting& waiting) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culvert::http
