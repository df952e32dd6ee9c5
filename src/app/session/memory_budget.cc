// SPDX-License-Identifier: Apache-2.0
#include "app/session/memory_budget.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "app/options/values.h"

namespace culvert {

namespace {

constexpr std::int64_t kMiB = 1 << 20;
// Program, client threads and buffers, SQLite's page cache: measured 40 to 60 MiB with nothing in flight.
constexpr std::int64_t kBase = 64 * kMiB;
constexpr std::int64_t kFetchMost = 64 * kMiB;
constexpr std::int64_t kFetchLeast = 4 * kMiB;
constexpr std::int64_t kDeltasLeast = 16 * kMiB;

// Absent, or the word `max`, where the control group has no limit of its own.
void lower_to(std::int64_t& bytes, const std::filesystem::path& file_of_limit) {
  std::ifstream file(file_of_limit);
  std::int64_t limit = 0;
  if (file >> limit && limit > 0) bytes = std::min(bytes, limit);
}

std::int64_t machine_bytes() {
  std::int64_t bytes = sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
  const std::filesystem::path root = "/sys/fs/cgroup";
  lower_to(bytes, root / "memory/memory.limit_in_bytes");
  lower_to(bytes, root / "memory.max");
  // In a service's own group (MemoryMax= of its unit) and in every one above it, the lowest limit counts.
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    constexpr std::string_view kUnified = "0::/";
    if (!line.starts_with(kUnified)) continue;
    std::filesystem::path group = root;
    for (const auto& part : std::filesystem::path(line.substr(kUnified.size()))) {
      group /= part;
      lower_to(bytes, group / "memory.max");
    }
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
