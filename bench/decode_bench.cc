// SPDX-License-Identifier: Apache-2.0
// What decoding costs a record.
//
// Flow    generated values -> [JsonDecoder], one benchmark for each way a record can take.
// Owner   google-benchmark.
// Time    none.
// Bounds  4096 different records of about 80 bytes, so that branch prediction learns no values by heart.
// See     bench/README.md.  Instructions a record are the slope between two runs under valgrind --tool=callgrind with
//         --benchmark_filter and CULVERT_BENCH_ITERATIONS=20000 and 40000, which fixes what is otherwise timed.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "decode/json_decoder.h"

namespace culvert {
namespace {

constexpr std::size_t kRecords = 4096;

enum class Style { kReference, kShuffledHours, kCompact, kSecondsAsFloat, kTextDevice, kLongFraction, kVaryingField };

std::vector<std::string> records(Style style) {
  std::mt19937_64 random(17);
  std::vector<std::string> made;
  for (std::size_t i = 0; i < kRecords; ++i) {
    const auto device = random() % 100'000;
    // In order but for five seconds, a thousand a second; or anywhere within six hours.
    const auto shuffled =
        static_cast<std::int64_t>(random() % (style == Style::kShuffledHours ? 21'600'000'000 : 5'000'000));
    const std::int64_t micros = 1'682'942'400'000'000 + static_cast<std::int64_t>(i) * 1'000 + shuffled;
    const std::string time = format_utc(EventTime{micros / 1000}).substr(0, 23) + fmt::format("{:03}", micros % 1000);
    const auto hundredths = static_cast<std::int64_t>(random() % 6000) - 1500;
    const std::string value = format_scaled(hundredths, 2);
    switch (style) {
      case Style::kReference:
      case Style::kShuffledHours:
        made.push_back(
            fmt::format(R"({{"device_id": {}, "timestamp": "{}", "temperature": {}}})", device, time, value));
        break;
      case Style::kCompact:
        made.push_back(fmt::format(R"({{"device_id":{},"timestamp":"{}","temperature":{}}})", device, time, value));
        break;
      case Style::kSecondsAsFloat:
        made.push_back(fmt::format(R"({{"device_id": {}, "timestamp": {}, "temperature": {}}})", device,
                                   format_scaled(micros, 6), value));
        break;
      case Style::kTextDevice:
        made.push_back(fmt::format(R"({{"device_id": "sensor-{:05}", "timestamp": "{}", "temperature": {}}})", device,
                                   time, value));
        break;
      case Style::kLongFraction:
        made.push_back(fmt::format(R"({{"device_id": {}, "timestamp": "{}", "temperature": {}{:013}}})", device, time,
                                   format_scaled(hundredths * 10 + 1, 3), random() % 10'000'000'000'000));
        break;
      case Style::kVaryingField:
        made.push_back(fmt::format(R"({{"seq": {}, "device_id": {}, "timestamp": "{}", "temperature": {}}})",
                                   1'000'000 + i, device, time, value));
        break;
    }
  }
  return made;
}

Definition definition_of(Style style) {
  Definition definition;
  if (style == Style::kTextDevice) definition.key_type = KeyType::kString;
  if (style == Style::kSecondsAsFloat) definition.timestamp_unit = TimestampUnit::kSeconds;
  return definition;
}

void decode(benchmark::State& state, Style style, ShapedPath path) {
  const auto texts = records(style);
  JsonDecoder decoder(definition_of(style), path);
  std::size_t at = 0;
  std::uint64_t refused = 0;
  for ([[maybe_unused]] auto _ : state) {
    const Record record{Offset{0}, RecordTime{1'682'963'999'000}, std::nullopt, std::string_view{texts[at]}};
    Reading reading;
    if (decoder.decode(record, reading) != DeadLetterReason::kNone) ++refused;
    benchmark::DoNotOptimize(reading);
    at = (at + 1) % kRecords;
  }
  if (refused > 0) state.SkipWithError("a record was refused");
  const bool expected_shaped = path == ShapedPath::kOn && style != Style::kVaryingField;
  if ((decoder.general_count() <= 1) != expected_shaped && state.iterations() > 1) state.SkipWithError("not this path");
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}

void fix_iterations(benchmark::internal::Benchmark* bench) {
  const char* const text = std::getenv("CULVERT_BENCH_ITERATIONS");
  if (text != nullptr) bench->Iterations(std::strtoll(text, nullptr, 10));
}

BENCHMARK_CAPTURE(decode, reference_shaped, Style::kReference, ShapedPath::kOn)->Apply(fix_iterations);
BENCHMARK_CAPTURE(decode, reference_general, Style::kReference, ShapedPath::kOff)->Apply(fix_iterations);
BENCHMARK_CAPTURE(decode, shuffled_hours_shaped, Style::kShuffledHours, ShapedPath::kOn)->Apply(fix_iterations);
BENCHMARK_CAPTURE(decode, compact_shaped, Style::kCompact, ShapedPath::kOn)->Apply(fix_iterations);
BENCHMARK_CAPTURE(decode, compact_general, Style::kCompact, ShapedPath::kOff)->Apply(fix_iterations);
BENCHMARK_CAPTURE(decode, float_seconds_shaped, Style::kSecondsAsFloat, ShapedPath::kOn)->Apply(fix_iterations);
BENCHMARK_CAPTURE(decode, text_device_shaped, Style::kTextDevice, ShapedPath::kOn)->Apply(fix_iterations);
BENCHMARK_CAPTURE(decode, long_fraction_shaped, Style::kLongFraction, ShapedPath::kOn)->Apply(fix_iterations);
BENCHMARK_CAPTURE(decode, varying_field, Style::kVaryingField, ShapedPath::kOn)->Apply(fix_iterations);

void timestamp(benchmark::State& state) {
  const std::string text = "2023-05-01T12:00:00.123456";
  TimestampReader reader;
  EventTime time;
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(text.data());
    benchmark::DoNotOptimize(reader.read(text, time));
    benchmark::DoNotOptimize(time);
  }
}
BENCHMARK(timestamp)->Apply(fix_iterations);

}  // namespace
}  // namespace culvert
