// SPDX-License-Identifier: Apache-2.0
// What the tests of this folder share: a file of their own, and short names for flushes.
//
// Flow    tests only.
// Owner   each test makes its own TempFolder; it is removed at the end.
// Time    none.
// Bounds  none.
// See     sqlite_table_test.cc.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "adapters/sqlite/sqlite_table.h"

namespace culvert::sqlite {

class TempFolder {
 public:
  TempFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "culvert-sqlite-XXXXXX").string();
    CULVERT_CHECK(::mkdtemp(name.data()) != nullptr, "cannot make a folder for the test");
    path_ = name;
  }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code ignored;  // a leftover in /tmp fails no test
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] std::filesystem::path operator/(const char* name) const { return path_ / name; }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline const StreamPartition kWhere{"telemetry", 1, PartitionId{0}};

inline Fences fences_at(std::int64_t next, const StreamPartition& where = kWhere) {
  Fences fences;
  fences.set(where.name(), Fence{Offset{next}, {}});
  return fences;
}

// An item that holds `count` readings of 21.5, folded up to `next`.
inline Image image_of(std::int64_t count, std::int64_t next) {
  Accumulator aggregate;
  for (std::int64_t i = 0; i < count; ++i) aggregate.fold(Micro{21'500'000});
  return {aggregate, fences_at(next)};
}

inline ItemPut item_put(ItemKey key, Image desired, std::optional<Fences> expected) {
  const EventTime end = key.window_start + Millis{60'000};
  return {std::move(key), end, std::move(desired), std::move(expected)};
}

inline ItemKey key_of(std::int64_t device, std::int64_t minute = 0) {
  return {DeviceId{device}, EventTime{minute * 60'000}};
}

inline Checkpoint checkpoint_at(std::int64_t next) {
  Checkpoint checkpoint;
  checkpoint.next = Offset{next};
  checkpoint.progress.max_event_time = EventTime{next};
  checkpoint.progress.counts = {next, next, 0, 0};
  checkpoint.definition = definition_text(Definition{});
  return checkpoint;
}

inline std::unique_ptr<SqliteTable> open_table(const std::filesystem::path& path, OpenMode mode = OpenMode::kCreate,
                                               const Definition& definition = {}) {
  OpenOptions options{.mode = mode, .definition = std::nullopt, .busy_timeout = Millis{10'000}};
  if (mode == OpenMode::kCreate) options.definition = definition;
  auto table = SqliteTable::open(path, options);
  if (!table) ADD_FAILURE() << table.error().message;
  return table.ok() ? *std::move(table) : nullptr;
}

inline std::optional<Image> stored_image(AggregateTable& table, const ItemKey& key) {
  auto images = table.load({&key, 1});
  if (!images) ADD_FAILURE() << images.error().message;
  return images.ok() ? images->front() : std::nullopt;
}

inline std::vector<StoredItem> all_items(TableReader& table, const ItemFilter& filter = {}) {
  std::vector<StoredItem> items;
  const auto scanned = table.scan_items(filter, [&](const StoredItem& item) { return items.push_back(item), true; });
  if (!scanned) ADD_FAILURE() << scanned.error().message;
  return items;
}

inline std::vector<DeadLetter> all_dead_letters(TableReader& table) {
  std::vector<DeadLetter> letters;
  const auto scanned =
      table.scan_dead_letters([&](const DeadLetter& letter) { return letters.push_back(letter), true; });
  if (!scanned) ADD_FAILURE() << scanned.error().message;
  return letters;
}

}  // namespace culvert::sqlite
