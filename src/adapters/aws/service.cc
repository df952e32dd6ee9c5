// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <thread>
#include <utility>

#include "adapters/aws/credential_text.h"

namespace culvert::aws {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array<std::string_view, 6> kThrottled{"Throttling",           "ThrottlingException",
                                                     "ThrottledException",   "TooManyRequestsException",
                                                     "RequestLimitExceeded", "ServiceUnavailable"};
constexpr std::array<std::string_view, 5> kClock{"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture",
                                                 "InvalidSignatureException", "SignatureDoesNotMatch"};
constexpr std::array<std::string_view, 2> kExpired{"ExpiredTokenException", "ExpiredToken"};

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// `com.amazonaws.x#AccessDeniedException` and `AccessDeniedException:http://..` to the name alone.
std::string short_code(std::string_view text) {
  if (const auto hash = text.rfind('#'); hash != std::string_view::npos) text.remove_prefix(hash + 1);
  return std::string(text.substr(0, text.find(':')));
}

void read_json(const std::string& body, Refusal& refusal) {
  boost::json::error_code failed;
  const auto value = boost::json::parse(body, failed);
  const auto* object = failed ? nullptr : value.if_object();
  if (object == nullptr) return;
  const auto text = [&](const char* name) {
    const auto* found = object->if_contains(name);
    const auto* string = found == nullptr ? nullptr : found->if_string();
    return string == nullptr ? std::string() : std::string(string->data(), string->size());
  };
  refusal.code = short_code(text("__type"));
  refusal.message = text("message");
  if (refusal.message.empty()) refusal.message = text("Message");
}

}  // namespace

Result<http::Endpoint> service_endpoint(const Environment& environment, std::string_view variable,
                                        std::string_view prefix, const std::string& region) {
  for (const std::string& name : {fmt::format("AWS_ENDPOINT_URL_{}", variable), std::string("AWS_ENDPOINT_URL")}) {
    const auto text = environment(name.c_str());
    if (!text) continue;
    const auto url = http::parse_url(*text);
    if (!url) return url.error().within(name);
    return url->endpoint;
  }
  return http::Endpoint{
      true, fmt::format("{}.{}.amazonaws.com{}", prefix, region, region.starts_with("cn-") ? ".cn" : ""), 443};
}

std::string Refusal::text() const {
  if (code.empty() && message.empty()) return fmt::format("HTTP {}", status);
  if (code.empty()) return fmt::format("HTTP {}: {}", status, message);
  return message.empty() ? code : fmt::format("{}: {}", code, message);
}

Refusal read_refusal(const http::Response& response) {
  Refusal refusal;
  refusal.status = response.status;
  if (response.body.starts_with('<')) {
    const XmlError error = read_xml_error(response.body);
    refusal.code = error.code;
    refusal.message = error.message;
  } else {
    read_json(response.body, refusal);
  }
  if (refusal.code.empty()) {
    if (const std::string* header = response.header("x-amzn-ErrorType")) refusal.code = short_code(*header);
  }
  return refusal;
}

Service::Service(http::Client& client, CredentialChain& credentials, const Clock& clock, ServiceOptions options)
    : client_(client),
      credentials_(credentials),
      clock_(clock),
      options_(std::move(options)),
      host_(options_.endpoint.authority()),
      signer_(options_.region, options_.signing_name),
      random_(std::random_device{}()) {}

Result<http::Response> Service::call(const http::Request& request, Steady deadline) {
  clock_corrected_ = token_refreshed_ = false;
  std::string why;
  for (int attempt = 1;; ++attempt) {
    Next next = Next::kWait;
    auto credentials = credentials_.get_blocking();
    if (!credentials && !credentials.error().retriable) return credentials.error();
    if (!credentials) {
      why = credentials.error().message;
    } else {
      credentials_used_ = *credentials;
      http::Request signed_request = request;
      signed_at_ = std::chrono::floor<seconds>(clock_.wall()) + skew_;
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - clock_.steady());
      if (!signed_request.timeout && left > milliseconds{0}) signed_request.timeout = left;
      signer_.sign(signed_request, host_, *credentials_used_, signed_at_);
      http::Outcome outcome = client_.call(options_.endpoint, std::move(signed_request));
      if (outcome.ok()) {
        next = judge(outcome.response(), why);
        if (next == Next::kDone) return std::move(outcome.response());
      } else {
        if (!outcome.failure().error.retriable) return outcome.failure().error.within(options_.name);
        why = outcome.failure().error.message;
      }
    }
    const milliseconds delay = next == Next::kAgain ? milliseconds{0} : backoff(attempt);
    if (clock_.steady() + delay >= deadline) {
      return Error::retriable_error(ErrorKind::kUnavailable,
                                    fmt::format("{}: gave up after {} attempts: {}", options_.name, attempt, why));
    }
    std::this_thread::sleep_for(delay);
  }
}

Service::Next Service::judge(const http::Response& response, std::string& why) {
  if (response.status >= 200 && response.status < 300) return Next::kDone;
  const Refusal refusal = read_refusal(response);
  why = refusal.text();
  const bool passing = response.status >= 500 || response.status == 429 || response.status == 408;
  if (passing || one_of(kThrottled, refusal.code)) return Next::kWait;
  if (one_of(kClock, refusal.code)) return correct_clock(response) ? Next::kAgain : Next::kDone;
  if (one_of(kExpired, refusal.code)) {
    credentials_.discard(credentials_used_);
    return std::exchange(token_refreshed_, true) ? Next::kDone : Next::kAgain;
  }
  return Next::kDone;
}

bool Service::correct_clock(const http::Response& response) {
  const std::string* date = response.header("Date");
  const auto theirs = date == nullptr ? std::nullopt : http::parse_http_date(*date);
  if (!theirs || std::exchange(clock_corrected_, true)) return false;
  skew_ = *theirs - std::chrono::floor<seconds>(clock_.wall());
  // Signatures hold for five minutes: refused for less, the cause is another one, such as a wrong secret.
  constexpr seconds kMeaningful{120};
  const seconds off = *theirs - signed_at_;
  return off > kMeaningful || off < -kMeaningful;
}

milliseconds Service::backoff(int attempt) {
  const std::int64_t grown = options_.backoff_least.count() << std::min(attempt - 1, 20);
  const std::int64_t most = std::min<std::int64_t>(grown, options_.backoff_most.count());
  return milliseconds{std::uniform_int_distribution<std::int64_t>(0, most)(random_)};
}

}  // namespace culvert::aws
