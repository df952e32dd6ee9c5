// SPDX-License-Identifier: Apache-2.0
#include "app/site/http_site.h"

#include <gtest/gtest.h>

#include "adapters/http/client.h"
#include "app/site/metrics_text.h"

namespace culvert {
namespace {

class LoopbackResolver final : public http::Resolver {
 public:
  Result<http::Resolved> resolve(std::string_view, const std::stop_token&) override {
    return http::Resolved{{http::Address::v4(127, 0, 0, 1)}, std::chrono::seconds{60}};
  }
};

class HttpSiteTest : public testing::Test {
 protected:
  HttpSiteTest() {
    dashboard::About about;
    about.topic = "readings";
    about.group = "g\"1";
    about.settings.push_back({"Kafka", "topic", "readings"});
    about.versions.emplace_back("culvert", "1.2.3");
    board_.emplace(std::move(about));
  }
  void open(std::optional<std::string> token = std::nullopt, SiteOptions options = {}) {
    auto site = HttpSite::open({{}, std::move(token)}, options, *board_, clock_);
    ASSERT_TRUE(site.ok()) << site.error().message;
    site_ = *std::move(site);
    endpoint_ = http::parse_url(site_->url())->endpoint;
  }
  http::Response get(const std::string& target, std::vector<http::Header> headers = {},
                     const std::string& method = "GET", const std::string& body = "") {
    auto outcome =
        client_.call(endpoint_, {.method = method, .target = target, .headers = std::move(headers), .body = body});
    EXPECT_TRUE(outcome.ok()) << target;
    return outcome.ok() ? outcome.response() : http::Response{};
  }
  int status(const std::string& target) { return get(target).status; }
  void publish(const std::function<void(dashboard::Snapshot&)>& change = {}) {
    dashboard::Snapshot now;
    now.consuming = true;
    now.assigned = true;
    now.at_ms = 1'795'692'780'000;
    now.ticked = clock_.steady();
    if (change) change(now);
    board_->publish(std::move(now));
  }

  const SystemClock clock_;
  std::optional<dashboard::Board> board_;
  std::unique_ptr<HttpSite> site_;
  http::Endpoint endpoint_;
  LoopbackResolver resolver_;
  http::Client client_{{}, resolver_};
};

TEST_F(HttpSiteTest, EveryAnswerForbidsScriptsOfOthersAndSniffing) {
  open();
  publish();
  for (const char* path :
       {"/", "/app.js", "/api/v1/status", "/metrics", "/healthz", "/nothing", "/api/v1/devices?page=x"}) {
    const auto response = get(path);
    ASSERT_NE(response.header("content-security-policy"), nullptr) << path;
    EXPECT_TRUE(response.header("content-security-policy")->starts_with("default-src 'none'; script-src 'self'"));
    EXPECT_EQ(response.header("content-security-policy")->find("unsafe"), std::string::npos);
    EXPECT_EQ(*response.header("x-content-type-options"), "nosniff") << path;
    EXPECT_NE(response.header("cache-control"), nullptr) << path;
    EXPECT_EQ(response.header("access-control-allow-origin"), nullptr) << path;
  }
}

TEST_F(HttpSiteTest, NothingCanBeWritten) {
  open();
  publish();
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"}) {
    for (const char* path : {"/", "/login", "/api/v1/devices", "/metrics"}) {
      const auto response = get(path, {}, method);
      EXPECT_EQ(response.status, 405) << method << " " << path;
      EXPECT_EQ(*response.header("allow"), "GET, HEAD");
    }
  }
}

TEST_F(HttpSiteTest, PageOfAnotherNameIsRefused) {
  open();
  // The client adds its own Host; a rebinding page sends its own name.
  endpoint_.host = "evil.example";
  const auto response = get("/api/v1/status");
  EXPECT_EQ(response.status, 403);
  EXPECT_NE(response.body.find("foreign_host"), std::string::npos);
}

TEST_F(HttpSiteTest, BadParametersAreNamed) {
  open();
  publish();
  for (const char* target :
       {"/api/v1/devices?page=0", "/api/v1/devices?page=-1", "/api/v1/devices?size=201", "/api/v1/devices?sort=size",
        "/api/v1/devices?order=up", "/api/v1/device", "/api/v1/device?id=", "/api/v1/dead-letters?reason=none",
        "/api/v1/dead-letters?reason=", "/api/v1/dead-letters?limit=501", "/api/v1/devices?search=%",
        "/api/v1/devices?page=1.0", "/api/v1/devices?page="}) {
    EXPECT_EQ(status(target), 400) << target;
  }
  EXPECT_EQ(status("/api/v1/device?id=7"), 404);
  EXPECT_EQ(status("/api/v1/device?id=x"), 404);
  // More bytes than a device has, though no more characters.
  std::string long_id;
  for (int i = 0; i < 200; ++i) long_id += "%C3%A4";
  EXPECT_EQ(status("/api/v1/device?id=" + long_id), 404);
  EXPECT_EQ(status("/api/v1/device?id=" + std::string(257, 'a')), 400);
  EXPECT_EQ(status("/api/v1/devices?page=999"), 200);
  EXPECT_EQ(status("/api/v2/devices"), 404);
  EXPECT_EQ(status("/../etc/passwd"), 404);
}

TEST_F(HttpSiteTest, FilesAreNotSentTwice) {
  open();
  const auto first = get("/app.js");
  ASSERT_EQ(first.status, 200);
  const auto again = get("/app.js", {{"If-None-Match", *first.header("etag")}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
}

TEST_F(HttpSiteTest, HealthFollowsTheLoop) {
  open();
  EXPECT_EQ(status("/healthz"), 200);
  publish();
  EXPECT_EQ(status("/healthz"), 200);
  publish([&](auto& now) { now.ticked -= std::chrono::minutes{2}; });
  const auto stuck = get("/healthz");
  EXPECT_EQ(stuck.status, 503);
  EXPECT_NE(stuck.body.find("has not ticked for 12"), std::string::npos) << stuck.body;
}

TEST_F(HttpSiteTest, ReadinessWantsPartitionsATableAndASmallLag) {
  open(std::nullopt, {.ready_lag_most = 100});
  EXPECT_EQ(status("/readyz"), 503);
  publish([](auto& now) { now.assigned = false; });
  EXPECT_NE(get("/readyz").body.find("has not assigned"), std::string::npos);
  publish([](auto& now) { now.table_reachable = false; });
  EXPECT_NE(get("/readyz").body.find("the table cannot be reached"), std::string::npos);
  publish([](auto& now) { now.lag_records = 101; });
  EXPECT_EQ(status("/readyz"), 503);
  EXPECT_NE(get("/readyz").body.find("101 records behind, more than 100"), std::string::npos);
  publish([](auto& now) { now.lag_records = 100; });
  EXPECT_EQ(status("/readyz"), 200);
}

TEST_F(HttpSiteTest, TokenGuardsAllButTheProbes) {
  const std::string token = "4f1d0c8a9be7264dd0f1";
  open(token);
  publish();
  for (const char* path :
       {"/api/v1/status", "/api/v1/events", "/metrics", "/version", "/app.js", "/openapi.yaml", "/"}) {
    const auto refused = get(path);
    EXPECT_EQ(refused.status, 401) << path;
    EXPECT_NE(refused.header("www-authenticate"), nullptr) << path;
    if (std::string(path) != "/api/v1/events") {
      EXPECT_EQ(get(path, {{"Authorization", "Bearer " + token}}).status, 200) << path;
    }
  }
  EXPECT_EQ(status("/healthz"), 200);
  EXPECT_EQ(status("/readyz"), 200);
  EXPECT_EQ(status("/login"), 200);
  const auto browser = get("/", {{"Accept", "text/html,*/*"}});
  EXPECT_EQ(browser.status, 303);
  EXPECT_EQ(*browser.header("location"), "/login");

  const auto wrong = get("/login", {}, "POST", "token=nonsense");
  EXPECT_EQ(*wrong.header("location"), "/login#wrong");
  EXPECT_EQ(wrong.header("set-cookie"), nullptr);
  const auto right = get("/login", {}, "POST", "token=" + token);
  EXPECT_EQ(right.status, 303);
  ASSERT_NE(right.header("set-cookie"), nullptr);
  const std::string cookie = right.header("set-cookie")->substr(0, right.header("set-cookie")->find(';'));
  EXPECT_EQ(get("/api/v1/status", {{"Cookie", cookie}}).status, 200);
  EXPECT_EQ(get("/login", {}, "POST", std::string(5'000, 'a')).status, 413);
}

TEST_F(HttpSiteTest, HostileTextStaysText) {
  open();
  DeadLetter letter;
  letter.where = {"t", 1, PartitionId{0}};
  letter.reason = DeadLetterReason::kNotJson;
  letter.value = "</script><img src=x>\x01\xff\xe2\x80\xae\"\\";
  board_->letters().add(letter);
  publish();
  const std::string body = get("/api/v1/dead-letters").body;
  EXPECT_NE(body.find(R"(</script><img src=x>\\x01\\xff\\xe2\\x80\\xae\"\\\\")"), std::string::npos) << body;
}

TEST_F(HttpSiteTest, EventsArriveAtPagesAndAreCounted) {
  open();
  publish([](auto& now) { now.records_read = 1; });
  EXPECT_EQ(site_->watchers(), 0U);
  // The stream has no end: the client's time-out ends it, and what came is in the failure's place.
  std::atomic<bool> over{false};
  client_.send(endpoint_, {.target = "/api/v1/events", .timeout = std::chrono::milliseconds{1'500}},
               [&](const http::Outcome& outcome) {
                 EXPECT_FALSE(outcome.ok());
                 over = true;
               });
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (site_->watchers() == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  EXPECT_EQ(site_->watchers(), 1U);
  while (!over && std::chrono::steady_clock::now() < end) publish();
  while (site_->watchers() > 0 && std::chrono::steady_clock::now() < end) publish();
  EXPECT_EQ(site_->watchers(), 0U);
}

TEST_F(HttpSiteTest, MetricsNameWhatLagExportersName) {
  publish([](auto& now) {
    now.partitions.push_back({PartitionId{2}, true, Offset{9}, Offset{7}, Offset{12}, EventTime{1'795'692'779'000},
                              EventTime{1'795'692'777'000}, 3, 400});
    now.flushes.add(0.003);
    now.flushes.add(30);
    now.retries["try_again"] = 2;
    now.dead_letters[static_cast<std::size_t>(DeadLetterReason::kNotJson)] = 5;
  });
  const std::string text = metrics_text(*board_, *board_->snapshot());
  for (const char* line :
       {"kafka_consumergroup_lag{consumergroup=\"g\\\"1\",topic=\"readings\",partition=\"2\"} 5\n",
        "kafka_consumergroup_current_offset{consumergroup=\"g\\\"1\",topic=\"readings\",partition=\"2\"} 7\n",
        "culvert_event_time_lag_seconds{topic=\"readings\",partition=\"2\"} 1\n",
        "culvert_flush_duration_seconds_bucket{le=\"0.0025\"} 0\n",
        "culvert_flush_duration_seconds_bucket{le=\"0.005\"} 1\n",
        "culvert_flush_duration_seconds_bucket{le=\"+Inf\"} 2\n", "culvert_retries_total{code=\"try_again\"} 2\n",
        "culvert_decode_errors_total{reason=\"not_json\"} 5\n", "culvert_build_info{version=\"1.2.3\"} 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\n" << text;
  }
  EXPECT_EQ(text.find("reason=\"late\""), std::string::npos);
}

}  // namespace
}  // namespace culvert
