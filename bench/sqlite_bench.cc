// SPDX-License-Identifier: Apache-2.0
// How many items a second a flush stores in an SQLite table, with everything on: one transaction each, fences compared,
// summary computed, log synced.
//
// Flow    sorted FlushRequest -> SqliteTable::flush -> a file in the current folder's file system.
// Owner   one table for each benchmark, removed at its end.
// Time    wall time, since a part of it is the disk's.
// Bounds  windows_most windows of the given devices, then the file is made anew.
// See     bench/README.md.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "adapters/sqlite/sqlite_table.h"

namespace culvert {
namespace {

const StreamPartition kWhere{"telemetry", 1, PartitionId{0}};
constexpr std::int64_t kWindowsMost = 60;

Fences fences_at(std::int64_t next) {
  Fences fences;
  fences.set(kWhere.name(), Fence{Offset{next}, {}});
  return fences;
}

// All devices of one window, each with 60 readings a round; round 0 is the window's first flush.
FlushRequest window_flush(std::int64_t devices, std::int64_t window, std::int64_t round) {
  FlushRequest request{kWhere, {}, {}, {}};
  const std::int64_t offset = 1'000'000'000 + (window * 10 + round) * 60 * devices;
  for (std::int64_t device = 0; device < devices; ++device) {
    ItemPut put{{DeviceId{device * 7}, EventTime{(28'000'000 + window) * 60'000}}, {}, {}, {}};
    put.window_end = put.key.window_start + Millis{60'000};
    for (std::int64_t i = 0; i < (round + 1) * 60; ++i) put.desired.aggregate.fold(Micro{21'000'000 + i * 10'000});
    put.desired.fences = fences_at(offset + device);
    if (round > 0) put.expected = fences_at(offset + device - 60 * devices);
    request.items.push_back(std::move(put));
  }
  return request;
}

class BenchFile {
 public:
  BenchFile() : path_("culvert-sqlite-bench-" + std::to_string(::getpid()) + ".sqlite") { remove(); }
  BenchFile(const BenchFile&) = delete;
  BenchFile& operator=(const BenchFile&) = delete;
  ~BenchFile() { remove(); }

  void open_anew() {
    table_.reset();
    remove();
    sqlite::OpenOptions options;
    options.definition = Definition{};
    table_ = sqlite::SqliteTable::open(path_, options).value();
  }
  [[nodiscard]] sqlite::SqliteTable& table() { return *table_; }

 private:
  void remove() {
    for (const char* ending : {"", "-wal", "-shm"}) std::filesystem::remove(path_.string() + ending);
  }
  std::filesystem::path path_;
  std::unique_ptr<sqlite::SqliteTable> table_;
};

void flush_or_skip(benchmark::State& state, sqlite::SqliteTable& table, const FlushRequest& request) {
  const auto result = table.flush(request);
  if (result.error) return state.SkipWithError(result.error->message.c_str());
  for (const auto& item : result.items) {
    if (item.status != PutStatus::kStored) return state.SkipWithError("an item was not stored");
  }
}

// Each flush writes the next window: rows that were not there.
void FlushNewItems(benchmark::State& state) {
  const std::int64_t devices = state.range(0);
  BenchFile file;
  std::int64_t window = kWindowsMost;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    if (window == kWindowsMost) {
      file.open_anew();
      window = 0;
    }
    const FlushRequest request = window_flush(devices, window++, 0);
    state.ResumeTiming();
    flush_or_skip(state, file.table(), request);
  }
  state.SetItemsProcessed(state.iterations() * devices);
}

// Each flush writes the newest window again: early results.
void FlushChangedItems(benchmark::State& state) {
  const std::int64_t devices = state.range(0);
  BenchFile file;
  file.open_anew();
  for (std::int64_t window = 0; window < 10; ++window) {
    flush_or_skip(state, file.table(), window_flush(devices, window, 0));
  }
  std::int64_t round = 0;
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    const FlushRequest request = window_flush(devices, 9, ++round);
    state.ResumeTiming();
    flush_or_skip(state, file.table(), request);
  }
  state.SetItemsProcessed(state.iterations() * devices);
}

// One device's windows, stepped to through the windows of all.
void ScanOneDevice(benchmark::State& state) {
  BenchFile file;
  file.open_anew();
  for (std::int64_t window = 0; window < kWindowsMost; ++window) {
    flush_or_skip(state, file.table(), window_flush(state.range(0), window, 0));
  }
  for ([[maybe_unused]] auto _ : state) {
    std::int64_t items = 0;
    const auto scanned = file.table().scan_items({.device = DeviceId{7}, .from = {}, .to = {}},
                                                 [&](const StoredItem&) { return ++items, true; });
    if (!scanned || items != kWindowsMost) state.SkipWithError("not all windows were found");
  }
}

BENCHMARK(FlushNewItems)->Arg(100'000)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(FlushChangedItems)->Arg(100'000)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(FlushNewItems)->Arg(1'000)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(FlushChangedItems)->Arg(1'000)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK(ScanOneDevice)->Arg(10'000)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace culvert
