// SPDX-License-Identifier: Apache-2.0
// Calls of the DynamoDB API: signed, sent, judged and, where that is right, sent again.
//
// Flow    FlushJob, loads, scans, administration -> [Api::call] -> http::Transport -> ApiResult, on the I/O thread.
// Owner   DynamoDbTable; used on the HTTP client's I/O thread.
// Time    wall clock for signatures (corrected by the service's own where they differ), monotonic clock for deadlines.
// Bounds  one call holds one connection at a time; while it waits for its next attempt it holds none, but its caller
//         starts no other in its place, so that a throttled table sees fewer calls and not more.
// See     docs/formats.md: DynamoDB calls; AWS, "Exponential backoff and jitter".
//
// Sent again, with full jitter, until the deadline: throttling, 5xx, lost and truncated replies.  Sent again once: a
// signature refused for the clock (corrected by the Date header), an expired token (after fetching a new one).
// Everything else is fatal, with the service's message.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "adapters/aws/credentials.h"
#include "adapters/aws/sigv4.h"
#include "adapters/clock/clock.h"
#include "adapters/http/transport.h"
#include "model/result.h"

namespace culvert::dynamodb {

enum class Answer : std::uint8_t {
  kOk,
  kConditionFailed,  // `body` holds the stored item if there is one
  kGaveUp,           // the deadline came first: `error` is retriable
  kRefused,          // `error` is fatal
};

struct ApiResult {
  Answer answer = Answer::kRefused;
  std::string body{};
  Error error{};
  // True with kGaveUp: some attempt may have been carried out although no reply said so.
  bool maybe_done = false;
  std::string type{};  // kRefused: the service's name for it, such as ResourceNotFoundException
};

struct ApiOptions {
  http::Endpoint endpoint;
  std::string region;
  std::chrono::milliseconds backoff_least{25};
  std::chrono::milliseconds backoff_most{5'000};
  // The longest that an attempt may take by the HTTP client's own time-outs.
  std::chrono::milliseconds attempt_most{15'000};
  std::optional<std::uint64_t> random_seed{};  // of the jitter, for a run that can be repeated
};

// What one response means, apart from the retries.
enum class Verdict : std::uint8_t {
  kOk,
  kConditionFailed,
  kThrottled,     // not carried out
  kServerFailed,  // may have been carried out
  kClockSkewed,
  kTokenExpired,
  kRefused,
};

struct Judgement {
  Verdict verdict = Verdict::kRefused;
  ErrorKind kind = ErrorKind::kUnavailable;
  std::string type;     // `ResourceNotFoundException`; empty: the response names none
  std::string message;  // the service's own
};

[[nodiscard]] Judgement judge(const http::Response& response);

class Api {
 public:
  using Done = std::function<void(ApiResult)>;
  using Steady = std::chrono::steady_clock::time_point;

  Api(http::Transport& client, aws::CredentialChain& credentials, const Clock& clock, ApiOptions options);
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;
  ~Api() = default;

  // `table` is for messages.  No attempt begins after `deadline`, and none is waited for longer.
  void call(std::string_view operation, std::string_view table, std::string body, Steady deadline, Done done);

  // I/O thread.  Calls under way give up instead of being repeated, and so do later ones.
  void give_up() { given_up_ = true; }

  [[nodiscard]] http::Transport& client() { return client_; }
  [[nodiscard]] const std::string& region() const { return options_.region; }
  [[nodiscard]] const http::Endpoint& endpoint() const { return options_.endpoint; }
  [[nodiscard]] Steady now() const { return clock_.steady(); }
  // A random wait before attempt number `attempt` (from 1) is repeated.
  [[nodiscard]] std::chrono::milliseconds backoff(int attempt);

  struct Counters {
    std::uint64_t attempts = 0;
    std::uint64_t throttled = 0;
    std::uint64_t retries = 0;
  };
  [[nodiscard]] const Counters& counters() const { return counters_; }

 private:
  struct Call;
  using CallPtr = std::shared_ptr<Call>;

  void attempt(const CallPtr& call);
  void watch_deadline(const CallPtr& call);
  void send(const CallPtr& call, const aws::CredentialsPtr& credentials);
  void on_outcome(const CallPtr& call, http::Outcome outcome);
  void on_response(const CallPtr& call, http::Response response);
  void retry(const CallPtr& call, Error why);
  void attempt_at(const CallPtr& call, Steady when, Error why);
  void finish_gave_up(const CallPtr& call, const Error& why);
  void refuse(const CallPtr& call, const Judgement& judgement, int status);
  // True if the clock was corrected by what the response says.
  bool correct_clock(const CallPtr& call, const http::Response& response);

  http::Transport& client_;
  aws::CredentialChain& credentials_;
  const Clock& clock_;
  const ApiOptions options_;
  const std::string host_;
  aws::Signer signer_;
  bool given_up_ = false;
  std::chrono::seconds skew_{0};  // the service's clock minus ours
  std::minstd_rand random_;
  Counters counters_;
};

}  // namespace culvert::dynamodb
