// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/credentials.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <utility>

#include "adapters/aws/credential_text.h"
#include "adapters/http/address.h"
#include "adapters/http/small_file.h"

namespace culvert::aws {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kEndpointTimeout{2'000};

std::string without_line_end(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  return text;
}

Error fatal(const std::string& message) { return Error::fatal(ErrorKind::kPermission, "AWS credentials: " + message); }

std::string profile_path(const Environment& environment, const char* variable, const char* name) {
  if (const auto path = environment(variable)) return *path;
  const auto home = environment("HOME");
  return home ? *home + "/.aws/" + name : std::string();
}

std::string profile_name(const Environment& environment) {
  return environment("AWS_PROFILE").value_or(environment("AWS_DEFAULT_PROFILE").value_or("default"));
}

// The profile out of both files; the credentials file wins, as it does elsewhere.
std::optional<Profile> read_profile(const Environment& environment) {
  std::optional<Profile> joined;
  const std::string name = profile_name(environment);
  for (const auto& path : {profile_path(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials"),
                           profile_path(environment, "AWS_CONFIG_FILE", "config")}) {
    const auto text = path.empty() ? std::nullopt : http::read_small_file(path);
    auto profile = text ? find_profile(*text, name) : std::nullopt;
    if (!profile) continue;
    if (!joined) joined.emplace();
    joined->merge(*profile);  // keeps what is there
  }
  return joined;
}

std::string value_of(const Profile& profile, std::string_view name) {
  const auto found = profile.find(name);
  return found == profile.end() ? std::string() : found->second;
}

std::string form(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string text;
  for (const auto& [name, value] : pairs) {
    if (!text.empty()) text += '&';
    text += uri_encode(name) + "=" + uri_encode(value);
  }
  return text;
}

bool permitted_plain(const http::Endpoint& endpoint) {
  const auto address = http::Address::parse(endpoint.host);
  if (endpoint.host == "localhost" || (address && address->loopback())) return true;
  return endpoint.host == "169.254.170.2" || endpoint.host == "169.254.170.23" || endpoint.host == "fd00:ec2::23";
}

}  // namespace

std::optional<std::string> process_environment(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::optional<std::string> region_from(const Environment& environment) {
  if (auto region = environment("AWS_REGION")) return region;
  if (auto region = environment("AWS_DEFAULT_REGION")) return region;
  const auto profile = read_profile(environment);
  const std::string region = profile ? value_of(*profile, "region") : "";
  return region.empty() ? std::nullopt : std::optional(region);
}

// Shared with callbacks of requests under way, which may outlive the chain by the time of a client's shutdown.
struct CredentialChain::State : std::enable_shared_from_this<State> {
  State(http::Transport& http_client, const Clock& wall, CredentialOptions chosen)
      : client(http_client), clock(wall), options(std::move(chosen)), random(std::random_device{}()) {}

  http::Transport& client;
  const Clock& clock;
  const CredentialOptions options;
  std::mt19937_64 random;
  CredentialsPtr current;
  WallTime refresh_at{};
  bool fetching = false;
  std::vector<Ready> waiting;

  void get(Ready ready);
  void fetch();
  void fetched(Result<Credentials> result);
  void schedule_refresh();
  [[nodiscard]] bool expired() const { return current->expires_at && clock.wall() >= *current->expires_at; }

  // Each looks whether its source is configured; if so it ends in fetched(), else it hands over to the next.
  void from_environment();
  void from_profile();
  void from_web_identity(const std::string& role, const std::string& token_file, const std::string& session);
  void from_container();
  void from_container_url(const std::string& text, bool any_host);
  void from_instance();
  void instance_role(const http::Url& base, const std::string& token);
  void instance_credentials(const http::Url& base, const std::string& token, const std::string& role);
  void nothing_found(const std::string& instance_said);
  void take_json(const http::Outcome& outcome, const std::string& source);
};

void CredentialChain::State::get(Ready ready) {
  if (current && !expired()) {
    // Renewal happens behind the back of whoever asks: the old ones are good until their end.
    if (clock.wall() >= refresh_at && !fetching) fetch();
    ready(current);
    return;
  }
  waiting.push_back(std::move(ready));
  if (!fetching) fetch();
}

void CredentialChain::State::fetch() {
  fetching = true;
  from_environment();
}

void CredentialChain::State::schedule_refresh() {
  refresh_at = WallTime::max();
  if (!current->expires_at) return;
  const WallTime now = clock.wall();
  const WallTime end = *current->expires_at;
  const auto share = std::uniform_real_distribution<double>(0.0, 1.0)(random);
  const auto life = end - now;
  if (life >= std::chrono::minutes{15}) {
    refresh_at = end - std::chrono::minutes{5} - seconds{static_cast<int>(share * 300)};
  } else {
    const auto quarters = 2.0 + share;  // half to three quarters of a short life
    refresh_at = now + std::chrono::duration_cast<std::chrono::microseconds>(life * (quarters / 4));
  }
}

void CredentialChain::State::fetched(Result<Credentials> result) {
  fetching = false;
  if (result.ok()) {
    current = std::make_shared<const Credentials>(*std::move(result));
    schedule_refresh();
    for (const Ready& ready : std::exchange(waiting, {})) ready(current);
    return;
  }
  if (current && !expired()) refresh_at = clock.wall() + seconds{30 + static_cast<int>(random() % 30)};
  for (const Ready& ready : std::exchange(waiting, {})) ready(result.error());
}

void CredentialChain::State::from_environment() {
  const auto key = options.environment("AWS_ACCESS_KEY_ID");
  const auto secret = options.environment("AWS_SECRET_ACCESS_KEY");
  if (!key && !secret) return from_profile();
  if (!key || !secret) {
    return fetched(fatal("only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set (set both, or neither)"));
  }
  fetched(Credentials{*key, *secret, options.environment("AWS_SESSION_TOKEN").value_or(""), std::nullopt});
}

void CredentialChain::State::from_profile() {
  const auto profile = read_profile(options.environment);
  if (!profile && options.environment("AWS_PROFILE")) {
    return fetched(fatal(fmt::format("profile '{}' is in neither of the shared files (see AWS_PROFILE)",
                                     profile_name(options.environment))));
  }
  if (profile && !value_of(*profile, "aws_access_key_id").empty()) {
    const std::string secret = value_of(*profile, "aws_secret_access_key");
    if (secret.empty()) {
      return fetched(fatal(fmt::format("profile '{}' has aws_access_key_id but no aws_secret_access_key",
                                       profile_name(options.environment))));
    }
    return fetched(Credentials{value_of(*profile, "aws_access_key_id"), secret, value_of(*profile, "aws_session_token"),
                               std::nullopt});
  }
  if (profile && !value_of(*profile, "web_identity_token_file").empty()) {
    return from_web_identity(value_of(*profile, "role_arn"), value_of(*profile, "web_identity_token_file"),
                             value_of(*profile, "role_session_name"));
  }
  for (const char* unsupported : {"credential_process", "sso_session", "sso_start_url", "source_profile"}) {
    if (profile && !value_of(*profile, unsupported).empty()) {
      return fetched(
          fatal(fmt::format("profile '{}' uses {}, which is not supported: export its keys into the "
                            "environment instead",
                            profile_name(options.environment), unsupported)));
    }
  }
  const auto token_file = options.environment("AWS_WEB_IDENTITY_TOKEN_FILE");
  const auto role = options.environment("AWS_ROLE_ARN");
  if (token_file && role) {
    return from_web_identity(*role, *token_file, options.environment("AWS_ROLE_SESSION_NAME").value_or(""));
  }
  from_container();
}

void CredentialChain::State::from_web_identity(const std::string& role, const std::string& token_file,
                                               const std::string& session) {
  const auto token = http::read_small_file(token_file);
  if (!token) return fetched(fatal(fmt::format("web identity token file '{}' cannot be read", token_file)));
  const std::string fallback = options.region.empty() ? "https://sts.amazonaws.com"
                                                      : fmt::format("https://sts.{}.amazonaws.com", options.region);
  const auto url = http::parse_url(options.environment("AWS_ENDPOINT_URL_STS").value_or(fallback));
  if (!url) return fetched(url.error());
  http::Request request{.method = "POST", .target = url->target};
  request.headers = {{"Content-Type", "application/x-www-form-urlencoded"}};
  request.body = form({{"Action", "AssumeRoleWithWebIdentity"},
                       {"Version", "2011-06-15"},
                       {"RoleArn", role},
                       {"RoleSessionName", session.empty() ? "culvert" : session},
                       {"WebIdentityToken", without_line_end(*token)}});
  client.send(url->endpoint, std::move(request), [self = shared_from_this(), role](http::Outcome outcome) {
    if (!outcome.ok()) return self->fetched(outcome.failure().error.within("AWS credentials: token service"));
    const http::Response& response = outcome.response();
    if (response.status == 200) return self->fetched(credentials_from_sts(response.body));
    const std::string why = fmt::format("AWS credentials: role {} by web identity: HTTP {}, {}", role, response.status,
                                        sts_error(response.body));
    const bool passing = response.status >= 500 || response.status == 429;
    self->fetched(passing ? Error::retriable_error(ErrorKind::kUnavailable, why)
                          : Error::fatal(ErrorKind::kPermission, why));
  });
}

void CredentialChain::State::from_container() {
  if (const auto relative = options.environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")) {
    return from_container_url(options.container_url + *relative, true);
  }
  if (const auto full = options.environment("AWS_CONTAINER_CREDENTIALS_FULL_URI")) {
    return from_container_url(*full, false);
  }
  from_instance();
}

void CredentialChain::State::from_container_url(const std::string& text, bool any_host) {
  const auto url = http::parse_url(text);
  if (!url) return fetched(url.error());
  if (!any_host && !url->endpoint.tls && !permitted_plain(url->endpoint)) {
    return fetched(
        fatal(fmt::format("AWS_CONTAINER_CREDENTIALS_FULL_URI names '{}': plain http is accepted for loopback "
                          "and the container host only",
                          url->endpoint.host)));
  }
  http::Request request{.target = url->target, .timeout = kEndpointTimeout};
  auto authorization = options.environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const auto file = options.environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE")) {
    const auto token = http::read_small_file(*file);
    if (!token) return fetched(fatal(fmt::format("authorization token file '{}' cannot be read", *file)));
    authorization = without_line_end(*token);
  }
  if (authorization) request.headers.push_back({"Authorization", *authorization});
  client.send(url->endpoint, std::move(request), [self = shared_from_this()](const http::Outcome& outcome) {
    self->take_json(outcome, "container endpoint");
  });
}

void CredentialChain::State::take_json(const http::Outcome& outcome, const std::string& source) {
  const std::string context = "AWS credentials: " + source;
  if (!outcome.ok()) return fetched(outcome.failure().error.within(context));
  const int status = outcome.response().status;
  if (status != 200) {
    const std::string why = fmt::format("{}: HTTP {}", context, status);
    return fetched(status >= 500 || status == 429 ? Error::retriable_error(ErrorKind::kUnavailable, why)
                                                  : Error::fatal(ErrorKind::kPermission, why));
  }
  auto credentials = credentials_from_json(outcome.response().body);
  if (!credentials) return fetched(credentials.error().within(context));
  fetched(std::move(credentials));
}

void CredentialChain::State::from_instance() {
  if (options.environment("AWS_EC2_METADATA_DISABLED").value_or("") == "true") return nothing_found("switched off");
  const auto url =
      http::parse_url(options.environment("AWS_EC2_METADATA_SERVICE_ENDPOINT").value_or(options.instance_url));
  if (!url) return fetched(url.error());
  // Version 2 only: a token by PUT first, which a request forged through a proxy cannot get.
  http::Request request{.method = "PUT", .target = "/latest/api/token", .timeout = kEndpointTimeout};
  request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", "21600"}};
  client.send(url->endpoint, std::move(request), [self = shared_from_this(), base = *url](http::Outcome outcome) {
    if (!outcome.ok()) return self->nothing_found(outcome.failure().error.message);
    if (outcome.response().status != 200) {
      return self->nothing_found(fmt::format("HTTP {} for a token", outcome.response().status));
    }
    self->instance_role(base, outcome.response().body);
  });
}

void CredentialChain::State::instance_role(const http::Url& base, const std::string& token) {
  http::Request request{.target = "/latest/meta-data/iam/security-credentials/", .timeout = kEndpointTimeout};
  request.headers = {{"X-aws-ec2-metadata-token", token}};
  client.send(base.endpoint, std::move(request), [self = shared_from_this(), base, token](http::Outcome outcome) {
    if (!outcome.ok()) return self->take_json(outcome, "instance metadata");
    const http::Response& response = outcome.response();
    if (response.status == 404) return self->nothing_found("the instance has no role");
    if (response.status != 200) return self->take_json(outcome, "instance metadata");
    self->instance_credentials(base, token, without_line_end(response.body.substr(0, response.body.find('\n'))));
  });
}

void CredentialChain::State::instance_credentials(const http::Url& base, const std::string& token,
                                                  const std::string& role) {
  http::Request request{.target = "/latest/meta-data/iam/security-credentials/" + uri_encode(role),
                        .timeout = kEndpointTimeout};
  request.headers = {{"X-aws-ec2-metadata-token", token}};
  client.send(base.endpoint, std::move(request), [self = shared_from_this(), role](const http::Outcome& outcome) {
    self->take_json(outcome, fmt::format("instance metadata for role '{}'", role));
  });
}

void CredentialChain::State::nothing_found(const std::string& instance_said) {
  fetched(
      fatal(fmt::format("none found in environment, shared files, web identity, container endpoint or instance "
                        "metadata ({}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role",
                        instance_said)));
}

CredentialChain::CredentialChain(http::Transport& client, const Clock& clock, CredentialOptions options)
    : state_(std::make_shared<State>(client, clock, std::move(options))) {}

CredentialChain::~CredentialChain() = default;

void CredentialChain::get(Ready ready) { state_->get(std::move(ready)); }

void CredentialChain::discard(const CredentialsPtr& refused) {
  if (state_->current == refused) state_->current.reset();
}

Result<CredentialsPtr> CredentialChain::get_blocking() {
  return state_->client.wait_for<Result<CredentialsPtr>>(
      [this](Ready done) { state_->client.post([state = state_, ready = std::move(done)] { state->get(ready); }); });
}

}  // namespace culvert::aws
