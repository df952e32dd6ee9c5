// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <optional>
#include <utility>

namespace culvert::dynamodb {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::array<std::string_view, 6> kThrottled{
    "ProvisionedThroughputExceededException", "ThrottlingException",         "RequestLimitExceeded", "Throttling",
    "ReplicatedWriteConflictException",       "TransactionConflictException"};
constexpr std::array<std::string_view, 4> kServerFailed{"InternalServerError", "InternalFailure", "ServiceUnavailable",
                                                        "ServiceUnavailableException"};
constexpr std::array<std::string_view, 5> kClock{"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture",
                                                 "InvalidSignatureException", "SignatureDoesNotMatch"};
constexpr std::array<std::string_view, 3> kToken{"ExpiredTokenException", "ExpiredToken",
                                                 "UnrecognizedClientException"};
constexpr std::array<std::string_view, 4> kPermission{"AccessDeniedException", "MissingAuthenticationTokenException",
                                                      "MissingAuthenticationToken", "IncompleteSignatureException"};

constexpr milliseconds kPauseStep{200};

template <std::size_t N>
bool one_of(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// `com.amazonaws.dynamodb.v20120810#ThrottlingException` and `ThrottlingException:http://..` to the name alone.
std::string short_type(std::string_view text) {
  if (const auto hash = text.rfind('#'); hash != std::string_view::npos) text.remove_prefix(hash + 1);
  return std::string(text.substr(0, text.find(':')));
}

void read_error_body(const http::Response& response, Judgement& judgement) {
  boost::json::error_code failed;
  const auto value = boost::json::parse(response.body, failed);
  const auto* object = failed ? nullptr : value.if_object();
  const auto text = [&](const char* name) {
    const auto* found = object == nullptr ? nullptr : object->if_contains(name);
    const auto* string = found == nullptr ? nullptr : found->if_string();
    return string == nullptr ? std::string() : std::string(string->data(), string->size());
  };
  judgement.type = short_type(text("__type"));
  judgement.message = text("message");
  if (judgement.message.empty()) judgement.message = text("Message");  // DynamoDB Local's spelling
  if (judgement.type.empty()) {
    if (const std::string* header = response.header("x-amzn-ErrorType")) judgement.type = short_type(*header);
  }
}

}  // namespace

Judgement judge(const http::Response& response) {
  Judgement judgement;
  if (response.status == 200) {
    // A body that is not JSON comes from something in between: it says nothing about the call.
    const bool json = response.body.starts_with('{');
    judgement.verdict = json ? Verdict::kOk : Verdict::kServerFailed;
    if (!json) judgement.message = "a response that is not DynamoDB's";
    return judgement;
  }
  read_error_body(response, judgement);
  const std::string& type = judgement.type;
  if (type == "ConditionalCheckFailedException") {
    judgement.verdict = Verdict::kConditionFailed;
  } else if (one_of(kThrottled, type) || response.status == 429) {
    judgement.verdict = Verdict::kThrottled;
  } else if (one_of(kServerFailed, type) || response.status >= 500 || response.status == 408) {
    judgement.verdict = Verdict::kServerFailed;
  } else if (one_of(kClock, type)) {
    judgement.verdict = Verdict::kClockSkewed;
    judgement.kind = ErrorKind::kPermission;
  } else if (one_of(kToken, type)) {
    judgement.verdict = Verdict::kTokenExpired;
    judgement.kind = ErrorKind::kPermission;
  } else if (one_of(kPermission, type) || response.status == 401 || response.status == 403) {
    judgement.kind = ErrorKind::kPermission;
  } else if (type == "ResourceNotFoundException" || type == "ValidationException") {
    judgement.kind = ErrorKind::kConfiguration;
  }
  return judgement;
}

struct Api::Call {
  std::string operation;
  std::string table;
  std::string body;
  Steady deadline;
  Done done;
  aws::CredentialsPtr credentials;
  std::chrono::sys_seconds signed_at;
  int attempts = 0;
  bool maybe_done = false;
  bool clock_corrected = false;
  bool token_refreshed = false;
  bool watched = false;
  std::string last_error;  // of the attempt before

  [[nodiscard]] std::string context() const { return fmt::format("table '{}': {}", table, operation); }
  void finish(ApiResult result) {
    result.maybe_done = maybe_done;
    std::exchange(done, nullptr)(std::move(result));
  }
};

Api::Api(http::Transport& client, aws::CredentialChain& credentials, const Clock& clock, ApiOptions options)
    : client_(client),
      credentials_(credentials),
      clock_(clock),
      options_(std::move(options)),
      host_(options_.endpoint.authority()),
      signer_(options_.region, "dynamodb"),
      random_(static_cast<std::minstd_rand::result_type>(options_.random_seed.value_or(std::random_device{}()))) {}

void Api::call(std::string_view operation, std::string_view table, std::string body, Steady deadline, Done done) {
  auto call = std::make_shared<Call>();
  call->operation = operation;
  call->table = table;
  call->body = std::move(body);
  call->deadline = deadline;
  call->done = std::move(done);
  attempt(call);
}

// Near its deadline a call is ended by the clock, whatever its attempt is waiting for: names, a connection, an answer.
// Only there, as a timer for each of thousands of calls a second would cost more than the calls.
void Api::watch_deadline(const CallPtr& call) {
  const auto left = std::chrono::ceil<milliseconds>(call->deadline - now());
  if (call->watched || left >= options_.attempt_most) return;
  call->watched = true;
  client_.after(left, [this, call] {
    if (!call->done) return;
    call->maybe_done = true;
    std::string what = fmt::format("{}: {}: no answer in time, at attempt {}", call->context(),
                                   options_.endpoint.text(), call->attempts);
    if (!call->last_error.empty()) what += fmt::format(" (before it: {})", call->last_error);
    call->finish({.answer = Answer::kGaveUp, .error = Error::retriable_error(ErrorKind::kUnavailable, what)});
  });
}

void Api::attempt(const CallPtr& call) {
  if (!call->done) return;
  ++call->attempts;
  watch_deadline(call);
  credentials_.get([this, call](Result<aws::CredentialsPtr> credentials) {
    if (credentials) return send(call, *credentials);
    if (credentials.error().retriable) return retry(call, credentials.error());
    if (call->done) call->finish({.error = credentials.error()});
  });
}

void Api::send(const CallPtr& call, const aws::CredentialsPtr& credentials) {
  if (!call->done) return;
  call->credentials = credentials;
  ++counters_.attempts;
  http::Request request{.method = "POST", .target = "/"};
  request.headers.reserve(6);
  request.headers.push_back({"Content-Type", "application/x-amz-json-1.0"});
  request.headers.push_back({"X-Amz-Target", "DynamoDB_20120810." + call->operation});
  request.body = call->body;
  const auto now = std::chrono::floor<seconds>(clock_.wall()) + skew_;
  call->signed_at = now;
  signer_.sign(request, host_, *credentials, now);
  client_.send(options_.endpoint, std::move(request),
               [this, call](http::Outcome outcome) { on_outcome(call, std::move(outcome)); });
}

void Api::on_outcome(const CallPtr& call, http::Outcome outcome) {
  if (!call->done) return;  // too late
  if (outcome.ok()) return on_response(call, std::move(outcome.response()));
  const http::Failure& failure = outcome.failure();
  call->maybe_done = call->maybe_done || failure.maybe_sent;
  if (failure.error.retriable) return retry(call, failure.error);
  call->finish({.error = failure.error.within(call->context())});
}

void Api::on_response(const CallPtr& call, http::Response response) {
  const Judgement judgement = judge(response);
  switch (judgement.verdict) {
    case Verdict::kOk:
      return call->finish({.answer = Answer::kOk, .body = std::move(response.body)});
    case Verdict::kConditionFailed:
      return call->finish({.answer = Answer::kConditionFailed, .body = std::move(response.body)});
    case Verdict::kThrottled:
    case Verdict::kServerFailed:
      if (judgement.verdict == Verdict::kThrottled) {
        ++counters_.throttled;
      } else {
        call->maybe_done = true;
      }
      return retry(call,
                   Error::retriable_error(ErrorKind::kUnavailable, fmt::format("HTTP {} {} {}", response.status,
                                                                               judgement.type, judgement.message)));
    case Verdict::kClockSkewed:
      if (correct_clock(call, response)) return attempt(call);
      return refuse(call, judgement, response.status);
    case Verdict::kTokenExpired:
      credentials_.discard(call->credentials);
      if (!std::exchange(call->token_refreshed, true)) return attempt(call);
      return refuse(call, judgement, response.status);
    case Verdict::kRefused:
      return refuse(call, judgement, response.status);
  }
}

bool Api::correct_clock(const CallPtr& call, const http::Response& response) {
  const std::string* date = response.header("Date");
  const auto theirs = date == nullptr ? std::nullopt : http::parse_http_date(*date);
  if (!theirs || std::exchange(call->clock_corrected, true)) return false;
  skew_ = *theirs - std::chrono::floor<seconds>(clock_.wall());
  // Signatures hold for five minutes.  If the call was signed nearer than that to the service's time, the refusal has
  // another cause: a wrong secret.  It is the call's own signature that counts: another call may have corrected the
  // clock meanwhile.
  constexpr seconds kMeaningful{120};
  const seconds off = *theirs - call->signed_at;
  return off > kMeaningful || off < -kMeaningful;
}

milliseconds Api::backoff(int attempt) {
  const std::int64_t grown = options_.backoff_least.count() << std::min(attempt - 1, 20);
  const std::int64_t most = std::min<std::int64_t>(grown, options_.backoff_most.count());
  return milliseconds{std::uniform_int_distribution<std::int64_t>(0, most)(random_)};
}

void Api::retry(const CallPtr& call, Error why) {
  if (!call->done) return;
  call->last_error = why.message;
  const milliseconds delay = backoff(call->attempts);
  if (given_up_ || now() + delay >= call->deadline) return finish_gave_up(call, why);
  ++counters_.retries;
  attempt_at(call, now() + delay, std::move(why));
}

// In short steps, so that giving up does not wait for the end of a pause.
void Api::attempt_at(const CallPtr& call, Steady when, Error why) {
  if (!call->done) return;  // its deadline came during the pause
  if (given_up_) return finish_gave_up(call, why);
  const auto left = std::chrono::ceil<milliseconds>(when - now());
  if (left <= milliseconds{0}) return attempt(call);
  client_.after(std::min(left, kPauseStep),
                [this, call, when, reason = std::move(why)]() mutable { attempt_at(call, when, std::move(reason)); });
}

void Api::finish_gave_up(const CallPtr& call, const Error& why) {
  const Error gave_up = why.within(fmt::format("{}: gave up after {} attempts", call->context(), call->attempts));
  call->finish({.answer = Answer::kGaveUp, .error = gave_up});
}

void Api::refuse(const CallPtr& call, const Judgement& judgement, int status) {
  std::string what = judgement.type.empty() ? fmt::format("HTTP {}", status) : judgement.type;
  if (!judgement.message.empty()) what += ": " + judgement.message;
  std::string remedy;
  if (judgement.type == "ResourceNotFoundException") {
    what = fmt::format("not found in {}", options_.region);
    remedy = " (create it with infra/modules/aggregate_table, or --create-table)";
  } else if (judgement.kind == ErrorKind::kPermission) {
    remedy = fmt::format(" (check the policy of access key {})", call->credentials->access_key_id);
  }
  ApiResult result;
  result.error = Error::fatal(judgement.kind, fmt::format("{}: {}{}", call->context(), what, remedy));
  result.type = judgement.type;
  call->finish(std::move(result));
}

}  // namespace culvert::dynamodb
