// SPDX-License-Identifier: Apache-2.0
#include "pipeline/checkpoint.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "model/check.h"

namespace culvert {

void Counts::add(const Counts& other) {
  records += other.records;
  folded += other.folded;
  late += other.late;
  dead_letters += other.dead_letters;
}

void Progress::raise_event_time(EventTime time) {
  if (!max_event_time || *max_event_time < time) max_event_time = time;
}

void Progress::raise_timestamp(RecordTime time) {
  if (!max_timestamp || *max_timestamp < time) max_timestamp = time;
}

void Progress::add(const Progress& other) {
  if (other.max_event_time) raise_event_time(*other.max_event_time);
  if (other.max_timestamp) raise_timestamp(*other.max_timestamp);
  counts.add(other.counts);
}

bool Checkpoint::covers(Offset offset) const { return offset < next || range_of(offset) != nullptr; }

const CoveredRange* Checkpoint::range_of(Offset offset) const {
  for (const CoveredRange& range : ranges) {
    if (range.offsets.contains(offset)) return &range;
  }
  return nullptr;
}

Result<Checkpoint> cover(Checkpoint checkpoint, const CoveredRange& range) {
  if (range.offsets.empty()) return checkpoint;
  CULVERT_CHECK(range.offsets.first >= checkpoint.next, "a covered range was folded twice");
  auto& ranges = checkpoint.ranges;
  const auto at =
      std::lower_bound(ranges.begin(), ranges.end(), range,
                       [](const CoveredRange& a, const CoveredRange& b) { return a.offsets.first < b.offsets.first; });
  CULVERT_CHECK(at == ranges.end() || range.offsets.next <= at->offsets.first, "covered ranges overlap");
  CULVERT_CHECK(at == ranges.begin() || (at - 1)->offsets.next <= range.offsets.first, "covered ranges overlap");
  ranges.insert(at, range);

  std::vector<CoveredRange> joined;
  for (CoveredRange& next : ranges) {
    if (joined.empty() && next.offsets.first == checkpoint.next) {
      checkpoint.next = next.offsets.next;
      checkpoint.progress.add(next.progress);
    } else if (!joined.empty() && joined.back().offsets.next == next.offsets.first) {
      joined.back().offsets.next = next.offsets.next;
      joined.back().progress.add(next.progress);
    } else {
      joined.push_back(next);
    }
  }
  ranges = std::move(joined);
  if (ranges.size() > kRangesMost) {
    return Error::fatal(
        ErrorKind::kData,
        fmt::format("the checkpoint would hold {} separate offset ranges above {} (at most {}): redrive "
                    "the batches that were discarded, oldest first, by their documents or from the log (dead-letters "
                    "redrive), or let `consume` read the topic to its end; if no batch is ever discarded, the gaps are "
                    "empty: say so (CULVERT_GAPS=empty)",
                    ranges.size(), checkpoint.next.value(), kRangesMost));
  }
  return checkpoint;
}

namespace {

template <class Time>
std::string maximum_text(const std::optional<Time>& time) {
  return time ? std::to_string(time->value()) : "-";
}

bool take_number(std::string_view& text, char end, std::int64_t& value) {
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
  if (end == '\0') return text.empty();
  if (text.empty() || text.front() != end) return false;
  text.remove_prefix(1);
  return true;
}

template <class Time>
bool take_maximum(std::string_view& text, std::optional<Time>& time) {
  if (text.starts_with("-:")) {
    text.remove_prefix(2);
    return true;
  }
  std::int64_t value = 0;
  if (!take_number(text, ':', value)) return false;
  time = Time{value};
  return true;
}

bool read_range(std::string_view text, CoveredRange& range) {
  std::array<std::int64_t, 2> offsets{};
  std::array<std::int64_t, 4> counts{};
  if (!take_number(text, '-', offsets[0]) || !take_number(text, ':', offsets[1])) return false;
  if (!take_maximum(text, range.progress.max_event_time)) return false;
  if (!take_maximum(text, range.progress.max_timestamp)) return false;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    if (!take_number(text, i + 1 < counts.size() ? ':' : '\0', counts.at(i)) || counts.at(i) < 0) return false;
  }
  range.offsets = OffsetRange{Offset{offsets[0]}, Offset{offsets[1]}};
  range.progress.counts = Counts{counts[0], counts[1], counts[2], counts[3]};
  return offsets[0] >= 0 && !range.offsets.empty();
}

}  // namespace

std::string ranges_text(const std::vector<CoveredRange>& ranges) {
  std::string text;
  for (const CoveredRange& range : ranges) {
    const Counts& c = range.progress.counts;
    if (!text.empty()) text += ' ';
    text += fmt::format("{}-{}:{}:{}:{}:{}:{}:{}", range.offsets.first.value(), range.offsets.next.value(),
                        maximum_text(range.progress.max_event_time), maximum_text(range.progress.max_timestamp),
                        c.records, c.folded, c.late, c.dead_letters);
  }
  return text;
}

Result<std::vector<CoveredRange>> parse_ranges(std::string_view text) {
  std::vector<CoveredRange> ranges;
  const std::string_view whole = text;
  while (!text.empty()) {
    const auto space = text.find(' ');
    CoveredRange range;
    const bool in_order = read_range(text.substr(0, space), range) &&
                          (ranges.empty() || ranges.back().offsets.next < range.offsets.first);
    if (!in_order || ranges.size() == kRangesMost || space + 1 == text.size()) {
      return Error::fatal(ErrorKind::kData, fmt::format("stored checkpoint ranges '{}' cannot be read", whole));
    }
    ranges.push_back(range);
    text.remove_prefix(space == std::string_view::npos ? text.size() : space + 1);
  }
  return ranges;
}

}  // namespace culvert
