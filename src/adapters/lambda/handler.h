// SPDX-License-Identifier: Apache-2.0
// What a function does with one invocation.
//
// Flow    Runtime -> Invocation -> [Handler] -> JSON of the response, or why the invocation failed -> Runtime.
// Owner   app/ makes one handler for each loop of the Runtime, so that handle() is never entered twice at once.
// Time    `until` is when Lambda ends the invocation, hard: a handler is done, or has failed in order, before that.
// Bounds  the payload is at most what Lambda delivers (6 MB); a response above 6 MB is refused by Lambda.
// See     docs/operating.md: function.
#pragma once

#include <string>

#include "adapters/clock/clock.h"
#include "model/result.h"

namespace culvert::lambda {

struct Invocation {
  std::string request_id;
  std::string function_arn;
  std::string trace_id;
  SteadyTime until;         // of Clock::steady()
  bool cold_start = false;  // the first one that this process serves
};

class Handler {
 public:
  Handler() = default;
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  virtual ~Handler() = default;

  // `payload` may be changed in place; it is not used afterwards.  An error fails the invocation, and whoever invoked
  // decides whether it comes again (an event source mapping: always).  No part of the payload belongs into the error.
  [[nodiscard]] virtual Result<std::string> handle(const Invocation& invocation, std::string& payload) = 0;
};

}  // namespace culvert::lambda
