// SPDX-License-Identifier: Apache-2.0
// Flushes against an in-process service with a known latency.
//
//   of_limit    puts a second, as a share of connections / latency: the most that HTTP/1.1 without pipelining allows.
//               Latency is what the service really held the calls for, as its timers are late by some microseconds.
//   cpu_us      CPU of culvert's own threads for a put (encoding, signing, HTTP, and the kernel's work for both ends of
//               the loopback connections, which runs in the sender); core_10k: the share of a core that 10 000 puts a
//               second need
//   floor       the least that any client needs here: the bytes of a finished put sent again and again by a loop of
//               epoll_wait, recv and send, to the same service.  What lies above it is culvert's; what lies below is
//               the kernel's and the machine's, timers and wake-ups included.
//
// Every flush is checked: all of its items are stored when it ends.
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "adapters/dynamodb/dynamodb_table.h"
#include "fakes/dynamodb_fake.h"

namespace culvert::dynamodb {
namespace {

std::int64_t thread_cpu_ns() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<std::int64_t>(used.tv_sec) * 1'000'000'000 + used.tv_nsec;
}

FlushRequest make_request(std::int64_t items, std::int64_t round) {
  FlushRequest request{{"sensors", 1, PartitionId{0}}, {}, {}, {}};
  for (std::int64_t device = 0; device < items; ++device) {
    ItemPut put;
    put.key = {DeviceId{device}, EventTime{1'795'000'020'000 + round * 60'000}};
    put.window_end = put.key.window_start + Millis{60'000};
    for (std::int64_t i = 0; i < 8; ++i) put.desired.aggregate.fold(Micro{21'500'000 + i * 123'457 + device});
    put.desired.fences.set("sensors@1/0", Fence{Offset{1'000'000 + device}, {}});
    request.items.push_back(std::move(put));
  }
  return request;
}

struct Service {
  Service(std::chrono::microseconds latency, std::int64_t connections_most)
      : connections(connections_most),
        items(std::max<std::int64_t>(200, connections * 400'000 / std::max<std::int64_t>(500, latency.count()))) {
    fake.create_table("telemetry", "device_id", "N", "window_start", "S");
    fake.set_verify_signatures(false);
    fake.set_delay(latency);
  }

  fakes::DynamoDbFake fake;
  std::int64_t connections;
  std::int64_t items;  // of one flush: about 400 ms
};

class Measured {
 public:
  explicit Measured(Service& service) : service_(service), held_before_(service.fake.server().time_held()) {}

  void add(std::chrono::nanoseconds wall, std::int64_t cpu_ns) {
    seconds_ += std::chrono::duration<double>(wall).count();
    cpu_ns_ += static_cast<double>(cpu_ns);
    puts_ += service_.items;
  }
  // `cpu_ns`: of threads beside the caller's.
  void report(benchmark::State& state, std::uint64_t cpu_ns) const {
    const auto puts = static_cast<double>(puts_);
    const double held = std::chrono::duration<double>(service_.fake.server().time_held() - held_before_).count();
    const double cpu_a_put_ns = (cpu_ns_ + static_cast<double>(cpu_ns)) / puts;
    state.counters["puts_s"] = puts / seconds_;
    state.counters["held_us"] = held / puts * 1e6;
    state.counters["of_limit"] = held / (static_cast<double>(service_.connections) * seconds_);
    state.counters["cpu_us"] = cpu_a_put_ns / 1e3;
    state.counters["core_10k"] = cpu_a_put_ns * 1e4 / 1e9;
  }

 private:
  Service& service_;
  std::chrono::nanoseconds held_before_;
  double seconds_ = 0;
  double cpu_ns_ = 0;
  std::int64_t puts_ = 0;
};

void flush(benchmark::State& state) {
  Service service(std::chrono::microseconds{state.range(0)}, state.range(1));
  const SystemClock clock;
  http::DnsResolver resolver;
  Options options;
  options.table = "telemetry";
  options.environment = service.fake.environment_reader();
  options.connections_most = static_cast<std::size_t>(service.connections);
  auto opened = DynamoDbTable::open(options, clock, resolver);
  CULVERT_CHECK(opened.ok(), opened.error().message);
  DynamoDbTable& table = **opened;
  CULVERT_CHECK(!table.flush(make_request(service.connections * 4, 0)).error, "warm-up");
  std::int64_t round = 1;
  const auto io_before = table.http_stats().cpu_ns;
  Measured measured(service);
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    const FlushRequest request = make_request(service.items, round++);
    state.ResumeTiming();
    const auto own = thread_cpu_ns();
    const auto begin = std::chrono::steady_clock::now();
    const FlushResult result = table.flush(request);
    measured.add(std::chrono::steady_clock::now() - begin, thread_cpu_ns() - own);
    CULVERT_CHECK(!result.error, "a flush failed");
    for (const auto& item : result.items) CULVERT_CHECK(item.status == PutStatus::kStored, "an item was not stored");
  }
  measured.report(state, table.http_stats().cpu_ns - io_before);
}

// A put as culvert sends it, but without its condition, so that it can be sent again.
std::string finished_put(const http::Endpoint& endpoint) {
  std::string body = item_put({"telemetry", "", ""}, {}, make_request(1, 1).items[0]);
  body.resize(body.find(R"(,"ConditionExpression")"));
  http::Request request{.method = "POST", .body = body + "}"};
  request.headers = {{"Content-Type", "application/x-amz-json-1.0"}, {"X-Amz-Target", "DynamoDB_20120810.PutItem"}};
  aws::Signer signer("eu-central-1", "dynamodb");
  signer.sign(request, endpoint.authority(), {"AKIDFAKE", "secret", "", std::nullopt}, std::chrono::sys_seconds{});
  std::string text = "POST / HTTP/1.1\r\nHost: " + endpoint.authority() + "\r\n";
  for (const http::Header& header : request.headers) text += header.name + ": " + header.value + "\r\n";
  return text + "Content-Length: " + std::to_string(request.body.size()) + "\r\n\r\n" + request.body;
}

class BareConnections {
 public:
  BareConnections(std::uint16_t port, std::int64_t count) : epoll_(epoll_create1(0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (std::int64_t i = 0; i < count; ++i) {
      const int one = ::socket(AF_INET, SOCK_STREAM, 0);
      const int no_delay = 1;
      CULVERT_CHECK(setsockopt(one, IPPROTO_TCP, TCP_NODELAY, &no_delay, sizeof no_delay) == 0, "no delay");
      CULVERT_CHECK(connect(one, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0, "cannot connect");
      epoll_event event{EPOLLIN | EPOLLET, {.fd = one}};
      CULVERT_CHECK(epoll_ctl(epoll_, EPOLL_CTL_ADD, one, &event) == 0, "epoll");
      sockets_.push_back(one);
    }
  }
  BareConnections(const BareConnections&) = delete;
  BareConnections& operator=(const BareConnections&) = delete;
  ~BareConnections() {
    for (const int one : sockets_) close(one);
    close(epoll_);
  }

  void put(const std::string& bytes, std::int64_t count) {
    std::int64_t sent = 0;
    std::int64_t answered = 0;
    const auto send_one = [&](int to) {
      ++sent;
      CULVERT_CHECK(::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL) == std::ssize(bytes), "a put was cut");
    };
    for (const int one : sockets_) {
      if (sent < count) send_one(one);
    }
    std::array<epoll_event, 64> events{};
    std::array<char, 4096> reply{};
    while (answered < count) {
      const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < ready; ++i) {
        const int from = events.at(static_cast<std::size_t>(i)).data.fd;
        const auto got = recv(from, reply.data(), reply.size(), 0);
        const std::string_view text(reply.data(), static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
        CULVERT_CHECK(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n{}"), "a put was not stored");
        ++answered;
        if (sent < count) send_one(from);
      }
    }
  }

 private:
  int epoll_;
  std::vector<int> sockets_;
};

void floor(benchmark::State& state) {
  Service service(std::chrono::microseconds{state.range(0)}, state.range(1));
  BareConnections bare(service.fake.server().endpoint().port, service.connections);
  const std::string bytes = finished_put(service.fake.server().endpoint());
  bare.put(bytes, service.connections);  // warm-up
  Measured measured(service);
  for ([[maybe_unused]] auto _ : state) {
    const auto own = thread_cpu_ns();
    const auto begin = std::chrono::steady_clock::now();
    bare.put(bytes, service.items);
    measured.add(std::chrono::steady_clock::now() - begin, thread_cpu_ns() - own);
  }
  measured.report(state, 0);
}

void settings(benchmark::internal::Benchmark* measurement) {
  measurement->ArgNames({"latency_us", "connections"})
      ->Args({1'000, 4})
      ->Args({1'000, 8})
      ->Args({5'000, 32})
      ->Args({10'000, 64})
      ->Args({50'000, 64})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}
BENCHMARK(flush)->Apply(settings);
BENCHMARK(floor)->Apply(settings);

void encode(benchmark::State& state) {
  const FlushRequest request = make_request(64, 1);
  const TableNames names{"telemetry", "telemetry-checkpoints", "telemetry-dead-letters"};
  std::size_t i = 0;
  for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(item_put(names, {}, request.items[i++ % 64]));
}
BENCHMARK(encode);

void sign(benchmark::State& state) {
  const std::string body = item_put({"telemetry", "", ""}, {}, make_request(1, 1).items[0]);
  aws::Signer signer("eu-central-1", "dynamodb");
  const aws::Credentials credentials{"AKIDLOCAL", "secret", std::string(400, 't'), std::nullopt};
  for ([[maybe_unused]] auto _ : state) {
    http::Request request{.method = "POST", .body = body};
    request.headers = {{"Content-Type", "application/x-amz-json-1.0"}, {"X-Amz-Target", "DynamoDB_20120810.PutItem"}};
    signer.sign(request, "dynamodb.eu-central-1.amazonaws.com", credentials, std::chrono::sys_seconds{});
    benchmark::DoNotOptimize(request);
  }
}
BENCHMARK(sign);

}  // namespace
}  // namespace culvert::dynamodb
