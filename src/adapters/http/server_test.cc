// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "adapters/http/client.h"

namespace culvert::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kMost{20};  // for anything that should happen soon, on a machine that is busy

// A client that sends exactly the bytes it is told to, as slowly as it is told to.
class RawClient {
 public:
  explicit RawClient(std::uint16_t port, int receive_buffer_bytes = 0) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_buffer_bytes > 0) {
      ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof receive_buffer_bytes);
    }
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  ~RawClient() { ::close(socket_); }

  [[nodiscard]] bool connected() const { return connected_; }
  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void shut_sending_side() const { ::shutdown(socket_, SHUT_WR); }

  // Everything up to the server's close, or what came in time.
  std::string read_all(milliseconds most = kMost) {
    return read_until([](const std::string&) { return false; }, most);
  }
  std::string read_until(std::string_view wanted) {
    return read_until([&](const std::string& text) { return text.find(wanted) != std::string::npos; }, kMost);
  }
  [[nodiscard]] bool closed() const { return closed_; }

 private:
  template <class Done>
  std::string read_until(Done done, milliseconds most) {
    const auto deadline = steady_clock::now() + most;
    std::string text;
    while (!done(text) && steady_clock::now() < deadline) {
      pollfd ready{socket_, POLLIN, 0};
      if (::poll(&ready, 1, 50) <= 0) continue;
      char bytes[4096];
      const ssize_t got = ::recv(socket_, bytes, sizeof bytes, 0);
      closed_ = got <= 0;
      if (closed_) break;
      text.append(bytes, static_cast<std::size_t>(got));
    }
    return text;
  }

  int socket_;
  bool connected_ = false;
  bool closed_ = false;
};

class LoopbackResolver final : public Resolver {
 public:
  Result<Resolved> resolve(std::string_view, const std::stop_token&) override {
    return Resolved{{Address::v4(127, 0, 0, 1)}, std::chrono::seconds{60}};
  }
};

std::unique_ptr<Server> serve(const ServerOptions& options, ServerHandler handler) {
  auto server = Server::listen(options, std::move(handler));
  EXPECT_TRUE(server.ok()) << (server.ok() ? "" : server.error().message);
  return server.ok() ? *std::move(server) : nullptr;
}

void echo(const ServerRequest& request, const std::shared_ptr<Responder>& responder) {
  responder->respond({200, {{"X-Method", request.method}, {"X-Target", request.target}}, request.body});
}

template <class Condition>
bool soon(Condition condition) {
  const auto deadline = steady_clock::now() + kMost;
  while (!condition()) {
    if (steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds{5});
  }
  return true;
}

// A handler that keeps the responders, for the test to answer.
class Held {
 public:
  void operator()(const ServerRequest&, std::shared_ptr<Responder> responder) {
    const std::lock_guard lock(mutex_);
    kept_.push_back(std::move(responder));
    changed_.notify_all();
  }
  std::shared_ptr<Responder> wait() {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, kMost, [&] { return !kept_.empty(); })) return nullptr;
    auto first = std::move(kept_.front());
    kept_.erase(kept_.begin());
    return first;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Responder>> kept_;
};

TEST(ServerTest, AnswersRequestsOfTheOwnClientOverOneConnection) {
  const auto server = serve({}, echo);
  LoopbackResolver resolver;
  Client client({}, resolver);
  for (int i = 0; i < 20; ++i) {
    const auto outcome = client.call({false, "127.0.0.1", server->port()},
                                     {.method = "PUT", .target = "/a?b=" + std::to_string(i), .body = "text"});
    ASSERT_TRUE(outcome.ok()) << outcome.failure().error.message;
    EXPECT_EQ(outcome.response().status, 200);
    EXPECT_EQ(outcome.response().body, "text");
    EXPECT_EQ(*outcome.response().header("x-method"), "PUT");
    EXPECT_EQ(*outcome.response().header("x-target"), "/a?b=" + std::to_string(i));
  }
  EXPECT_EQ(server->stats().accepted, 1U);
  EXPECT_EQ(server->stats().requests, 20U);
}

TEST(ServerTest, ListensOnLoopbackUnlessToldOtherwise) {
  const auto server = serve({}, echo);
  EXPECT_EQ(server->url(), "http://127.0.0.1:" + std::to_string(server->port()));
}

TEST(ServerTest, PortInUseIsNamed) {
  const auto server = serve({}, echo);
  ServerOptions again;
  again.port = server->port();
  const auto second = Server::listen(again, echo);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().kind, ErrorKind::kUnavailable);
  EXPECT_NE(second.error().message.find(std::to_string(server->port())), std::string::npos);
  EXPECT_NE(second.error().message.find("take another port"), std::string::npos);
}

TEST(ServerTest, NameInPlaceOfAnAddressIsRefused) {
  ServerOptions options;
  options.address = "localhost";
  const auto server = Server::listen(options, echo);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.error().kind, ErrorKind::kConfiguration);
}

TEST(ServerTest, AnswerMayComeMuchLaterFromAnotherThread) {
  Held held;
  const auto server = serve({}, std::ref(held));
  RawClient client(server->port());
  client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto responder = held.wait();
  ASSERT_NE(responder, nullptr);
  std::thread other([&] {
    std::this_thread::sleep_for(milliseconds{300});
    EXPECT_TRUE(responder->respond({200, {{"X-Id", "8"}}, "event"}));
    EXPECT_FALSE(responder->respond({200, {}, "again"}));
  });
  const std::string answer = client.read_until("event");
  other.join();
  EXPECT_NE(answer.find("HTTP/1.1 200 OK\r\n"), std::string::npos) << answer;
  EXPECT_NE(answer.find("X-Id: 8\r\n"), std::string::npos) << answer;
}

TEST(ServerTest, RequestNobodyAnswersIsA500) {
  const auto server = serve({}, [](const ServerRequest&, const std::shared_ptr<Responder>&) {});
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(client.read_until("not answered").find("HTTP/1.1 500"), std::string::npos);
}

TEST(ServerTest, ClientThatLeavesIsNoticedWhileItsAnswerIsAwaited) {
  Held held;
  const auto server = serve({}, std::ref(held));
  std::atomic<int> gone{0};
  std::shared_ptr<Responder> responder;
  {
    RawClient client(server->port());
    client.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n");
    responder = held.wait();
    ASSERT_NE(responder, nullptr);
    responder->on_gone([&] { ++gone; });
    EXPECT_FALSE(responder->gone());
  }
  EXPECT_TRUE(soon([&] { return gone == 1; }));
  EXPECT_TRUE(responder->gone());
  EXPECT_FALSE(responder->respond({}));
}

TEST(ServerTest, AnswerInTimeReachesAClientThatShutItsSendingSide) {
  const auto server = serve({}, echo);
  RawClient client(server->port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
  client.shut_sending_side();
  EXPECT_NE(client.read_all().find("hi"), std::string::npos);
}

TEST(ServerTest, StreamArrivesPieceByPiece) {
  Held held;
  const auto server = serve({}, std::ref(held));
  RawClient client(server->port());
  client.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto responder = held.wait();
  ASSERT_NE(responder, nullptr);
  ASSERT_TRUE(responder->begin(200, {{"Content-Type", "text/event-stream"}}));
  ASSERT_TRUE(responder->write("data: one\n\n"));
  EXPECT_NE(client.read_until("one\n\n").find("b\r\ndata: one"), std::string::npos);
  ASSERT_TRUE(responder->write("data: two\n\n"));
  EXPECT_NE(client.read_until("two\n\n").find("data: two"), std::string::npos);
  responder->end();
  EXPECT_FALSE(responder->write("data: three\n\n"));
  EXPECT_NE(client.read_until("0\r\n\r\n").find("0\r\n\r\n"), std::string::npos);
  // The connection goes on.
  client.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto second = held.wait();
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(second->respond({200, {}, "again"}));
  EXPECT_NE(client.read_until("again").find("again"), std::string::npos);
}

TEST(ServerTest, StreamWithoutChunksForHttp10EndsWithTheConnection) {
  Held held;
  const auto server = serve({}, std::ref(held));
  RawClient client(server->port());
  client.send("GET /events HTTP/1.0\r\n\r\n");
  const auto responder = held.wait();
  ASSERT_NE(responder, nullptr);
  ASSERT_TRUE(responder->begin(200, {}));
  ASSERT_TRUE(responder->write("plain"));
  responder->end();
  const std::string answer = client.read_all();
  EXPECT_TRUE(client.closed());
  EXPECT_NE(answer.find("Connection: close\r\n\r\nplain"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
}

TEST(ServerTest, StreamWhoseClientStopsReadingIsDroppedAtItsLimit) {
  Held held;
  ServerOptions options;
  options.stream_bytes_most = 256 << 10;
  const auto server = serve(options, std::ref(held));
  RawClient client(server->port(), 4096);
  client.send("GET /events HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto responder = held.wait();
  ASSERT_NE(responder, nullptr);
  ASSERT_TRUE(responder->begin(200, {}));
  const std::string piece(16 << 10, 'x');
  std::size_t written = 0;
  // The kernel takes a few megabytes on top of the limit, and not more.
  while (written < (std::size_t{64} << 20) && responder->write(piece)) written += piece.size();
  EXPECT_LT(written, std::size_t{64} << 20);
  EXPECT_TRUE(soon([&] { return server->stats().dropped == 1 && server->stats().open == 0; }));
  EXPECT_TRUE(responder->gone());
}

TEST(ServerTest, ClientThatDoesNotTakeItsAnswerIsClosed) {
  ServerOptions options;
  options.write_timeout = milliseconds{300};
  const auto server = serve(options, [](const ServerRequest&, const std::shared_ptr<Responder>& responder) {
    responder->respond({200, {}, std::string(std::size_t{32} << 20, 'x')});
  });
  RawClient client(server->port(), 4096);
  client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(soon([&] { return server->stats().timed_out == 1 && server->stats().open == 0; }));
}

struct BadRequest {
  std::string name;
  std::string bytes;
  std::string status;
};

class BadRequestTest : public testing::TestWithParam<BadRequest> {};

TEST_P(BadRequestTest, IsAnsweredAndTheConnectionClosed) {
  ServerOptions options;
  options.header_bytes_most = 4096;
  options.body_bytes_most = 1000;
  const auto server = serve(options, echo);
  RawClient client(server->port());
  client.send(GetParam().bytes);
  const std::string answer = client.read_all();
  EXPECT_TRUE(client.closed());
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 " + GetParam().status + " ")) << answer;
  EXPECT_NE(answer.find("Connection: close"), std::string::npos) << answer;
  EXPECT_EQ(server->stats().requests, 0U);
  EXPECT_EQ(server->stats().bad, 1U);
}

INSTANTIATE_TEST_SUITE_P(
    Server, BadRequestTest,
    testing::Values(
        BadRequest{"NotHttp", "\x16\x03\x01\x02hello\r\n\r\n", "400"},
        BadRequest{"NoHost", "GET / HTTP/1.1\r\n\r\n", "400"},
        BadRequest{"TwoHosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"},
        BadRequest{"RelativeTarget", "GET index.html HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
        BadRequest{"Http2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"},
        BadRequest{"FoldedHeaderName", "GET / HTTP/1.1\r\nHo st: x\r\n\r\n", "400"},
        BadRequest{"LongTarget", "GET /" + std::string(5000, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", "431"},
        BadRequest{"LongHeader", "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(5000, 'a') + "\r\n\r\n", "431"},
        BadRequest{"EndlessHeaders", "GET / HTTP/1.1\r\nHost: x\r\n" + std::string(200'000, 'a'), "431"},
        BadRequest{"BodyAboveTheLimit", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n", "413"},
        BadRequest{"HugeLength", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
                   "400"},
        BadRequest{"NegativeLength", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", "400"},
        BadRequest{"TwoLengths", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                   "400"},
        BadRequest{"LengthAndChunks",
                   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                   "400"},
        BadRequest{"ChunksAboveTheLimit",
                   "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + std::string(1024, 'a') +
                       "\r\n0\r\n\r\n",
                   "413"},
        BadRequest{"ChunkSizeThatDoesNotEnd",
                   "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + std::string(100'000, 'a'),
                   "400"},
        BadRequest{"ChunkSizeOfLetters", "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n",
                   "400"}),
    [](const testing::TestParamInfo<BadRequest>& tested) { return tested.param.name; });

TEST(ServerTest, SlowHeadersAreCutOffThoughBytesKeepComing) {
  ServerOptions options;
  options.header_timeout = milliseconds{500};
  const auto server = serve(options, echo);
  RawClient client(server->port());
  const auto begun = steady_clock::now();
  client.send("GET / HTTP/1.1\r\nHost: x\r\n");
  while (client.send("a: b\r\n") && steady_clock::now() - begun < kMost) std::this_thread::sleep_for(milliseconds{20});
  EXPECT_TRUE(soon([&] { return server->stats().timed_out == 1 && server->stats().open == 0; }));
  EXPECT_GE(steady_clock::now() - begun, milliseconds{500});
  EXPECT_EQ(server->stats().requests, 0U);
}

TEST(ServerTest, SlowBodyIsCutOffThoughBytesKeepComing) {
  ServerOptions options;
  options.body_timeout = milliseconds{500};
  const auto server = serve(options, echo);
  RawClient client(server->port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
  const auto begun = steady_clock::now();
  while (client.send("a") && steady_clock::now() - begun < kMost) std::this_thread::sleep_for(milliseconds{20});
  EXPECT_TRUE(soon([&] { return server->stats().timed_out == 1 && server->stats().open == 0; }));
}

TEST(ServerTest, IdleConnectionIsClosed) {
  ServerOptions options;
  options.idle_timeout = milliseconds{200};
  const auto server = serve(options, echo);
  // On a busy machine the request may come so late that the connection is idle before it.
  for (int i = 0; i < 50 && server->stats().requests == 0; ++i) {
    RawClient client(server->port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    client.read_all();
    EXPECT_TRUE(client.closed());
  }
  EXPECT_EQ(server->stats().requests, 1U);
}

TEST(ServerTest, RequestsSentAheadAreAnsweredInOrder) {
  const auto server = serve({}, echo);
  RawClient client(server->port());
  std::string many;
  for (int i = 0; i < 50; ++i) many += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  client.send(many);
  const std::string answers = client.read_until("X-Target: /49\r\n");
  std::size_t at = 0;
  for (int i = 0; i < 50; ++i) {
    at = answers.find("X-Target: /" + std::to_string(i) + "\r\n", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
}

TEST(ServerTest, ContinueIsSaidToAClientThatWaitsForIt) {
  const auto server = serve({}, echo);
  RawClient client(server->port());
  client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_NE(client.read_until("100 Continue\r\n\r\n").find("100 Continue"), std::string::npos);
  client.send("body");
  EXPECT_NE(client.read_until("body").find("HTTP/1.1 200 OK"), std::string::npos);
}

TEST(ServerTest, HeadHasTheLengthAndNoBody) {
  const auto server = serve({}, [](const ServerRequest&, const std::shared_ptr<Responder>& responder) {
    responder->respond({200, {}, "twelve bytes"});
  });
  RawClient client(server->port());
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = client.read_all();
  EXPECT_NE(answer.find("Content-Length: 12\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
}

TEST(ServerTest, IdleConnectionMakesRoomForANewOne) {
  ServerOptions options;
  options.connections_most = 2;
  const auto server = serve(options, echo);
  RawClient first(server->port());
  RawClient second(server->port());
  ASSERT_TRUE(soon([&] { return server->stats().open == 2; }));
  RawClient third(server->port());
  third.send("GET /third HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_NE(third.read_until("/third").find("200 OK"), std::string::npos);
  EXPECT_EQ(server->stats().open, 2U);
  first.read_all();
  EXPECT_TRUE(first.closed());
}

TEST(ServerTest, ConnectionBeyondTheLimitIsToldSoWhenAllAreBusy) {
  Held held;
  ServerOptions options;
  options.connections_most = 2;
  const auto server = serve(options, std::ref(held));
  std::vector<std::unique_ptr<RawClient>> busy;
  std::vector<std::shared_ptr<Responder>> responders;
  for (int i = 0; i < 2; ++i) {
    busy.push_back(std::make_unique<RawClient>(server->port()));
    busy.back()->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    responders.push_back(held.wait());
    ASSERT_NE(responders.back(), nullptr);
  }
  RawClient third(server->port());
  EXPECT_NE(third.read_all().find("503 Service Unavailable"), std::string::npos);
  EXPECT_TRUE(responders[0]->respond({200, {}, "still served"}));
  EXPECT_NE(busy[0]->read_until("still served").find("200 OK"), std::string::npos);
}

TEST(ServerTest, TenThousandConnectionsLeaveItWithinItsLimitAndServing) {
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  const rlim_t soft_before = limit.rlim_cur;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 12'000);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  const std::size_t count = limit.rlim_cur >= 12'000 ? 10'000 : limit.rlim_cur / 2;
  {
    ServerOptions options;
    options.connections_most = 100;
    const auto server = serve(options, echo);
    std::vector<std::unique_ptr<RawClient>> clients;
    clients.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
      clients.push_back(std::make_unique<RawClient>(server->port()));
      ASSERT_TRUE(clients.back()->connected()) << i;
    }
    EXPECT_TRUE(soon([&] { return server->stats().accepted == count; }));
    EXPECT_LE(server->stats().open, 100U);
    RawClient last(server->port());
    last.send("GET /last HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_NE(last.read_until("/last").find("200 OK"), std::string::npos);
  }
  limit.rlim_cur = soft_before;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
}

TEST(ServerTest, StopEndsLongPollsAndStreamsAndTellsWhoAnswersThem) {
  Held held;
  const auto server = serve({}, std::ref(held));
  RawClient waiting(server->port());
  waiting.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto poll = held.wait();
  RawClient streaming(server->port());
  streaming.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto stream = held.wait();
  ASSERT_TRUE(poll && stream);
  std::atomic<int> gone{0};
  poll->on_gone([&] { ++gone; });
  stream->on_gone([&] { ++gone; });
  ASSERT_TRUE(stream->begin(200, {}));
  const auto begun = steady_clock::now();
  server->stop();
  EXPECT_LT(steady_clock::now() - begun, seconds{5});
  EXPECT_EQ(gone, 2);
  waiting.read_all();
  streaming.read_all();
  EXPECT_TRUE(waiting.closed());
  EXPECT_TRUE(streaming.closed());
  EXPECT_FALSE(RawClient(server->port()).connected());
}

TEST(ServerTest, ResponderMayOutliveTheServer) {
  Held held;
  std::shared_ptr<Responder> responder;
  {
    const auto server = serve({}, std::ref(held));
    RawClient client(server->port());
    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    responder = held.wait();
    ASSERT_NE(responder, nullptr);
  }
  EXPECT_TRUE(responder->gone());
  EXPECT_FALSE(responder->respond({}));
  responder->end();
}

TEST(ServerTest, ManyThreadsAskAndAnswerWhileItStops) {
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  Held held;
  auto server = serve({}, std::ref(held));
  const std::uint16_t port = server->port();
  std::atomic<bool> over{false};
  threads.emplace_back([&] {
    while (!over) {
      if (const auto responder = held.wait()) answered += responder->respond({200, {}, "ok"}) ? 1 : 0;
    }
  });
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([port] {
      for (int n = 0; n < 200; ++n) {
        RawClient client(port);
        if (!client.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) return;
        client.read_all(seconds{1});
      }
    });
  }
  EXPECT_TRUE(soon([&] { return answered > 50; }));
  server->stop();
  over = true;
  held({}, nullptr);  // wakes the answering thread
  for (auto& thread : threads) thread.join();
  EXPECT_GT(answered, 50);
}

}  // namespace
}  // namespace culvert::http
