// SPDX-License-Identifier: Apache-2.0
// Reading an event of 10 000 records: nanoseconds per record, and bytes per second.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include "adapters/lambda/event.h"

namespace culvert::lambda {
namespace {

std::string make_event(int records) {
  // 76 bytes of JSON in base64, as the sensors' records are.
  constexpr std::string_view kValue =
      "eyJkZXZpY2VfaWQiOjEsInRpbWVzdGFtcCI6IjIwMjMtMDUtMDFUMTI6MDA6MDAuMTIzNDU2IiwidGVtcGVyYXR1cmUiOjIxLjI1fSAg";
  std::string out =
      R"({"eventSource":"aws:kafka","eventSourceArn":"arn","bootstrapServers":"b:9094","records":{"readings-0":[)";
  for (int i = 0; i < records; ++i) {
    out += fmt::format(
        R"({}{{"topic":"readings","partition":0,"offset":{},"timestamp":1682942400123,"timestampType":"CREATE_TIME",)"
        R"("key":"MQ==","value":"{}","headers":[]}})",
        i == 0 ? "" : ",", 1'000'000 + i, kValue);
  }
  return out + "]}}";
}

void read_event(benchmark::State& state) {
  const std::string event = make_event(static_cast<int>(state.range(0)));
  EventReader reader;
  std::string payload;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    payload = event;
    state.ResumeTiming();
    if (!reader.read(payload)) state.SkipWithError("malformed");
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(event.size()));
}
BENCHMARK(read_event)->Arg(100)->Arg(10'000);

}  // namespace
}  // namespace culvert::lambda
