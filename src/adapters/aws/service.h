// SPDX-License-Identifier: Apache-2.0
// Calls of AWS's control services: few, small, and waited for.
//
// Flow    secrets, broker addresses -> [Service::call] -> http::Client -> the service's response.
// Owner   whoever needs the service, one thread; client, chain and clock must outlive it.
// Time    every call has a deadline, retries included.  The wall clock serves signatures only, and is corrected by the
//         service's own where a signature is refused for the time.
// Bounds  one request at a time; bodies are limited by the HTTP client.
// See     adapters/dynamodb/api.h, which does the same without waiting, for many calls at once.
//
// Sent again, with full jitter, until the deadline: throttling, 5xx, lost replies.  Only what may be carried out twice
// is called through here.  Sent again once: a signature refused for the clock, an expired token.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "adapters/aws/credentials.h"
#include "adapters/aws/sigv4.h"
#include "adapters/clock/clock.h"
#include "adapters/http/client.h"
#include "model/result.h"

namespace culvert::aws {

struct ServiceOptions {
  std::string name;  // for messages: `Secrets Manager`
  http::Endpoint endpoint;
  std::string region;
  std::string signing_name;  // in the credential scope: `secretsmanager`
  std::chrono::milliseconds backoff_least{100};
  std::chrono::milliseconds backoff_most{3'000};
};

// Where a service answers: $AWS_ENDPOINT_URL_<variable>, $AWS_ENDPOINT_URL, or `https://prefix.region.amazonaws.com`.
// Error: kConfiguration, fatal: the variable holds no URL.
[[nodiscard]] Result<http::Endpoint> service_endpoint(const Environment& environment, std::string_view variable,
                                                      std::string_view prefix, const std::string& region);

// What a response other than 2xx says, in JSON (`__type`, x-amzn-ErrorType) or in XML (`<Code>`).
struct Refusal {
  int status = 0;
  std::string code;     // `AccessDeniedException`; empty: the response names none
  std::string message;  // the service's own

  // `AccessDeniedException: User .. is not authorized` or `HTTP 403`.
  [[nodiscard]] std::string text() const;
};
[[nodiscard]] Refusal read_refusal(const http::Response& response);

class Service {
 public:
  using Steady = std::chrono::steady_clock::time_point;

  Service(http::Client& client, CredentialChain& credentials, const Clock& clock, ServiceOptions options);

  // The response that settles it: 2xx, or a refusal that repeating will not change.
  // Error: kPermission (no credentials, refused credentials), kUnavailable (retriable: the deadline came first).
  // Not on the HTTP client's I/O thread.
  [[nodiscard]] Result<http::Response> call(const http::Request& request, Steady deadline);

  [[nodiscard]] const std::string& region() const { return options_.region; }
  [[nodiscard]] const std::string& name() const { return options_.name; }
  // The access key of the latest attempt, to tell people who was refused; empty before the first.
  [[nodiscard]] std::string access_key_id() const { return credentials_used_ ? credentials_used_->access_key_id : ""; }

 private:
  enum class Next : std::uint8_t { kDone, kWait, kAgain };
  // What one response means; `why` is set where another attempt is due.
  Next judge(const http::Response& response, std::string& why);
  bool correct_clock(const http::Response& response);
  [[nodiscard]] std::chrono::milliseconds backoff(int attempt);

  http::Client& client_;
  CredentialChain& credentials_;
  const Clock& clock_;
  const ServiceOptions options_;
  const std::string host_;
  Signer signer_;
  std::chrono::seconds skew_{0};  // the service's clock minus ours
  std::minstd_rand random_;
  // Of the call under way:
  CredentialsPtr credentials_used_;
  std::chrono::sys_seconds signed_at_;
  bool clock_corrected_ = false;
  bool token_refreshed_ = false;
};

}  // namespace culvert::aws
