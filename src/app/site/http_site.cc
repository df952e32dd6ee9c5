// SPDX-License-Identifier: Apache-2.0
#include "app/site/http_site.h"

#include <fmt/format.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <list>
#include <mutex>

#include "adapters/http/request_reader.h"
#include "adapters/http/server.h"
#include "app/site/board_json.h"
#include "app/site/http_gate.h"
#include "app/site/json_out.h"
#include "app/site/metrics_text.h"
#include "dashboard/assets.h"

namespace culvert {

using dashboard::Snapshot;
using http::Header;
using http::Responder;
using http::ServerRequest;
using http::ServerResponse;

namespace {

constexpr std::size_t kStreamsMost = 64;
constexpr Millis kEventsApart{400};
// The session looks at its clock many times a second; only a call that is stuck keeps it from doing so.
constexpr Millis kTickMost{60'000};
constexpr std::size_t kSearchMost = 100;  // characters
constexpr std::string_view kJson = "application/json";

std::vector<Header> headers_for(std::string_view type, std::string_view caching = "no-store") {
  return {{"Content-Type", std::string(type)},
          {"Cache-Control", std::string(caching)},
          {"Content-Security-Policy",
           "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action "
           "'self'; base-uri 'none'; frame-ancestors 'none'"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Referrer-Policy", "no-referrer"},
          {"X-Content-Type-Options", "nosniff"}};
}

ServerResponse json(std::string body, int status = 200) { return {status, headers_for(kJson), std::move(body) + "\n"}; }

ServerResponse failed(int status, std::string_view code, std::string_view message) {
  JsonOut out;
  out.object().object("error").text("code", code).text("message", message).end_object().end_object();
  return json(out.take(), status);
}

ServerResponse moved(std::string_view to) {
  auto headers = headers_for("text/plain");
  headers.push_back({"Location", std::string(to)});
  return {303, std::move(headers), ""};
}

std::string random_secret() {
  std::array<unsigned char, 32> bytes{};
  CULVERT_CHECK(::RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1, "no randomness for sessions");
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

template <class Value>
using Choices = std::initializer_list<std::pair<std::string_view, Value>>;

// Query parameters, checked; the first thing that is wrong is remembered.
class Parameters {
 public:
  explicit Parameters(const http::TargetParts& target) : target_(target) {}

  std::size_t integer(std::string_view name, std::size_t by_default, std::size_t most) {
    const std::string* text = target_.parameter(name);
    if (text == nullptr) return by_default;
    std::size_t value = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (error != std::errc{} || end != text->data() + text->size() || value < 1 || value > most) {
      refuse(fmt::format("{} is a whole number from 1 to {}", name, most));
      return by_default;
    }
    return value;
  }
  template <class Value>
  Value choice(std::string_view name, Value by_default, Choices<Value> choices) {
    const std::string* text = target_.parameter(name);
    if (text == nullptr) return by_default;
    std::string words;
    for (const auto& [word, value] : choices) {
      if (*text == word) return value;
      words.append(words.empty() ? "" : ", ").append(word);
    }
    refuse(fmt::format("{} is one of {}", name, words));
    return by_default;
  }
  std::string text(std::string_view name, std::size_t characters_most) {
    const std::string* text = target_.parameter(name);
    if (text == nullptr) return {};
    const auto continues = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; };
    const auto inner = static_cast<std::size_t>(std::count_if(text->begin(), text->end(), continues));
    if (text->size() - inner > characters_most) {
      refuse(fmt::format("{} has at most {} characters", name, characters_most));
    }
    return *text;
  }
  void refuse(std::string why) {
    if (!wrong_) wrong_ = std::move(why);
  }
  [[nodiscard]] std::optional<ServerResponse> problem() const {
    if (!wrong_) return std::nullopt;
    return failed(400, "bad_parameter", *wrong_);
  }

 private:
  const http::TargetParts& target_;
  std::optional<std::string> wrong_;
};

}  // namespace

class HttpSite::Impl {
 public:
  Impl(const ListenSettings& settings, SiteOptions options, dashboard::Board& board, const Clock& clock)
      : options_(options),
        board_(board),
        clock_(clock),
        gate_(settings.address.address, settings.token, random_secret()) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    board_.on_publish({});
    {
      const std::lock_guard lock(streams_mutex_);
      for (const auto& stream : streams_) stream->end();
    }
    server_.reset();
  }

  Result<void> open(const ListenSettings& settings) {
    http::ServerOptions options;
    options.address = settings.address.address;
    options.port = settings.address.port;
    options.body_bytes_most = 4 << 10;  // the login form
    auto server = http::Server::listen(
        options, [this](const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
          answer(request, responder);
        });
    if (!server) return server.error().within("--listen");
    server_ = *std::move(server);
    board_.on_publish([this](const std::shared_ptr<const Snapshot>& now) { push(now); });
    return {};
  }

  [[nodiscard]] std::string url() const { return server_->url(); }
  [[nodiscard]] std::size_t watchers() const {
    const std::lock_guard lock(streams_mutex_);
    return static_cast<std::size_t>(
        std::count_if(streams_.begin(), streams_.end(), [](const auto& stream) { return !stream->gone(); }));
  }

 private:
  void answer(const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
    const auto target = http::parse_target(request.target);
    if (!target) {
      responder->respond(failed(400, "bad_target", "the address is not properly percent-encoded"));
      return;
    }
    if (auto refused = refusal(request, target->path)) {
      responder->respond(*std::move(refused));
    } else if (target->path == "/api/v1/events") {
      open_stream(request, responder);
    } else {
      responder->respond(route(request, *target));
    }
  }

  // Probes are answered to everybody who may connect: they say nothing but whether the program works.
  [[nodiscard]] std::optional<ServerResponse> refusal(const ServerRequest& request, const std::string& path) const {
    const bool login = path == "/login" && gate_.has_token();
    if (request.method != "GET" && request.method != "HEAD" && !(login && request.method == "POST")) {
      auto response = failed(405, "method_not_allowed", "everything here is read only");
      response.headers.push_back({"Allow", login ? "GET, HEAD, POST" : "GET, HEAD"});
      return response;
    }
    switch (gate_.judge(request)) {
      case GateVerdict::kOpen:
        return std::nullopt;
      case GateVerdict::kForeignHost:
        return failed(403, "foreign_host", "this address is served to this machine only, under its own names");
      case GateVerdict::kNoToken:
        break;
    }
    if (login || path == "/healthz" || path == "/readyz" || path == "/app.css" || path == "/icon.svg") {
      return std::nullopt;
    }
    const std::string* accept = request.header("accept");
    if (path == "/" && accept != nullptr && accept->find("text/html") != std::string::npos) return moved("/login");
    auto response = failed(401, "no_token", "send the token as Authorization: Bearer");
    response.headers.push_back({"WWW-Authenticate", "Bearer realm=\"culvert\""});
    return response;
  }

  ServerResponse route(const ServerRequest& request, const http::TargetParts& target) {
    const std::string& path = target.path;
    if (path == "/healthz") return health();
    if (path == "/readyz") return readiness();
    if (path == "/login" && !gate_.has_token()) return moved("/");
    if (path == "/login" && request.method == "POST") return login(request);
    if (const auto* asset = dashboard::find_asset(path)) return file(*asset, request);
    if (path == "/version") return json(version_json(board_));
    if (path == "/api/v1/configuration") return json(configuration_json(board_));
    if (path == "/api/v1/history") return json(history_json(board_));
    if (path == "/api/v1/devices") return devices(target);
    if (path == "/api/v1/device") return device(target);
    const bool needs_snapshot = path == "/metrics" || path == "/api/v1/status" || path == "/api/v1/partitions" ||
                                path == "/api/v1/dead-letters";
    if (!needs_snapshot) return failed(404, "not_found", "there is no such page");
    const auto now = board_.snapshot();
    if (!now) return failed(503, "starting", "nothing is known yet");
    if (path == "/metrics") {
      return {200, headers_for("text/plain; version=0.0.4; charset=utf-8"), metrics_text(board_, *now)};
    }
    if (path == "/api/v1/status") return json(status_json(board_, *now));
    if (path == "/api/v1/partitions") return json(partitions_json(*now));
    return dead_letters(target, *now);
  }

  ServerResponse devices(const http::TargetParts& target) const {
    using dashboard::DeviceOrder;
    Parameters parameters(target);
    dashboard::DeviceQuery query;
    query.search = parameters.text("search", kSearchMost);
    query.page = parameters.integer("page", 1, 1'000'000);
    query.size = parameters.integer("size", 50, 200);
    query.order = parameters.choice<DeviceOrder>("sort", DeviceOrder::kDevice,
                                                 {{"device", DeviceOrder::kDevice},
                                                  {"latest", DeviceOrder::kLatest},
                                                  {"count", DeviceOrder::kCount},
                                                  {"mean", DeviceOrder::kMean},
                                                  {"min", DeviceOrder::kMin},
                                                  {"max", DeviceOrder::kMax},
                                                  {"heard", DeviceOrder::kHeard}});
    query.descending = parameters.choice<bool>("order", false, {{"asc", false}, {"desc", true}});
    if (auto problem = parameters.problem()) return *std::move(problem);
    return json(devices_json(board_, query));
  }

  ServerResponse device(const http::TargetParts& target) const {
    Parameters parameters(target);
    const std::string id = parameters.text("id", kDeviceBytesMost);
    if (id.empty()) parameters.refuse("id names the device");
    if (auto problem = parameters.problem()) return *std::move(problem);
    auto found = device_json(board_, id);
    if (!found) return failed(404, "no_device", "no recent window of such a device is known");
    return json(*std::move(found));
  }

  ServerResponse dead_letters(const http::TargetParts& target, const Snapshot& now) const {
    Parameters parameters(target);
    const std::size_t most = parameters.integer("limit", 100, dashboard::DeadLetterLog::kLettersMost);
    const std::string* name = target.parameter("reason");
    const auto reason = name == nullptr ? std::nullopt : reason_from_name(*name);
    if (name != nullptr && !reason) parameters.refuse("reason is none that dead letters have");
    if (auto problem = parameters.problem()) return *std::move(problem);
    return json(dead_letters_json(board_, now, reason, most));
  }

  static ServerResponse file(const dashboard::Asset& asset, const ServerRequest& request) {
    auto headers = headers_for(asset.type, "no-cache");
    headers.push_back({"ETag", std::string(asset.tag)});
    const std::string* known = request.header("if-none-match");
    if (known != nullptr && *known == asset.tag) return {304, std::move(headers), ""};
    return {200, std::move(headers), std::string(asset.bytes)};
  }

  [[nodiscard]] ServerResponse login(const ServerRequest& request) const {
    const auto form = http::parse_target("/?" + request.body);
    const std::string* token = form ? form->parameter("token") : nullptr;
    const auto cookie = token == nullptr ? std::nullopt : gate_.login(*token);
    if (!cookie) return moved("/login#wrong");
    auto response = moved("/");
    response.headers.push_back({"Set-Cookie", *cookie});
    return response;
  }

  [[nodiscard]] ServerResponse health() const {
    const auto now = board_.snapshot();
    if (!now) return json(R"({"status":"starting"})");
    const auto age = std::chrono::duration_cast<Millis>(clock_.steady() - now->ticked);
    const bool over = now->state == dashboard::StreamState::kFinished;
    if (age <= kTickMost || over) return json(R"({"status":"ok"})");
    return json(fmt::format(R"({{"status":"stuck","detail":"the loop has not ticked for {} s"}})", age.count() / 1000),
                503);
  }

  [[nodiscard]] ServerResponse readiness() const {
    const auto now = board_.snapshot();
    std::string why;
    if (!now || (now->consuming && !now->assigned)) {
      why = "the group has not assigned partitions yet";
    } else if (!now->consuming && now->state == dashboard::StreamState::kStarting) {
      why = "the table has not been read yet";
    } else if (!now->table_reachable) {
      why = "the table cannot be reached";
    } else if (now->lag_records.value_or(0) > options_.ready_lag_most) {
      why = fmt::format("{} records behind, more than {}", *now->lag_records, options_.ready_lag_most);
    }
    if (why.empty()) return json(R"({"status":"ready"})");
    JsonOut out;
    out.object().text("status", "not ready").text("detail", why).end_object();
    return json(out.take(), 503);
  }

  void open_stream(const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
    auto headers = headers_for("text/event-stream");
    headers.push_back({"X-Accel-Buffering", "no"});
    if (request.method == "HEAD") {
      responder->respond({200, std::move(headers), ""});
      return;
    }
    const std::lock_guard lock(streams_mutex_);
    std::erase_if(streams_, [](const auto& stream) { return stream->gone(); });
    if (streams_.size() >= kStreamsMost) {
      responder->respond(failed(503, "too_many_streams", "too many pages are open"));
      return;
    }
    responder->begin(200, std::move(headers));
    responder->write("retry: 1000\n\n");
    if (const auto now = board_.snapshot()) responder->write(event(*now));
    streams_.push_back(responder);
  }

  [[nodiscard]] std::string event(const Snapshot& now) const {
    return "event: status\ndata: " + status_json(board_, now) + "\n\n";
  }

  // On the publisher's thread: it must not wait for any reader, and does not.
  void push(const std::shared_ptr<const Snapshot>& now) {
    const std::lock_guard lock(streams_mutex_);
    if (streams_.empty()) return;
    const SteadyTime time = clock_.steady();
    if (now->state == pushed_state_ && time - pushed_at_ < kEventsApart) return;
    pushed_at_ = time;
    pushed_state_ = now->state;
    const std::string text = event(*now);
    std::erase_if(streams_, [&](const auto& stream) { return !stream->write(text); });
  }

  const SiteOptions options_;
  dashboard::Board& board_;
  const Clock& clock_;
  const HttpGate gate_;
  mutable std::mutex streams_mutex_;
  std::list<std::shared_ptr<Responder>> streams_;
  SteadyTime pushed_at_{};
  dashboard::StreamState pushed_state_ = dashboard::StreamState::kStarting;
  std::unique_ptr<http::Server> server_;
};

HttpSite::HttpSite(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpSite::~HttpSite() = default;

Result<std::unique_ptr<HttpSite>> HttpSite::open(const ListenSettings& settings, SiteOptions options,
                                                 dashboard::Board& board, const Clock& clock) {
  auto impl = std::make_unique<Impl>(settings, options, board, clock);
  if (auto opened = impl->open(settings); !opened) return opened.error();
  return std::unique_ptr<HttpSite>(new HttpSite(std::move(impl)));
}

std::string HttpSite::url() const { return impl_->url() + "/"; }
std::size_t HttpSite::watchers() const { return impl_->watchers(); }

}  // namespace culvert
