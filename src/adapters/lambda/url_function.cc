// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/url_function.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "adapters/lambda/event_writer.h"
#include "adapters/lambda/request_ids.h"

namespace culvert::lambda {

namespace {

constexpr std::string_view kEmulatorPath = "/2015-03-31/functions/function/invocations";
constexpr Millis kGrace{5'000};
constexpr Millis kTick{1'000};

// The emulator answers 200 with the error alone, without the header that Lambda's API has.
bool is_error_object(std::string_view body) {
  boost::json::error_code error;
  const boost::json::value value = boost::json::parse(boost::json::string_view(body.data(), body.size()), error);
  if (error || !value.is_object()) return false;
  const auto* type = value.get_object().if_contains("errorType");
  const auto* message = value.get_object().if_contains("errorMessage");
  return type != nullptr && type->is_string() && message != nullptr && message->is_string();
}

}  // namespace

InvocationOutcome read_invocation_answer(const http::Response& response) {
  InvocationOutcome outcome;
  outcome.status = response.status;
  outcome.text = response.body;
  if (const std::string* id = response.header("X-Amzn-RequestId")) outcome.request_id = *id;
  if (response.status < 200 || response.status > 299) {
    outcome.end = InvocationEnd::kUnreachable;
    outcome.text = fmt::format("it answered {}: {}", response.status, response.body);
  } else if (response.header("X-Amz-Function-Error") != nullptr || is_error_object(response.body)) {
    outcome.end = InvocationEnd::kFunctionError;
  }
  return outcome;
}

UrlFunction::UrlFunction(UrlFunctionOptions options, http::Url url, const Clock& clock)
    : options_(std::move(options)), url_(std::move(url)), clock_(clock) {
  http::ClientOptions client;
  client.connections_most = static_cast<std::size_t>(options_.connections);
  client.body_bytes_most = 2 * kEventBytesMost;
  client_ = std::make_unique<http::Client>(client, resolver_);
}

UrlFunction::~UrlFunction() = default;

Result<std::unique_ptr<UrlFunction>> UrlFunction::open(UrlFunctionOptions options, const Clock& clock) {
  auto url = http::parse_url(options.url);
  if (!url) return url.error();
  if (url->target == "/") url->target = kEmulatorPath;
  return std::unique_ptr<UrlFunction>(new UrlFunction(std::move(options), *std::move(url), clock));
}

void UrlFunction::submit(Ticket ticket, std::shared_ptr<const std::string> event) {
  http::Request request;
  request.method = "POST";
  request.target = url_.target;
  request.headers = {{"Content-Type", "application/json"}};
  request.body = *event;
  request.timeout = options_.timeout + kGrace;
  const SteadyTime begun = clock_.steady();
  {
    const std::lock_guard lock(mutex_);
    ++counters_.invocations;
  }
  client_->send(url_.endpoint, std::move(request), [this, ticket, begun](http::Outcome answer) {
    InvocationOutcome outcome;
    if (answer.ok()) {
      outcome = read_invocation_answer(answer.response());
    } else {
      outcome.end = InvocationEnd::kUnreachable;
      outcome.status = 0;
      outcome.text = answer.failure().error.message;
    }
    outcome.ticket = ticket;
    outcome.duration = std::chrono::duration_cast<Millis>(clock_.steady() - begun);
    if (outcome.request_id.empty()) outcome.request_id = random_request_id();
    take(std::move(outcome));
  });
}

void UrlFunction::take(InvocationOutcome outcome) {
  {
    const std::lock_guard lock(mutex_);
    counters_.busy += outcome.duration;
    if (outcome.end == InvocationEnd::kFunctionError) ++counters_.function_errors;
    if (outcome.end == InvocationEnd::kUnreachable) ++counters_.unreachable;
    outcomes_.push_back(std::move(outcome));
  }
  if (options_.wake) options_.wake();
}

std::vector<InvocationOutcome> UrlFunction::take_outcomes() {
  const std::lock_guard lock(mutex_);
  return std::exchange(outcomes_, {});
}

Result<SteadyTime> UrlFunction::tick(SteadyTime now) { return now + kTick; }

InvokerCounters UrlFunction::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace culvert::lambda
