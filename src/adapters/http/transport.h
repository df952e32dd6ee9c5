// SPDX-License-Identifier: Apache-2.0
// What sends requests, as those see it who have some: the seam where the simulation puts a network of its own.
//
// Flow    aws, dynamodb -> [Transport]: Client -> Outcome.
// Owner   whoever made it; everybody who uses it must be gone before it is.
// Time    monotonic clock.
// Bounds  those of the implementation.
// See     client.h.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "adapters/http/message.h"
#include "model/result.h"

namespace culvert::http {

using Callback = std::function<void(Outcome)>;

class Transport {
 public:
  Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;
  virtual ~Transport() = default;

  // Reads the CA certificates now instead of at the first TLS connection, so that a bad file is found at start and a
  // function pays for it before its first invocation.  Error: kConfiguration, fatal.
  [[nodiscard]] virtual Result<void> prepare_tls() = 0;

  // `callback` runs exactly once, on the I/O thread, and must not block.  A request is sent at most once: only one of
  // which no byte has left is moved to another connection.
  virtual void send(const Endpoint& endpoint, Request request, Callback callback) = 0;

  // Any thread.  Fails everything under way soon, and whatever is sent from now on: for the end of a program, which
  // must not wait for a service.  Tasks of post() and after() go on.
  virtual void abandon() = 0;

  // Runs `task` on the I/O thread, now or after `delay`; tasks that are not due when the transport ends are dropped.
  virtual void post(std::function<void()> task) = 0;
  virtual void after(std::chrono::milliseconds delay, std::function<void()> task) = 0;

  // Waits for one result on the caller's thread, which is not the I/O thread: `begin` is called with a function, and
  // sets something going that calls this function once, on the I/O thread, with the result.
  template <typename T, typename Begin>
  [[nodiscard]] T wait_for(Begin begin) {
    std::optional<T> result;
    Waiting waiting;
    begin([this, &result, &waiting](T came) {
      result.emplace(std::move(came));
      end_wait(waiting);
    });
    wait(waiting);
    return std::move(*result);
  }

  struct Stats {
    std::uint64_t connects = 0;  // TCP connections made
    std::uint64_t requests = 0;  // requests written
    std::uint64_t cpu_ns = 0;    // of the I/O thread, if that is one of its own
  };
  [[nodiscard]] virtual Stats stats() = 0;

 protected:
  // A thread inside wait_for(); the implementation's to use.
  struct Waiting {
    bool over = false;
    std::condition_variable wake;
  };
  // Returns when end_wait() was called, which may have happened before.
  virtual void wait(Waiting& waiting) = 0;
  // I/O thread.  `waiting` may be gone when this returns.
  virtual void end_wait(Waiting& waiting) = 0;
};

}  // namespace culvert::http
