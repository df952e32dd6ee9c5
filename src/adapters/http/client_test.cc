// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <future>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "fakes/http_fake_server.h"

namespace culvert::http {
namespace {

using fakes::FakeFault;
using fakes::FakeReply;
using fakes::FakeRequest;
using fakes::HttpFakeServer;
using std::chrono::milliseconds;

// What a call is given whose answer never comes.
constexpr milliseconds kSoon{300};

class FixedResolver final : public Resolver {
 public:
  Result<Resolved> resolve(std::string_view host, const std::stop_token&) override {
    ++calls;
    if (fail) return Error::retriable_error(ErrorKind::kUnavailable, "host '" + std::string(host) + "' is unknown");
    return Resolved{addresses, std::chrono::seconds{60}};
  }
  std::atomic<int> calls{0};
  std::atomic<bool> fail{false};
  std::vector<Address> addresses{Address::v4(127, 0, 0, 1)};
};

// With a thread of the client's own, and without.
class ClientTest : public testing::TestWithParam<bool> {
 protected:
  ClientTest() { ::signal(SIGPIPE, SIG_IGN); }
  static ClientOptions base_options() {
    ClientOptions options;
    options.own_thread = GetParam();
    return options;
  }
  FixedResolver resolver_;
};
INSTANTIATE_TEST_SUITE_P(Driven, ClientTest, testing::Bool(),
                         [](const auto& parameter) { return parameter.param ? "ByItsThread" : "ByThoseWhoWait"; });

// What nobody waits for.
class OwnThreadTest : public testing::Test {
 protected:
  FixedResolver resolver_;
};

FakeReply echo(const FakeRequest& request) {
  return {.headers = {{"X-Method", request.method}, {"X-Target", request.target}, {"X-Seen", request.header("x-sent")}},
          .body = request.body};
}

TEST_P(ClientTest, CarriesMethodTargetHeadersAndBodyBothWays) {
  HttpFakeServer server(echo);
  Client client(base_options(), resolver_);
  const auto outcome = client.call(server.endpoint(),
                                   {.method = "PUT", .target = "/a?b=c", .headers = {{"X-Sent", "7"}}, .body = "text"});
  ASSERT_TRUE(outcome.ok()) << outcome.failure().error.message;
  EXPECT_EQ(outcome.response().status, 200);
  EXPECT_EQ(outcome.response().body, "text");
  EXPECT_EQ(*outcome.response().header("x-METHOD"), "PUT");
  EXPECT_EQ(*outcome.response().header("x-target"), "/a?b=c");
  EXPECT_EQ(*outcome.response().header("x-seen"), "7");
}

TEST_P(ClientTest, ConnectionIsUsedAgain) {
  HttpFakeServer server(echo);
  Client client(base_options(), resolver_);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(client.call(server.endpoint(), {.method = "POST", .body = "x"}).ok());
  EXPECT_EQ(server.connections(), 1U);
  EXPECT_EQ(client.stats().connects, 1U);
  EXPECT_EQ(client.stats().requests, 50U);
}

TEST_F(OwnThreadTest, ManyRequestsShareThePoolAndEachIsAnsweredOnce) {
  HttpFakeServer server([](const FakeRequest& request) {
    return FakeReply{.body = request.body, .delay = std::chrono::microseconds{2'000}};
  });
  ClientOptions options;
  options.connections_most = 8;
  Client client(options, resolver_);
  std::mutex mutex;
  std::multiset<std::string> bodies;
  std::promise<void> all;
  constexpr int kRequests = 500;
  for (int i = 0; i < kRequests; ++i) {
    client.send(server.endpoint(), {.method = "POST", .body = std::to_string(i)}, [&](Outcome outcome) {
      const std::lock_guard lock(mutex);
      bodies.insert(outcome.ok() ? outcome.response().body : outcome.failure().error.message);
      if (bodies.size() == kRequests) all.set_value();
    });
  }
  ASSERT_EQ(all.get_future().wait_for(std::chrono::seconds{20}), std::future_status::ready);
  for (int i = 0; i < kRequests; ++i) EXPECT_EQ(bodies.count(std::to_string(i)), 1U);
  EXPECT_LE(server.connections(), 8U);
}

TEST_P(ClientTest, ReadsChunkedBodiesAndBodiesEndedByClosing) {
  HttpFakeServer server([](const FakeRequest&) {
    return FakeReply{.headers = {{"Set-Cookie", "a"}}, .body = std::string(1000, 'y') + "end", .chunked = true};
  });
  Client client(base_options(), resolver_);
  for (int i = 0; i < 2; ++i) {
    const auto outcome = client.call(server.endpoint(), {});
    ASSERT_TRUE(outcome.ok()) << outcome.failure().error.message;
    EXPECT_EQ(outcome.response().body, std::string(1000, 'y') + "end");
  }
  EXPECT_EQ(server.connections(), 1U);
}

TEST_P(ClientTest, ReadsAnEmptyChunkedBodyThatComesByteByByte) {
  HttpFakeServer server([](const FakeRequest&) { return FakeReply{.chunked = true, .byte_by_byte = true}; });
  Client client(base_options(), resolver_);
  const auto outcome = client.call(server.endpoint(), {});
  ASSERT_TRUE(outcome.ok()) << outcome.failure().error.message;
  EXPECT_EQ(outcome.response().body, "");
}

TEST_P(ClientTest, LargeBodiesGoBothWays) {
  HttpFakeServer server(echo);
  ClientOptions options = base_options();
  options.request_timeout = milliseconds{20'000};
  Client client(options, resolver_);
  const std::string body(5 << 20, 'z');
  const auto outcome = client.call(server.endpoint(), {.method = "POST", .body = body});
  ASSERT_TRUE(outcome.ok()) << outcome.failure().error.message;
  EXPECT_EQ(outcome.response().body, body);
}

TEST_P(ClientTest, ConnectionClosedWhileIdleCostsNothing) {
  HttpFakeServer server(echo);
  Client client(base_options(), resolver_);
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(client.call(server.endpoint(), {.method = "POST", .body = "x"}).ok());
    server.close_idle();
    // Within a millisecond of its last use a connection is trusted without asking the kernel.
    std::this_thread::sleep_for(milliseconds{3});
  }
  EXPECT_EQ(server.requests(), 20U);
}

TEST_P(ClientTest, ConnectionThatGrewOldIsNotUsedAgain) {
  HttpFakeServer server(echo);
  ClientOptions options = base_options();
  options.idle_most = milliseconds{30};
  Client client(options, resolver_);
  ASSERT_TRUE(client.call(server.endpoint(), {}).ok());
  // Far less than the second in which it would be seen to by itself.
  std::this_thread::sleep_for(milliseconds{100});
  ASSERT_TRUE(client.call(server.endpoint(), {}).ok());
  EXPECT_EQ(server.connections(), 2U);
}

TEST_F(OwnThreadTest, ConnectionThatGrewOldIsClosedThoughNobodyAsksForIt) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_storage at{};
  socklen_t bytes = to_sockaddr(Address::v4(127, 0, 0, 1), 0, at);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&at), bytes), 0);
  ASSERT_EQ(::listen(listener, 4), 0);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&at), &bytes);
  std::future<int> accepted = std::async(std::launch::async, [listener] {
    const int connection = ::accept(listener, nullptr, nullptr);
    std::array<char, 4'096> request{};
    const std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    if (::recv(connection, request.data(), request.size(), 0) <= 0) return -1;
    return ::send(connection, answer.data(), answer.size(), 0) > 0 ? connection : -1;
  });
  ClientOptions options;
  options.idle_most = milliseconds{30};
  Client client(options, resolver_);
  ASSERT_TRUE(client.call({false, "127.0.0.1", ntohs(reinterpret_cast<sockaddr_in*>(&at)->sin_port)}, {}).ok());
  const int connection = accepted.get();
  ASSERT_GE(connection, 0);
  timeval patience{30, 0};
  ASSERT_EQ(::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience), 0);
  char byte = 0;
  ssize_t got = -1;
  do got = ::recv(connection, &byte, 1, 0);
  while (got < 0 && errno == EINTR);  // a wait with a time-out ends where the process is stopped and goes on: signal(7)
  EXPECT_EQ(got, 0) << "its end";
  ::close(connection);
  ::close(listener);
}

TEST_P(ClientTest, LostReplyIsReportedAsMaybeSentAndNeverSentTwice) {
  for (const FakeFault fault :
       {FakeFault::kReset, FakeFault::kClose, FakeFault::kTruncate, FakeFault::kSilence, FakeFault::kGarbage}) {
    HttpFakeServer server([&](const FakeRequest& request) {
      return FakeReply{.body = "0123456789", .fault = request.body == "bad" ? fault : FakeFault::kNone};
    });
    Client client(base_options(), resolver_);
    ASSERT_TRUE(client.call(server.endpoint(), {.method = "POST", .body = "good"}).ok());
    const auto timeout = fault == FakeFault::kSilence ? kSoon : milliseconds{20'000};
    const auto outcome = client.call(server.endpoint(), {.method = "POST", .body = "bad", .timeout = timeout});
    ASSERT_FALSE(outcome.ok()) << static_cast<int>(fault);
    EXPECT_TRUE(outcome.failure().maybe_sent) << static_cast<int>(fault);
    EXPECT_TRUE(outcome.failure().error.retriable);
    EXPECT_EQ(server.requests(), 2U) << outcome.failure().error.message;
    EXPECT_TRUE(client.call(server.endpoint(), {.method = "POST", .body = "good"}).ok());
  }
}

TEST_P(ClientTest, ReplyFollowedByCloseIsGoodAndTheNextRequestTakesAnotherConnection) {
  HttpFakeServer server([](const FakeRequest&) { return FakeReply{.body = "x", .fault = FakeFault::kCloseAfter}; });
  Client client(base_options(), resolver_);
  int failed_after_sending = 0;
  for (int i = 0; i < 30; ++i) {
    const auto outcome = client.call(server.endpoint(), {.method = "POST", .body = "x"});
    // The close may cross our next request: then nobody can know, and it must be said so.
    if (!outcome.ok()) {
      EXPECT_TRUE(outcome.failure().maybe_sent) << outcome.failure().error.message;
      ++failed_after_sending;
    }
  }
  EXPECT_LT(failed_after_sending, 30);
}

TEST_P(ClientTest, RefusedConnectionIsNotSentAndNamesEndpointAndAddress) {
  std::uint16_t port = 0;
  {
    HttpFakeServer gone(echo);
    port = gone.endpoint().port;
  }
  Client client(base_options(), resolver_);
  const auto outcome = client.call({false, "table.test", port}, {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_FALSE(outcome.failure().maybe_sent);
  EXPECT_TRUE(outcome.failure().error.retriable);
  EXPECT_NE(outcome.failure().error.message.find("http://table.test:" + std::to_string(port)), std::string::npos);
  EXPECT_NE(outcome.failure().error.message.find("127.0.0.1: Connection refused"), std::string::npos);
}

TEST_P(ClientTest, NextAddressIsTriedWhenOneRefuses) {
  HttpFakeServer server(echo);
  resolver_.addresses = {Address::v4(127, 0, 0, 2), *Address::parse("::1"), Address::v4(127, 0, 0, 1)};
  Client client(base_options(), resolver_);
  EXPECT_TRUE(client.call({false, "table.test", server.endpoint().port}, {}).ok());
}

TEST_P(ClientTest, FailedLookupFailsWhatWaitsAndIsTriedAgainNextTime) {
  HttpFakeServer server(echo);
  resolver_.fail = true;
  Client client(base_options(), resolver_);
  const Endpoint endpoint{false, "table.test", server.endpoint().port};
  const auto outcome = client.call(endpoint, {});
  ASSERT_FALSE(outcome.ok());
  EXPECT_NE(outcome.failure().error.message.find("host 'table.test' is unknown"), std::string::npos);
  resolver_.fail = false;
  EXPECT_TRUE(client.call(endpoint, {}).ok());
  EXPECT_EQ(resolver_.calls, 2);
}

// A listener that never accepts: its backlog takes the connection, the request is never read.
TEST_P(ClientTest, RequestTimeoutEndsAWaitForAResponse) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_storage at{};
  socklen_t bytes = to_sockaddr(Address::v4(127, 0, 0, 1), 0, at);
  ASSERT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&at), bytes), 0);
  ASSERT_EQ(::listen(fd, 4), 0);
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &bytes);
  const auto port = ntohs(reinterpret_cast<sockaddr_in*>(&at)->sin_port);
  Client client(base_options(), resolver_);
  const auto begin = std::chrono::steady_clock::now();
  const auto outcome = client.call({false, "127.0.0.1", port}, {.method = "POST", .body = "x", .timeout = kSoon});
  ::close(fd);
  ASSERT_FALSE(outcome.ok());
  EXPECT_TRUE(outcome.failure().maybe_sent);
  EXPECT_NE(outcome.failure().error.message.find("no response in time"), std::string::npos);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, ClientOptions{}.request_timeout / 2);
}

TEST_P(ClientTest, LimitsOfHeaderAndBodyAreErrorsAndTheConnectionGoes) {
  HttpFakeServer server([](const FakeRequest& request) {
    if (request.target == "/body") return FakeReply{.body = std::string(5'000, 'b')};
    return FakeReply{.headers = {{"X-Long", std::string(5'000, 'h')}}};
  });
  ClientOptions options = base_options();
  options.body_bytes_most = 4'096;
  options.header_bytes_most = 4'096;
  Client client(options, resolver_);
  EXPECT_FALSE(client.call(server.endpoint(), {.target = "/body"}).ok());
  EXPECT_FALSE(client.call(server.endpoint(), {.target = "/header"}).ok());
}

TEST_P(ClientTest, HeaderInjectionIsRefused) {
  HttpFakeServer server(echo);
  Client client(base_options(), resolver_);
  EXPECT_FALSE(client.call(server.endpoint(), {.headers = {{"X-A", "1\r\nX-B: 2"}}}).ok());
  EXPECT_FALSE(client.call(server.endpoint(), {.headers = {{"X: A", "1"}}}).ok());
  EXPECT_FALSE(client.call(server.endpoint(), {.target = "/a b"}).ok());
  for (const char bad : {'\0', '\n', '\r', '\x1f', '\x7f'}) {
    for (std::size_t at = 0; at < 20; ++at) {
      std::string value(20, '~');
      value[at] = bad;
      EXPECT_FALSE(client.call(server.endpoint(), {.headers = {{"X-A", value}}}).ok()) << at;
    }
  }
  EXPECT_EQ(server.requests(), 0U);
  EXPECT_TRUE(client.call(server.endpoint(), {.headers = {{"X-A", " ~\x80\xff\xc3\xbc value with spaces"}}}).ok());
}

TEST_P(ClientTest, EndingTheClientFailsWhatIsUnderWay) {
  HttpFakeServer server([](const FakeRequest&) { return FakeReply{.fault = FakeFault::kSilence}; });
  std::atomic<int> failed{0};
  {
    ClientOptions options = base_options();
    options.connections_most = 2;
    Client client(options, resolver_);
    for (int i = 0; i < 10; ++i) {
      client.send(server.endpoint(), {}, [&](const Outcome& outcome) {
        EXPECT_FALSE(outcome.ok());
        ++failed;
      });
    }
    std::this_thread::sleep_for(milliseconds{100});
  }
  EXPECT_EQ(failed, 10);
}

TEST_F(OwnThreadTest, FullQueueRefusesInsteadOfGrowing) {
  // Nothing is answered before the test says so: however slowly it sends, the queue does not drain meanwhile.
  std::promise<void> go;
  HttpFakeServer server([&, may_answer = go.get_future().share()](const FakeRequest&) {
    may_answer.wait();
    return FakeReply{};
  });
  ClientOptions options;
  options.connections_most = 1;
  options.queue_most = 3;
  Client client(options, resolver_);
  std::atomic<int> refused{0};
  std::atomic<int> answered{0};
  std::promise<void> done;
  for (int i = 0; i < 10; ++i) {
    client.send(server.endpoint(), {}, [&](const Outcome& outcome) {
      ++(outcome.ok() ? answered : refused);
      if (answered + refused == 10) done.set_value();
    });
  }
  for (int i = 0; i < 2'000 && refused < 6; ++i) std::this_thread::sleep_for(milliseconds{5});
  EXPECT_GE(refused, 6);
  go.set_value();
  ASSERT_EQ(done.get_future().wait_for(std::chrono::seconds{10}), std::future_status::ready);
  EXPECT_GE(answered, 3);
}

TEST_F(OwnThreadTest, TasksRunOnTheIoThreadAndInTime) {
  Client client({}, resolver_);
  std::promise<std::pair<bool, milliseconds>> ran;
  const auto begin = std::chrono::steady_clock::now();
  client.after(milliseconds{40}, [&] {
    ran.set_value(
        {client.on_io_thread(), std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - begin)});
  });
  const auto [on_thread, took] = ran.get_future().get();
  EXPECT_TRUE(on_thread);
  EXPECT_GE(took, milliseconds{39});
}

class WaitersTest : public testing::Test {
 protected:
  WaitersTest() { options_.own_thread = false; }
  FixedResolver resolver_;
  ClientOptions options_;
};

// Answers nothing before it is told to.
class HeldServer {
 public:
  HeldServer() = default;
  void let_go() { go_.set_value(); }
  [[nodiscard]] Endpoint endpoint() const { return server_.endpoint(); }
  void await_request() const {
    // Counted before the handler runs.
    while (server_.requests() == 0) std::this_thread::sleep_for(milliseconds{1});
  }

 private:
  std::promise<void> go_;
  HttpFakeServer server_{[told = go_.get_future().share()](const FakeRequest& request) {
    told.wait();
    return FakeReply{.body = request.target};
  }};
};

// The thread that waits first must carry out what others wait for, and one of those must go on once it has its own.
TEST_F(WaitersTest, WhoeverStillWaitsGoesOn) {
  HeldServer first_server;
  HeldServer third_server;
  HttpFakeServer server([](const FakeRequest& request) { return FakeReply{.body = request.target}; });
  Client client(options_, resolver_);
  const auto get = [&client](const Endpoint& endpoint, const char* target) {
    const auto outcome = client.call(endpoint, {.target = target, .timeout = milliseconds{60'000}});
    return outcome.ok() ? outcome.response().body : outcome.failure().error.message;
  };
  auto first = std::async(std::launch::async, get, first_server.endpoint(), "/1");
  first_server.await_request();
  EXPECT_EQ(get(server.endpoint(), "/2"), "/2");
  auto third = std::async(std::launch::async, get, third_server.endpoint(), "/3");
  third_server.await_request();
  first_server.let_go();
  EXPECT_EQ(first.get(), "/1");
  third_server.let_go();
  EXPECT_EQ(third.get(), "/3");
}

TEST_F(WaitersTest, ManyThreadsEachGetTheirOwnAnswer) {
  HttpFakeServer server([](const FakeRequest& request) {
    return FakeReply{.body = request.body, .delay = std::chrono::microseconds{request.body.size() * 100}};
  });
  options_.connections_most = 3;
  Client client(options_, resolver_);
  std::vector<std::future<int>> threads;
  for (std::size_t thread = 0; thread < 8; ++thread) {
    threads.push_back(std::async(std::launch::async, [&, thread] {
      int right = 0;
      for (std::size_t i = 0; i < 50; ++i) {
        const std::string body(1 + (thread * 7 + i * 3) % 20, static_cast<char>('a' + thread));
        const auto outcome = client.call(server.endpoint(), {.method = "POST", .body = body});
        right += outcome.ok() && outcome.response().body == body ? 1 : 0;
      }
      return right;
    }));
  }
  for (auto& thread : threads) EXPECT_EQ(thread.get(), 50);
  EXPECT_EQ(server.requests(), 400U);
  EXPECT_LE(server.connections(), 3U);
}

TEST_F(WaitersTest, AnotherThreadCanEndAWait) {
  HttpFakeServer server([](const FakeRequest&) { return FakeReply{.fault = FakeFault::kSilence}; });
  options_.request_timeout = milliseconds{60'000};
  Client client(options_, resolver_);
  auto waiting = std::async(std::launch::async, [&] { return client.call(server.endpoint(), {}); });
  while (server.requests() < 1) std::this_thread::sleep_for(milliseconds{1});
  client.abandon();
  const Outcome outcome = waiting.get();
  ASSERT_FALSE(outcome.ok());
  EXPECT_TRUE(outcome.failure().maybe_sent);
}

TEST_F(WaitersTest, NothingMovesWhileNobodyWaitsAndTheEndFailsIt) {
  HttpFakeServer server(echo);
  int failed = 0;
  {
    Client client(options_, resolver_);
    for (int i = 0; i < 3; ++i) {
      client.send(server.endpoint(), {}, [&](const Outcome& outcome) { failed += outcome.ok() ? 0 : 1; });
    }
  }
  EXPECT_EQ(failed, 3);
  EXPECT_EQ(server.requests(), 0U);
}

TEST(Url, ReadsHostsPortsAndPaths) {
  const auto plain = parse_url("http://127.0.0.1:8000");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->endpoint, (Endpoint{false, "127.0.0.1", 8000}));
  EXPECT_EQ(plain->target, "/");
  const auto v6 = parse_url("https://[::1]/x?y");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->endpoint.authority(), "[::1]");
  EXPECT_EQ(v6->target, "/x?y");
  EXPECT_EQ(parse_url("https://host.test:8443?q")->target, "/?q");
  EXPECT_EQ(parse_url("https://host.test:8443")->endpoint.authority(), "host.test:8443");
}

TEST(Url, RefusesWhatCouldBeMisread) {
  for (const char* text :
       {"", "host", "ftp://h", "http://", "http://u:p@h", "http://h:0", "http://h:99999", "http://h:x",
        "http://h:", "http://[::1", "http://[h]", "http://h/ x", "http://h/#f", "http://a_%/"}) {
    EXPECT_FALSE(parse_url(text).ok()) << text;
  }
}

TEST(HttpDate, ReadsTheOneFormInUse) {
  const auto time = parse_http_date("Tue, 24 Nov 2026 10:00:07 GMT");
  ASSERT_TRUE(time);
  EXPECT_EQ(time->time_since_epoch().count(), 1'795'514'407);
  for (const char* text : {"", "Tue, 24 Nov 2026 10:00:07", "Tue, 24 Nox 2026 10:00:07 GMT",
                           "Tue, 44 Nov 2026 10:00:07 GMT", "2026-11-24T10:00:07Z        GMT"}) {
    EXPECT_FALSE(parse_http_date(text)) << text;
  }
}

}  // namespace
}  // namespace culvert::http
