// SPDX-License-Identifier: Apache-2.0
// Flushes against an in-process service with a known latency.
//
//   of_limit    puts a second, as a share of connections / latency: the most that HTTP/1.1 without pipelining allows.
//               Latency is what the service really held the calls for, as its timers are late by some microseconds.
//   core_10k    share of a core that culvert's own threads need for 10 000 puts a second (encoding, signing, HTTP, and
//               the kernel's work for both ends of the loopback connections, which runs in the sender)
//
// Every flush is checked: all of its items are stored when it ends.
#include <benchmark/benchmark.h>
#include <time.h>

#include <chrono>
#include <memory>

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

void flush(benchmark::State& state) {
  const std::chrono::microseconds latency{state.range(0)};
  const std::int64_t connections = state.range(1);
  fakes::DynamoDbFake fake;
  fake.create_table("telemetry", "device_id", "N", "window_start", "S");
  fake.set_verify_signatures(false);
  const SystemClock clock;
  http::DnsResolver resolver;
  Options options;
  options.table = "telemetry";
  options.environment = fake.environment_reader();
  options.connections_most = static_cast<std::size_t>(connections);
  auto opened = DynamoDbTable::open(options, clock, resolver);
  CULVERT_CHECK(opened.ok(), opened.error().message);
  DynamoDbTable& table = **opened;
  CULVERT_CHECK(!table.flush(make_request(connections * 4, 0)).error, "warm-up");
  fake.set_delay(latency);

  const std::int64_t items =
      std::max<std::int64_t>(200, connections * 400'000 / std::max<std::int64_t>(500, state.range(0)));
  std::int64_t puts = 0;
  std::int64_t round = 1;
  double seconds = 0;
  std::int64_t own_ns = 0;
  const auto io_before = table.http_stats().cpu_ns;
  const auto held_before = fake.server().time_held();
  for (auto _ : state) {
    state.PauseTiming();
    const FlushRequest request = make_request(items, round++);
    state.ResumeTiming();
    const auto own = thread_cpu_ns();
    const auto begin = std::chrono::steady_clock::now();
    const FlushResult result = table.flush(request);
    seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    own_ns += thread_cpu_ns() - own;
    CULVERT_CHECK(!result.error, "a flush failed");
    for (const auto& item : result.items) CULVERT_CHECK(item.status == PutStatus::kStored, "an item was not stored");
    puts += items;
  }
  const auto cpu_ns = static_cast<double>(table.http_stats().cpu_ns - io_before) + static_cast<double>(own_ns);
  const double held = std::chrono::duration<double>(fake.server().time_held() - held_before).count();
  state.counters["puts_s"] = static_cast<double>(puts) / seconds;
  state.counters["held_us"] = held / static_cast<double>(puts) * 1e6;
  state.counters["of_limit"] = held / (static_cast<double>(connections) * seconds);
  state.counters["cpu_us"] = cpu_ns / static_cast<double>(puts) / 1e3;
  state.counters["core_10k"] = cpu_ns / static_cast<double>(puts) * 1e4 / 1e9;
}

BENCHMARK(flush)
    ->ArgNames({"latency_us", "connections"})
    ->Args({1'000, 4})
    ->Args({1'000, 8})
    ->Args({5'000, 32})
    ->Args({10'000, 64})
    ->Args({50'000, 64})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

void encode(benchmark::State& state) {
  const FlushRequest request = make_request(64, 1);
  const TableNames names{"telemetry", "telemetry-checkpoints", "telemetry-dead-letters"};
  std::size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(item_put(names, {}, request.items[i++ % 64]));
}
BENCHMARK(encode);

void sign(benchmark::State& state) {
  const std::string body = item_put({"telemetry", "", ""}, {}, make_request(1, 1).items[0]);
  aws::Signer signer("eu-central-1", "dynamodb");
  const aws::Credentials credentials{"AKIDLOCAL", "secret", std::string(400, 't'), std::nullopt};
  for (auto _ : state) {
    http::Request request{.method = "POST", .body = body};
    request.headers = {{"Content-Type", "application/x-amz-json-1.0"}, {"X-Amz-Target", "DynamoDB_20120810.PutItem"}};
    signer.sign(request, "dynamodb.eu-central-1.amazonaws.com", credentials, std::chrono::sys_seconds{});
    benchmark::DoNotOptimize(request);
  }
}
BENCHMARK(sign);

}  // namespace
}  // namespace culvert::dynamodb
