// SPDX-License-Identifier: Apache-2.0
#include "app/demo/view.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "app/options/values.h"
#include "model/micro.h"
#include "window/accumulator.h"

namespace culvert {

namespace {

constexpr std::int64_t kNotClosed = -1;

// The partition that a fence is named after: `topic@1/3`.
std::optional<PartitionId> partition_of(std::string_view fence_name) {
  const auto slash = fence_name.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  std::int32_t number = 0;
  const std::string_view digits = fence_name.substr(slash + 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
  return PartitionId{number};
}

// `12:00:10`: the date is the same in all rows.
std::string time_of_day(EventTime time) { return format_utc(time).substr(11, 8); }

// Three digits are enough to look at; the table holds all of them.
std::string rounded(Micro value) { return format_scaled(divide_half_even(value.value(), 1'000), 3); }

LiveRow row_of(const StoredItem& item, bool closed, bool corrected) {
  const Accumulator& a = item.image.aggregate;
  const Summary summary = summarize(a);
  LiveRow row;
  row.cells = {time_of_day(item.key.window_start) + " - " + time_of_day(item.window_end),
               item.key.device.to_text(),
               format_count(a.count),
               rounded(summary.mean),
               format_micro(a.min),
               format_micro(a.max),
               rounded(summary.stddev),
               closed ? "closed" : "open"};
  row.tone = corrected ? RowTone::kWarning : (closed ? RowTone::kDim : RowTone::kPlain);
  return row;
}

}  // namespace

bool window_closed(const StoredItem& item, const std::map<PartitionId, EventTime>& watermarks) {
  for (const auto& entry : item.image.fences.entries()) {
    const auto partition = partition_of(entry.name.text());
    const auto found = partition ? watermarks.find(*partition) : watermarks.end();
    if (found == watermarks.end() || found->second < item.window_end) return false;
  }
  return true;
}

LiveFrame DemoView::frame(const DemoFigures& figures, std::vector<StoredItem> items) {
  std::sort(items.begin(), items.end(), [](const StoredItem& a, const StoredItem& b) {
    if (a.key.window_start != b.key.window_start) return a.key.window_start > b.key.window_start;
    return a.key.device < b.key.device;
  });
  LiveFrame frame;
  frame.head = {
      fmt::format("{} s   sent {}   read {} ({})   in the table {}   dead letters {}, of which late {}",
                  figures.seconds, format_count(figures.feed.sent), format_count(figures.read),
                  format_rate(figures.rate), format_count(figures.stored), figures.dead_letters, figures.late),
      fmt::format("sensors > embedded Kafka broker > windows > {}", table_name_), ""};
  frame.columns = {{"window (UTC)", CellAlign::kLeft}, {"device"}, {"count"}, {"mean"}, {"min"}, {"max"}, {"stddev"},
                   {"state", CellAlign::kLeft}};
  frame.more_of = "windows";
  for (const StoredItem& item : items) {
    const bool closed = window_closed(item, figures.watermarks);
    const std::int64_t count = item.image.aggregate.count;
    const auto [known, first_time] = closed_counts_.try_emplace(item.key, closed ? count : kNotClosed);
    const bool corrected = !first_time && known->second != kNotClosed && known->second != count;
    if (closed) known->second = count;
    frame.rows.push_back(row_of(item, closed, corrected));
  }
  return frame;
}

std::string demo_line(const DemoFigures& figures) {
  return fmt::format("demo: seconds={} sent={} acknowledged={} read={} stored={} dead_letters={} late={}",
                     figures.seconds, figures.feed.sent, figures.feed.acknowledged, figures.read, figures.stored,
                     figures.dead_letters, figures.late);
}

}  // namespace culvert
