// SPDX-License-Identifier: Apache-2.0
#include "fakes/dynamodb_fake.h"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <utility>

#include "fakes/dynamodb_store.h"
#include "model/check.h"
#include "model/time.h"

namespace culvert::fakes {

namespace {

namespace json = boost::json;

constexpr std::string_view kAccessKey = "AKIDFAKE";
constexpr std::string_view kSecret = "fake/secret+key";
constexpr std::chrono::milliseconds kLateBy{50};

FakeReply from_store(StoreReply stored) {
  FakeReply reply;
  reply.status = stored.status;
  reply.body = std::move(stored.body);
  reply.headers = {{"Content-Type", "application/x-amz-json-1.0"}};
  return reply;
}

json::object parse_object(const std::string& text) {
  json::error_code failed;
  auto value = json::parse(text, failed);
  CULVERT_CHECK(!failed && value.is_object(), "the fake was given a body that is no JSON object");
  return std::move(value.get_object());
}

// `Tue, 24 Nov 2026 10:00:00 GMT`
std::string http_date(std::chrono::sys_seconds time) {
  constexpr std::array<const char*, 7> kDays{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<const char*, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::string iso = format_utc(EventTime{time.time_since_epoch().count() * 1000});
  return fmt::format("{}, {} {} {} {} GMT", kDays.at(std::chrono::weekday{day}.c_encoding()), iso.substr(8, 2),
                     kMonths.at(static_cast<unsigned>(date.month()) - 1), iso.substr(0, 4), iso.substr(11, 8));
}

std::string between(const std::string& text, const std::string& from, const std::string& to) {
  const auto begin = text.find(from);
  if (begin == std::string::npos) return {};
  const auto at = begin + from.size();
  return text.substr(at, text.find(to, at) - at);
}

}  // namespace

struct DynamoDbFake::Tables : DynamoDbStore {};

DynamoDbFake::DynamoDbFake()
    : tables_(std::make_unique<Tables>()), server_([this](const FakeRequest& request) { return handle(request); }) {}

DynamoDbFake::~DynamoDbFake() = default;

std::map<std::string, std::string> DynamoDbFake::environment() const {
  return {{"AWS_ACCESS_KEY_ID", std::string(kAccessKey)},
          {"AWS_SECRET_ACCESS_KEY", std::string(kSecret)},
          {"AWS_REGION", "eu-central-1"},
          {"AWS_ENDPOINT_URL_DYNAMODB", url()}};
}

std::function<std::optional<std::string>(const char*)> DynamoDbFake::environment_reader() const {
  return [variables = environment()](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
}

std::optional<FakeReply> DynamoDbFake::check_signature(const FakeRequest& request) {
  const auto refuse = [&](std::string_view type, std::string_view message) {
    ++refused_signatures_;
    return from_store(error_reply(400, type, message));
  };
  const std::string authorization = request.header("Authorization");
  const std::string credential = between(authorization, "Credential=", ",");
  const std::string date = request.header("X-Amz-Date");
  const auto signed_at = aws::parse_amz_date(date);
  const auto region_at = credential.find('/', credential.find('/') + 1) + 1;
  const std::string region = credential.substr(region_at, credential.find('/', region_at) - region_at);
  if (!signed_at ||
      credential != fmt::format("{}/{}/{}/dynamodb/aws4_request", kAccessKey, date.substr(0, 8), region)) {
    return refuse("UnrecognizedClientException", "The security token included in the request is invalid.");
  }
  const auto now = std::chrono::floor<std::chrono::seconds>(clock_.wall()) + clock_offset_;
  constexpr std::chrono::minutes kTolerance{5};
  if (now - *signed_at > kTolerance || *signed_at - now > kTolerance) {
    return refuse("InvalidSignatureException",
                  fmt::format("Signature expired: {} is now {}", date, aws::amz_date(now)));
  }
  if (!session_token_.empty() && request.header("X-Amz-Security-Token") != session_token_) {
    return refuse("ExpiredTokenException", "The security token included in the request is expired");
  }
  std::vector<http::Header> headers;
  std::string names = between(authorization, "SignedHeaders=", ",");
  for (std::size_t at = 0; at < names.size();) {
    const std::string name = names.substr(at, names.find(';', at) - at);
    headers.push_back({name, request.header(name)});
    at += name.size() + 1;
  }
  const std::string hash = aws::hex(aws::sha256(request.body));
  const auto canonical = aws::canonical_request({request.method, request.target, {}, headers, hash});
  const aws::Credentials credentials{std::string(kAccessKey), std::string(kSecret), "", std::nullopt};
  auto& signer = signers_.try_emplace(region, region, "dynamodb").first->second;
  if (signer.signature(canonical.text, date, credentials) != between(authorization, "Signature=", ",") ||
      names.find("host") == std::string::npos || names.find("x-amz-target") == std::string::npos) {
    return refuse("InvalidSignatureException", "The request signature we calculated does not match");
  }
  return std::nullopt;
}

void DynamoDbFake::apply_due(std::chrono::steady_clock::time_point now) {
  while (!late_.empty() && late_.front().due <= now) {
    const Late late = std::move(late_.front());
    late_.erase(late_.begin());
    carry_out(late.operation, late.body);
  }
}

FakeReply DynamoDbFake::carry_out(const std::string& operation, const std::string& body) {
  return from_store(tables_->run(operation, parse_object(body)));
}

FakeReply DynamoDbFake::handle(const FakeRequest& request) {
  const std::lock_guard lock(mutex_);
  const std::string target = request.header("X-Amz-Target");
  const std::string operation = target.substr(target.find('.') + 1);
  apply_due(std::chrono::steady_clock::now());
  ++calls_[operation];
  FakeReply reply;
  const auto refused = verify_signatures_ ? check_signature(request) : std::nullopt;
  if (refused) {
    reply = *refused;
  } else {
    const FakeCall call{operation, between(request.body, "\"TableName\":\"", "\""), ++call_number_};
    switch (policy_ ? policy_(call) : CallFault::kNone) {
      case CallFault::kNone:
        reply = carry_out(operation, request.body);
        break;
      case CallFault::kThrottled:
        reply = from_store(error_reply(400, "ProvisionedThroughputExceededException", "The level of throughput"));
        break;
      case CallFault::kInternalError:
        reply = from_store(error_reply(500, "InternalServerError", "Internal server error"));
        break;
      case CallFault::kUnavailable:
        reply.status = 503;
        reply.body = "<html>Service Unavailable</html>";
        break;
      case CallFault::kErrorAfterApply:
        carry_out(operation, request.body);
        reply = from_store(error_reply(500, "InternalServerError", "Internal server error"));
        break;
      case CallFault::kRequestLost:
        reply.fault = FakeFault::kReset;
        break;
      case CallFault::kReplyLost:
        reply = carry_out(operation, request.body);
        reply.fault = FakeFault::kReset;
        break;
      case CallFault::kReplyCut:
        reply = carry_out(operation, request.body);
        reply.fault = FakeFault::kTruncate;
        break;
      case CallFault::kAppliedLate:
        late_.push_back({std::chrono::steady_clock::now() + kLateBy, operation, request.body});
        reply.fault = FakeFault::kReset;
        break;
      case CallFault::kSilent:
        reply = carry_out(operation, request.body);
        reply.fault = FakeFault::kSilence;
        break;
      case CallFault::kTokenExpired:
        reply = from_store(error_reply(400, "ExpiredTokenException", "The security token is expired"));
        break;
    }
  }
  reply.headers.push_back({"Date", http_date(std::chrono::floor<std::chrono::seconds>(clock_.wall()) + clock_offset_)});
  reply.delay = delay_;
  return reply;
}

void DynamoDbFake::set_faults(FaultPolicy policy) {
  const std::lock_guard lock(mutex_);
  policy_ = std::move(policy);
}

void DynamoDbFake::set_faults(const FaultShares& shares, std::uint64_t seed) {
  set_faults([shares, random = std::make_shared<std::mt19937_64>(seed)](const FakeCall&) {
    double draw = std::uniform_real_distribution<double>(0.0, 1.0)(*random);
    for (const auto& [share, fault] : {std::pair(shares.throttled, CallFault::kThrottled),
                                       {shares.internal_error, CallFault::kInternalError},
                                       {shares.unavailable, CallFault::kUnavailable},
                                       {shares.error_after_apply, CallFault::kErrorAfterApply},
                                       {shares.request_lost, CallFault::kRequestLost},
                                       {shares.reply_lost, CallFault::kReplyLost},
                                       {shares.reply_cut, CallFault::kReplyCut},
                                       {shares.applied_late, CallFault::kAppliedLate}}) {
      if (draw < share) return fault;
      draw -= share;
    }
    return CallFault::kNone;
  });
}

void DynamoDbFake::set_delay(std::chrono::microseconds delay) {
  const std::lock_guard lock(mutex_);
  delay_ = delay;
}

void DynamoDbFake::set_clock_offset(std::chrono::seconds offset) {
  const std::lock_guard lock(mutex_);
  clock_offset_ = offset;
}

void DynamoDbFake::require_session_token(const std::string& token) {
  const std::lock_guard lock(mutex_);
  session_token_ = token;
}

void DynamoDbFake::set_page_bytes(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  tables_->page_bytes = bytes;
}

void DynamoDbFake::set_batch_keys_most(std::size_t keys) {
  const std::lock_guard lock(mutex_);
  tables_->batch_keys_most = keys;
}

void DynamoDbFake::set_verify_signatures(bool verify) {
  const std::lock_guard lock(mutex_);
  verify_signatures_ = verify;
}

void DynamoDbFake::set_creating_calls(int calls) {
  const std::lock_guard lock(mutex_);
  tables_->creating_calls = calls;
}

std::uint64_t DynamoDbFake::calls(const std::string& operation) const {
  const std::lock_guard lock(mutex_);
  const auto found = calls_.find(operation);
  return found == calls_.end() ? 0 : found->second;
}

std::uint64_t DynamoDbFake::refused_signatures() const {
  const std::lock_guard lock(mutex_);
  return refused_signatures_;
}

std::vector<json::object> DynamoDbFake::items(const std::string& table) const {
  const std::lock_guard lock(mutex_);
  return tables_->items(table);
}

std::string DynamoDbFake::time_to_live(const std::string& table) const {
  const std::lock_guard lock(mutex_);
  return tables_->time_to_live(table);
}

void DynamoDbFake::create_table(const std::string& name, std::string_view hash, std::string_view hash_type,
                                std::string_view range, std::string_view range_type) {
  const std::lock_guard lock(mutex_);
  tables_->create(
      name, parse_object(fmt::format(R"json({{"KeySchema":[{{"AttributeName":"{0}","KeyType":"HASH"}},)json"
                                     R"json({{"AttributeName":"{2}","KeyType":"RANGE"}}],"AttributeDefinitions":[)json"
                                     R"json({{"AttributeName":"{0}","AttributeType":"{1}"}},)json"
                                     R"json({{"AttributeName":"{2}","AttributeType":"{3}"}}]}})json",
                                     hash, hash_type, range, range_type)));
}

void DynamoDbFake::put_raw(const std::string& table, const std::string& item_json) {
  const std::lock_guard lock(mutex_);
  tables_->put_raw(table, parse_object(item_json));
}

void DynamoDbFake::remove(const std::string& table, const std::string& key_json) {
  const std::lock_guard lock(mutex_);
  tables_->remove(table, parse_object(key_json));
}

void DynamoDbFake::apply_late_now() {
  const std::lock_guard lock(mutex_);
  apply_due(std::chrono::steady_clock::time_point::max());
}

}  // namespace culvert::fakes
