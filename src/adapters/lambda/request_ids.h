// SPDX-License-Identifier: Apache-2.0
// Identifiers as Lambda makes them.
//
// Flow    FunctionPool, on-failure documents <- [random_request_id, random_trace_id].
// Owner   free functions, any thread.
// Time    a trace id begins with the second it was made in.
// Bounds  36 and 74 characters.
// See     RFC 9562 (UUID version 4); AWS X-Ray, "Tracing header".
#pragma once

#include <cstdint>
#include <string>

namespace culvert::lambda {

[[nodiscard]] std::string random_request_id();
[[nodiscard]] std::string random_trace_id(std::int64_t epoch_seconds);

}  // namespace culvert::lambda
