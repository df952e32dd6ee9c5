// SPDX-License-Identifier: Apache-2.0
#include "app/memory_budget.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "app/values.h"

namespace culvert {

namespace {

constexpr std::int64_t kMiB = 1 << 20;
// Program, client threads and buffers, SQLite's page cache: measured 40 to 60 MiB with nothing in flight.
constexpr std::int64_t kBase = 64 * kMiB;
constexpr std::int64_t kFetchMost = 64 * kMiB;
constexpr std::int64_t kFetchLeast = 4 * kMiB;
constexpr std::int64_t kDeltasLeast = 16 * kMiB;

std::int64_t machine_bytes() {
  std::int64_t bytes = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  // Absent, or the word `max`, outside of a limited control group: then the machine's memory counts.
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    std::ifstream file(path);
    std::int64_t limit = 0;
    if (file >> limit && limit > 0) bytes = std::min(bytes, limit);
  }
  return bytes;
}

}  // namespace

Result<MemoryBudget> memory_budget(std::optional<std::int64_t> limit_bytes) {
  MemoryBudget budget;
  budget.limit_bytes = limit_bytes.value_or(machine_bytes() / 5 * 4);
  budget.fetch_bytes = std::clamp((budget.limit_bytes - kBase) / 4, kFetchLeast, kFetchMost);
  // What is fetched is unpacked when it is handed over: a batch in use may be as large as what is queued.
  budget.delta_bytes = budget.limit_bytes - kBase - 2 * budget.fetch_bytes;
  if (budget.delta_bytes < kDeltasLeast) {
    return Error::fatal(ErrorKind::kConfiguration,
                        fmt::format("--memory-limit {}: at least {} are needed", format_bytes(budget.limit_bytes),
                                    format_bytes(kBase + 2 * kFetchLeast + kDeltasLeast)));
  }
  return budget;
}

}  // namespace culvert
