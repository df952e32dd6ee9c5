// SPDX-License-Identifier: Apache-2.0
// An HTTP server for tests that answers as it is told, and misbehaves as it is told.
//
// Flow    client under test -> loopback -> [HttpFakeServer] -> the test's handler -> reply, or a fault in its place.
// Owner   a test; one thread, which the destructor ends.
// Time    delays run concurrently: a slow reply holds up its own connection only.
// Bounds  bodies of 64 MiB.
// See     dynamodb_fake.h, which is one such handler.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/http/message.h"

namespace culvert::fakes {

struct FakeRequest {
  std::string method;
  std::string target;
  std::vector<http::Header> headers;
  std::string body;

  [[nodiscard]] std::string header(std::string_view name) const {
    const std::string* value = http::find_header(headers, name);
    return value == nullptr ? "" : *value;
  }
};

enum class FakeFault : std::uint8_t {
  kNone,
  kReset,       // no reply: the connection is reset (RST)
  kClose,       // no reply: the connection is closed (FIN)
  kTruncate,    // the header promises the whole body, half of it comes, then FIN
  kSilence,     // no reply, the connection stays open
  kGarbage,     // bytes that are no HTTP
  kCloseAfter,  // the whole reply without `Connection: close`, then FIN
};

struct FakeReply {
  int status = 200;
  std::vector<http::Header> headers{};
  std::string body{};
  std::chrono::microseconds delay{0};
  FakeFault fault = FakeFault::kNone;
  bool chunked = false;
  bool byte_by_byte = false;  // a millisecond apart
};

class HttpFakeServer {
 public:
  using Handler = std::function<FakeReply(const FakeRequest&)>;  // runs on the server's thread

  explicit HttpFakeServer(Handler handler);
  HttpFakeServer(const HttpFakeServer&) = delete;
  HttpFakeServer& operator=(const HttpFakeServer&) = delete;
  ~HttpFakeServer();

  [[nodiscard]] http::Endpoint endpoint() const;
  [[nodiscard]] std::string url() const;  // http://127.0.0.1:port
  [[nodiscard]] std::uint64_t connections() const;
  [[nodiscard]] std::uint64_t requests() const;
  // Time between a request's last byte and its reply, summed over all replies that were sent.
  [[nodiscard]] std::chrono::nanoseconds time_held() const;
  // Closes every connection that waits for a request.
  void close_idle();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace culvert::fakes
