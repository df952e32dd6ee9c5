// SPDX-License-Identifier: Apache-2.0
// What a librdkafka error means to a user: its kind (exit code), whether it may pass by itself, and the remedy.
//
// Flow    every .cc of this folder turns codes into Error here, so that one fault has one message everywhere.
// Owner   free functions; a ComplaintFilter for each client.
// Time    steady clock, for repetitions.
// Bounds  none.
// See     docs/ARCHITECTURE.md, "Exit codes"; docs/operating.md: errors.
#pragma once

#include <chrono>
#include <deque>
#include <string>
#include <string_view>

#include "adapters/kafka/handle.h"
#include "model/result.h"

namespace culvert::kafka {

// `what` names the thing (`topic 'telemetry'`, `brokers b-1:9094`), `detail` is librdkafka's own text (may be empty).
[[nodiscard]] Error to_error(rd_kafka_resp_err_t code, std::string_view what, std::string_view detail);
// The same for a client that logs in with bearer tokens: what its refused login means.
[[nodiscard]] Error token_login_error(rd_kafka_resp_err_t code, std::string_view what, std::string_view detail);
// The same for an error object; a fatal one is never retriable.
[[nodiscard]] Error to_error(const rd_kafka_error_t* error, std::string_view what);

// True for errors that waiting will not cure and that say so at the first connection: a refused login, a certificate
// that does not verify, a refused topic.  Everything else a client goes on trying.
[[nodiscard]] bool ends_connecting(const Error& error);

// True for what a client says when the log does not hold its position (any more).
[[nodiscard]] bool is_lost_log(rd_kafka_resp_err_t code);

// Passes a complaint on once in ten seconds: a client repeats itself at every attempt, and for each of its connections.
class ComplaintFilter {
 public:
  [[nodiscard]] bool admit(const Error& error);

 private:
  struct Complaint {
    std::string message;
    std::chrono::steady_clock::time_point at;
  };
  std::deque<Complaint> recent_;  // oldest first, none twice, at most kRecentMost
};

}  // namespace culvert::kafka
