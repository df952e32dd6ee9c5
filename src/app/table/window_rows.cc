// SPDX-License-Identifier: Apache-2.0
#include "app/table/window_rows.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/cli/visible_text.h"
#include "model/json_text.h"

namespace culvert {

namespace {

struct Texts {
  std::string start, stop, mean, min, max, sum, stddev, count, sum_squares;
};

Texts texts_of(const StoredItem& item) {
  const Accumulator& a = item.image.aggregate;
  const Summary summary = summarize(a);
  return {format_utc(item.key.window_start),
          format_utc(item.window_end),
          format_micro(summary.mean),
          format_micro(a.min),
          format_micro(a.max),
          format_scaled(a.sum, 6),
          format_micro(summary.stddev),
          std::to_string(a.count),
          format_scaled(a.sum_squares, 12)};
}

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) {
    out += c;
    if (c == '"') out += c;
  }
  return out + '"';
}

// A repaired dead letter is folded under the partition's name and a `!`; it waits for the same watermark.
std::string_view partition_of(std::string_view fence_name) {
  if (fence_name.ends_with('!')) fence_name.remove_suffix(1);
  return fence_name;
}

}  // namespace

WindowStates::WindowStates(const std::vector<PartitionCheckpoint>& checkpoints, const Definition& definition) {
  for (const PartitionCheckpoint& at : checkpoints) {
    const auto newest = at.checkpoint.progress.max_event_time;
    if (newest) watermarks_.emplace(at.where.name(), *newest - definition.out_of_orderness);
  }
}

bool WindowStates::closed(const StoredItem& item) const {
  return std::ranges::all_of(item.image.fences.entries(), [&](const Fences::Entry& entry) {
    const auto found = watermarks_.find(partition_of(entry.name.text()));
    return found != watermarks_.end() && item.window_end <= found->second;
  });
}

std::string_view state_name(bool closed) { return closed ? "closed" : "open"; }

std::string window_json(const StoredItem& item, std::string_view name, bool closed) {
  const DeviceRef device = item.key.device.ref();
  const std::string id = device.type() == KeyType::kNumber ? device.to_text() : json_string(device.text());
  const Texts t = texts_of(item);
  return fmt::format(
      R"({{"device_id":{},"window_start":"{}","window_stop":"{}","avg_{}":{},"min_{}":{},"max_{}":{},"sum_{}":{},)"
      R"("stddev_{}":{},"count":{},"sumsq":{},"state":"{}"}})",
      id, t.start, t.stop, name, t.mean, name, t.min, name, t.max, name, t.sum, name, t.stddev, t.count, t.sum_squares,
      state_name(closed));
}

std::string window_csv_header(std::string_view name) {
  return fmt::format("device_id,window_start,window_stop,avg_{0},min_{0},max_{0},sum_{0},stddev_{0},count,sumsq,state",
                     name);
}

std::string window_csv(const StoredItem& item, bool closed) {
  const Texts t = texts_of(item);
  return fmt::format("{},{},{},{},{},{},{},{},{},{},{}", csv_field(item.key.device.to_text()), t.start, t.stop, t.mean,
                     t.min, t.max, t.sum, t.stddev, t.count, t.sum_squares, state_name(closed));
}

std::vector<std::string> window_cells(const StoredItem& item, bool closed) {
  Texts t = texts_of(item);
  return {visible_text(item.key.device.to_text()), t.start, t.stop, t.count, t.mean, t.min, t.max, t.stddev,
          std::string(state_name(closed))};
}

}  // namespace culvert
