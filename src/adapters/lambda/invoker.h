// SPDX-License-Identifier: Apache-2.0
// Something that runs a function for a mapping: processes of our own, or an endpoint elsewhere.
//
// Flow    BridgeSession submits events -> [Invoker] -> outcomes, collected by the session.
// Owner   BridgeSession; every method belongs to its thread.  Outcomes come from other threads, which call `wake`.
// Time    steady time; every invocation ends by its time-out.
// Bounds  as many invocations at once as the implementation says; what is submitted above that waits its turn.
// See     function_pool.h, url_function.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "adapters/clock/clock.h"
#include "model/ids.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert::lambda {

// What the one who submits calls an invocation; comes back with its outcome.
using Ticket = Strong<struct TicketTag, std::uint64_t>;

enum class InvocationEnd : std::uint8_t {
  kResponse,       // `text` is what the function returned
  kFunctionError,  // the function reported an error
  kTimeout,        // it took too long and was ended
  kCrash,          // its process ended, or never began to work
  kUnreachable,    // an endpoint did not take it
};

struct InvocationOutcome {
  Ticket ticket;
  InvocationEnd end = InvocationEnd::kResponse;
  std::string request_id;
  int status = 200;  // of the invocation, as Lambda's own API would say; 0: never invoked
  std::string text;  // the response, or what went wrong
  Millis duration{0};
};

struct InvokerCounters {
  std::int64_t invocations = 0;  // begun
  std::int64_t function_errors = 0;
  std::int64_t timeouts = 0;
  std::int64_t crashes = 0;  // also outside of an invocation
  std::int64_t unreachable = 0;
  std::int64_t cold_starts = 0;
  Millis busy{0};  // durations of invocations that ended, summed
};

class Invoker {
 public:
  Invoker() = default;
  Invoker(const Invoker&) = delete;
  Invoker& operator=(const Invoker&) = delete;
  virtual ~Invoker() = default;

  virtual void submit(Ticket ticket, std::shared_ptr<const std::string> event) = 0;
  // Since the last call.
  [[nodiscard]] virtual std::vector<InvocationOutcome> take_outcomes() = 0;
  // Does what is due (time-outs, restarts); returns when it wants to be called again at the latest.
  // An error is one that trying again will not cure: the function cannot be started at all.
  [[nodiscard]] virtual Result<SteadyTime> tick(SteadyTime now) = 0;
  [[nodiscard]] virtual InvokerCounters counters() const = 0;
};

}  // namespace culvert::lambda
