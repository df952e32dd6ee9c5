// SPDX-License-Identifier: Apache-2.0
#include "app/verify/verifier.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "app/cli/visible_text.h"

namespace culvert::oracle {

namespace {

bool holds(const Fence& fence, Offset offset) {
  bool held = offset.value() < fence.next().value();
  for (const OffsetRange& hole : fence.holes()) {
    if (offset.value() >= hole.first.value() && offset.value() < hole.next.value()) held = false;
  }
  return held;
}

bool inside(const OffsetRange& range, Offset offset) {
  return range.first.value() <= offset.value() && offset.value() < range.next.value();
}

cpp_int wide(Int128 value) {
  const bool negative = value < 0;
  const auto magnitude = negative ? -static_cast<UInt128>(value) : static_cast<UInt128>(value);
  cpp_int result = static_cast<std::uint64_t>(magnitude >> 64);
  result <<= 64;
  result += static_cast<std::uint64_t>(magnitude);
  return negative ? cpp_int{-result} : result;
}

std::string window_name(const ItemKey& key) {
  return fmt::format("device {}, window {}", visible_text(key.device.to_text()), format_utc(key.window_start));
}

// An integer of 10^-digits as decimal text.
std::string scaled_text(const cpp_int& value, int digits) {
  std::string text = cpp_int{abs(value)}.str();
  const auto width = static_cast<std::size_t>(digits);
  if (text.size() <= width) text.insert(0, width + 1 - text.size(), '0');
  text.insert(text.size() - width, ".");
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return value < 0 ? "-" + text : text;
}

template <class Time>
std::string maximum_text(const std::optional<Time>& time) {
  return time ? format_utc(EventTime{time->value()}) : "none";
}

std::string bytes_text(const std::optional<std::string>& bytes) {
  return bytes ? fmt::format("{} bytes '{}'", bytes->size(), visible_start(*bytes, 40)) : "none";
}

std::optional<std::string> owned(const std::optional<std::string_view>& bytes) {
  return bytes ? std::optional<std::string>(*bytes) : std::nullopt;
}

}  // namespace

// ---- The table
// --------------------------------------------------------------------------------------------------------

Result<std::unique_ptr<Verifier>> Verifier::load(TableReader& table, const Definition& definition,
                                                 const std::string& topic) {
  if (definition.kind == WindowKind::kBatch) {
    return Error::fatal(ErrorKind::kData,
                        "windows of kind 'batch' depend on how records were delivered, which the log "
                        "does not tell: such a table cannot be verified");
  }
  std::unique_ptr<Verifier> verifier{new Verifier(definition, topic)};
  if (auto loaded = verifier->load_checkpoints(table); !loaded) return loaded.error();
  if (auto loaded = verifier->load_dead_letters(table); !loaded) return loaded.error();
  if (auto loaded = verifier->load_items(table); !loaded) return loaded.error();
  return verifier;
}

Result<void> Verifier::load_checkpoints(TableReader& table) {
  auto all = table.checkpoints();
  if (!all) return all.error();
  for (const PartitionCheckpoint& at : *all) {
    if (at.where.topic == topic_) generation_ = std::max(generation_, at.where.generation);
  }
  std::string topics;
  for (PartitionCheckpoint& at : *all) {
    if (at.where.topic == topic_ && at.where.generation == generation_) {
      checkpoints_.push_back(std::move(at));
    } else if (topics.find(at.where.topic) == std::string::npos) {
      topics += " " + at.where.topic;
    }
  }
  if (checkpoints_.empty()) {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("the table holds no checkpoint of topic '{}' ({})", topic_,
                                    topics.empty() ? "nothing was folded into it yet" : "it has:" + topics));
  }
  for (const PartitionCheckpoint& at : checkpoints_) {
    Partition& partition = partition_of(at.where.partition);
    partition.checkpoint = &at.checkpoint;
    for (const CoveredRange& range : at.checkpoint.ranges) {
      partition.range_progress[range.offsets.first.value()] = Progress{};
    }
  }
  return {};
}

Result<void> Verifier::load_dead_letters(TableReader& table) {
  return table.scan_dead_letters([&](const DeadLetter& letter) {
    if (letter.where.topic == topic_ && letter.where.generation == generation_) {
      letters_.emplace(std::pair{letter.where.partition, letter.offset}, Letter{letter});
    }
    return true;
  });
}

Result<void> Verifier::load_items(TableReader& table) {
  return table.scan_items({}, [&](const StoredItem& item) {
    for (const Fences::Entry& entry : item.image.fences.entries()) {
      if (const auto id = partition_of_fence(entry.name.text())) partition_of(*id);
    }
    items_[item.key].stored = item;
    return true;
  });
}

Verifier::Partition& Verifier::partition_of(PartitionId id) {
  const auto [found, added] = partitions_.try_emplace(id, definition_);
  if (added) {
    found->second.fence_name = StreamPartition{topic_, generation_, id}.name();
    found->second.repaired_name = found->second.fence_name + "!";
  }
  return found->second;
}

std::optional<PartitionId> Verifier::partition_of_fence(std::string_view name) const {
  const std::string stream = StreamPartition{topic_, generation_, PartitionId{0}}.stream() + "/";
  if (!name.starts_with(stream)) return std::nullopt;
  std::string_view rest = name.substr(stream.size());
  if (rest.ends_with('!')) rest.remove_suffix(1);
  const auto number = DeviceId::parse_number(rest);
  if (!number || *number < 0 || *number > std::numeric_limits<std::int32_t>::max()) return std::nullopt;
  return PartitionId{static_cast<std::int32_t>(*number)};
}

// ---- The log
// ----------------------------------------------------------------------------------------------------------

Result<std::vector<std::pair<PartitionId, OffsetRange>>> Verifier::plan(std::span<const LogExtent> logs) {
  std::vector<std::pair<PartitionId, OffsetRange>> ranges;
  std::map<PartitionId, Offset> held;  // what the table says it holds of each
  for (const auto& [id, partition] : partitions_) {
    Offset& next = held[id];
    if (partition.checkpoint == nullptr) continue;
    next = partition.checkpoint->next;
    for (const CoveredRange& range : partition.checkpoint->ranges) next = std::max(next, range.offsets.next);
  }
  for (const auto& [key, item] : items_) {
    for (const Fences::Entry& entry : item.stored->image.fences.entries()) {
      const auto id = partition_of_fence(entry.name.text());
      if (id) held[*id] = std::max(held[*id], entry.fence.next());
    }
  }
  for (auto& [id, partition] : partitions_) {
    const auto log =
        std::find_if(logs.begin(), logs.end(), [id = id](const LogExtent& l) { return l.partition == id; });
    if (log == logs.end() || log->log_end < held[id]) {
      return Error::fatal(
          ErrorKind::kData,
          fmt::format("{}: the table holds records up to offset {}, but the log {} (was the topic made anew or cut? "
                      "verify against the log the table was made from)",
                      partition.fence_name, held[id].value(),
                      log == logs.end() ? "has no such partition" : fmt::format("ends at {}", log->log_end.value())));
    }
    partition.log_start = log->log_start;
    partition.log_end = log->log_end;
    const Offset start = partition.checkpoint != nullptr ? partition.checkpoint->start : Offset{0};
    partition.partly = start < log->log_start;
    if (partition.checkpoint == nullptr) {
      partition.partly = true;
      report_.partly.push_back(fmt::format("{}: no checkpoint says where folding began", partition.fence_name));
    } else if (partition.partly) {
      report_.partly.push_back(fmt::format("{}: folded from offset {}, but retention left only those from {}",
                                           partition.fence_name, start.value(), log->log_start.value()));
    }
    const OffsetRange range{std::max(start, log->log_start), log->log_end};
    if (range.first < range.next) ranges.emplace_back(id, range);
  }
  report_.partitions = static_cast<std::int64_t>(partitions_.size());
  return ranges;
}

void Verifier::add(PartitionId partition, std::span<const Record> records) {
  Partition& known = partition_of(partition);
  for (const Record& record : records) add_record(partition, known, record);
}

void Verifier::add_record(PartitionId id, Partition& partition, const Record& record) {
  Progress* progress = nullptr;
  if (partition.checkpoint != nullptr) {
    const Checkpoint& checkpoint = *partition.checkpoint;
    if (inside({checkpoint.start, checkpoint.next}, record.offset)) progress = &partition.progress;
    for (const CoveredRange& range : checkpoint.ranges) {
      if (inside(range.offsets, record.offset)) progress = &partition.range_progress[range.offsets.first.value()];
    }
  }
  const bool covered = progress != nullptr;
  Judgement judged;
  if (Letter* letter = covered ? set_aside(id, record) : nullptr; letter != nullptr) {
    judged = partition.oracle.judge_set_aside(record);
    if (judged.refused == DeadLetterReason::kNone) {
      add_redriven(partition, record, judged, true);
      // What it was when it was set aside, to the checkpoint's counters and maxima.
      judged = Judgement{};
      judged.refused = letter->stored.reason;
    }
  } else {
    judged = partition.oracle.judge(record);
  }
  if (progress != nullptr) {
    Counts& counts = progress->counts;
    ++counts.records;
    const bool refused = judged.refused != DeadLetterReason::kNone;
    ++(refused ? counts.dead_letters : judged.folded.empty() ? counts.late : counts.folded);
    if (record.timestamp && (!progress->max_timestamp || *progress->max_timestamp < *record.timestamp)) {
      progress->max_timestamp = record.timestamp;
    }
    if (!refused && (!progress->max_event_time || *progress->max_event_time < judged.time)) {
      progress->max_event_time = judged.time;
    }
  }
  if (covered && !judged.missed.empty()) add_redriven(partition, record, judged, false);
  const bool doubtful = compare_dead_letter(id, partition, record, judged, covered);
  for (const Window& window : judged.folded) {
    if (doubtful) {
      items_[{judged.device, window.start}].doubtful = true;
    } else {
      add_reading(partition, record, judged, window, covered);
    }
  }
}

Verifier::Letter* Verifier::set_aside(PartitionId id, const Record& record) {
  const auto found = letters_.find({id, record.offset});
  if (found == letters_.end()) return nullptr;
  const DeadLetterReason reason = found->second.stored.reason;
  return reason == DeadLetterReason::kLate || reason == DeadLetterReason::kGeneration ? nullptr : &found->second;
}

// `required`: it has to be in all of its windows; otherwise, being late, it may be in any.
void Verifier::add_redriven(const Partition& partition, const Record& record, const Judgement& judged, bool required) {
  std::string missing;
  bool repaired = false;
  for (const Window& window : required ? judged.folded : judged.missed) {
    const ItemKey key{judged.device, window.start};
    const auto found = items_.find(key);
    if (found != items_.end() && found->second.stored &&
        holds(found->second.stored->image.fences.at(partition.repaired_name), record.offset)) {
      found->second.sums.add(judged.micro);
      repaired = true;
    } else if (missing.empty()) {
      missing = window_name(key);
    }
  }
  if (repaired) ++report_.repaired;
  if (!required || missing.empty()) return;
  ++report_.dead_letters_extra;
  difference(
      fmt::format("extra: dead letter {}:{}: it can be read by now, but is not in {} (culvert dead-letters "
                  "redrive)",
                  partition.fence_name, record.offset.value(), missing));
}

bool Verifier::compare_dead_letter(PartitionId id, Partition& partition, const Record& record, const Judgement& judged,
                                   bool covered) {
  const DeadLetterReason expected = judged.refused != DeadLetterReason::kNone ? judged.refused
                                    : !judged.missed.empty()                  ? DeadLetterReason::kLate
                                                                              : DeadLetterReason::kNone;
  const auto found = letters_.find({id, record.offset});
  const std::string where = fmt::format("dead letter {}:{}", partition.fence_name, record.offset.value());
  if (found == letters_.end()) {
    if (expected == DeadLetterReason::kNone || !covered) return false;
    ++report_.dead_letters_missing;
    difference(fmt::format("missing: {}: the log gives reason {}", where, reason_name(expected)));
    return false;
  }
  found->second.seen = true;
  const DeadLetter& stored = found->second.stored;
  if (expected == DeadLetterReason::kNone) {
    // The maximum over the records that were removed is not known, so the reading may have been late.
    const bool gaps = partition.partly || compacted_.value_or(false);
    if (gaps && stored.reason == DeadLetterReason::kLate) return true;
    ++report_.dead_letters_extra;
    difference(fmt::format("extra: {}: reason {}, but the log's record is a reading in time", where,
                           reason_name(stored.reason)));
    return false;
  }
  std::string what;
  if (stored.reason != expected) {
    what = fmt::format("reason: table {}, log {}", reason_name(stored.reason), reason_name(expected));
  } else if (stored.value != owned(record.value)) {
    what = fmt::format("value: table {}, log {}", bytes_text(stored.value), bytes_text(owned(record.value)));
  } else if (stored.key != owned(record.key)) {
    what = fmt::format("record key: table {}, log {}", bytes_text(stored.key), bytes_text(owned(record.key)));
  } else if (stored.timestamp != record.timestamp) {
    what = fmt::format("timestamp: table {}, log {}", maximum_text(stored.timestamp), maximum_text(record.timestamp));
  } else {
    return false;
  }
  ++report_.dead_letters_different;
  difference(fmt::format("different: {}: {}", where, what));
  return false;
}

void Verifier::add_reading(Partition& partition, const Record& record, const Judgement& judged, const Window& window,
                           bool covered) {
  Item& item = items_[{judged.device, window.start}];
  const bool folded = item.stored && holds(item.stored->image.fences.at(partition.fence_name), record.offset);
  if (covered) item.required = true;
  if (covered && !folded && item.uncovered.empty()) {
    item.uncovered = fmt::format("{}:{}", partition.fence_name, record.offset.value());
  }
  if (folded || covered) {
    item.sums.add(judged.micro);
  } else {
    item.pending = true;
  }
}

// ---- The comparison
// ---------------------------------------------------------------------------------------------------

VerifyReport Verifier::finish() {
  for (auto& [id, partition] : partitions_) look_for_removed_records(partition);
  for (const auto& [key, item] : items_) compare_item(key, item);
  for (const auto& [id, partition] : partitions_) compare_partition(partition);
  finish_dead_letters();
  return std::move(report_);
}

// A log whose front is there still lacks what compaction removed.  The checkpoint counted the records that it covers,
// so that offsets which never held one (a transaction's marker, or what it aborted) are not taken for it.
void Verifier::look_for_removed_records(Partition& partition) {
  if (partition.checkpoint == nullptr || partition.partly || compacted_ == false) return;
  const Checkpoint& checkpoint = *partition.checkpoint;
  std::int64_t offsets = checkpoint.next - checkpoint.start;
  std::int64_t folded = checkpoint.progress.counts.records;
  std::int64_t left = partition.progress.counts.records;
  for (const CoveredRange& range : checkpoint.ranges) {
    offsets += range.offsets.next - range.offsets.first;
    folded += range.progress.counts.records;
    left += partition.range_progress.at(range.offsets.first.value()).counts.records;
  }
  if (left >= folded || folded > offsets) return;
  partition.partly = compacted_.has_value();
  report_.partly.push_back(fmt::format(
      "{}: {} of the {} records that were folded are not in the log any more: {}", partition.fence_name, folded - left,
      folded,
      compacted_ ? "the topic is compacted" : "is the topic compacted? (this user may not ask for its settings)"));
}

// False if something may have gone into the item that the log does not hold.
bool Verifier::verifiable(const Item& item) const {
  if (item.doubtful) return false;
  if (!item.stored) return true;
  return std::ranges::all_of(item.stored->image.fences.entries(), [&](const Fences::Entry& entry) {
    const auto id = partition_of_fence(entry.name.text());  // of another topic or generation: none
    const auto found = id ? partitions_.find(*id) : partitions_.end();
    return found != partitions_.end() && !found->second.partly;
  });
}

std::vector<std::string> Verifier::item_differences(const Item& item) const {
  std::vector<std::string> found;
  const Accumulator& a = item.stored->image.aggregate;
  const Sums& log = item.sums;
  const auto compare = [&](const char* field, const cpp_int& table_value, const cpp_int& log_value, int digits) {
    if (table_value == log_value) return;
    found.push_back(fmt::format("{}: table {}, log {}", field, scaled_text(table_value, digits),
                                log.count == 0 ? "nothing" : scaled_text(log_value, digits)));
  };
  const EventTime end = item.stored->key.window_start + definition_.size;
  if (item.stored->window_end != end) {
    found.push_back(fmt::format("window_stop: table {}, log {}", format_utc(item.stored->window_end), format_utc(end)));
  }
  compare("count", a.count, log.count, 0);
  compare("sum", wide(a.sum), log.sum, 6);
  compare("sumsq", wide(a.sum_squares), log.sum_squares, 12);
  compare("min", a.min.value(), log.min, 6);
  compare("max", a.max.value(), log.max, 6);
  if (!found.empty() || log.count == 0) return found;
  const Summary shown = summarize(a);
  compare("avg", shown.mean.value(), mean_micro(log), 6);
  compare("stddev", shown.stddev.value(), stddev_micro(log), 6);
  return found;
}

void Verifier::compare_item(const ItemKey& key, const Item& item) {
  if (!item.stored) {
    if (!item.required) {
      if (item.pending) ++report_.open;
      return;
    }
    ++report_.windows;
    if (!verifiable(item)) {
      ++report_.unverifiable;
      return;
    }
    ++report_.missing;
    return difference(fmt::format("missing: {}: {} readings of the log, first {}", window_name(key),
                                  item.sums.count.str(), item.uncovered));
  }
  ++report_.windows;
  const auto differences = item_differences(item);
  if (differences.empty() && item.uncovered.empty()) {
    ++report_.equal;
    return;
  }
  if (!verifiable(item)) {
    ++report_.unverifiable;
    return;
  }
  if (item.sums.count == 0) {
    ++report_.extra;
    return difference(fmt::format("extra: {}: count {}, but the log holds no reading for it", window_name(key),
                                  item.stored->image.aggregate.count));
  }
  ++report_.different;
  std::string text = fmt::format("different: {}", window_name(key));
  for (const std::string& one : differences) text += "; " + one;
  if (!item.uncovered.empty()) text += fmt::format("; {} is checkpointed but not in it", item.uncovered);
  difference(std::move(text));
}

void Verifier::compare_partition(const Partition& partition) {
  if (partition.checkpoint == nullptr) return;
  const Checkpoint& checkpoint = *partition.checkpoint;
  const auto tally = [&](const Progress& log) { report_.counts.add(log.counts); };
  tally(partition.progress);
  if (!partition.partly) {
    compare_counts(fmt::format("checkpoint {}", partition.fence_name), checkpoint.progress, partition.progress);
  }
  for (const CoveredRange& range : checkpoint.ranges) {
    const Progress& log = partition.range_progress.at(range.offsets.first.value());
    tally(log);
    if (partition.partly) continue;
    compare_counts(fmt::format("checkpoint {}, range {}-{}", partition.fence_name, range.offsets.first.value(),
                               range.offsets.next.value()),
                   range.progress, log);
  }
}

void Verifier::compare_counts(const std::string& where, const Progress& table, const Progress& log) {
  const auto compare = [&](const char* name, const std::string& table_text, const std::string& log_text) {
    if (table_text == log_text) return;
    ++report_.counters_different;
    difference(fmt::format("different: {}: {}: table {}, log {}", where, name, table_text, log_text));
  };
  const auto number = [](std::int64_t n) { return std::to_string(n); };
  compare("records", number(table.counts.records), number(log.counts.records));
  compare("folded", number(table.counts.folded), number(log.counts.folded));
  compare("late", number(table.counts.late), number(log.counts.late));
  compare("dead_letters", number(table.counts.dead_letters), number(log.counts.dead_letters));
  compare("max_event_time", maximum_text(table.max_event_time), maximum_text(log.max_event_time));
  compare("max_timestamp", maximum_text(table.max_timestamp), maximum_text(log.max_timestamp));
}

void Verifier::finish_dead_letters() {
  for (const auto& [position, letter] : letters_) {
    if (letter.seen) continue;
    const auto found = partitions_.find(position.first);
    // What was removed cannot be looked at any more.
    if (found != partitions_.end() && position.second < found->second.log_start) continue;
    if (found != partitions_.end() && found->second.partly && compacted_.value_or(false)) continue;
    ++report_.dead_letters_extra;
    difference(fmt::format("extra: dead letter {}:{}: reason {}, but the log holds no such record",
                           letter.stored.where.name(), position.second.value(), reason_name(letter.stored.reason)));
  }
}

void Verifier::difference(std::string text) {
  ++report_.differences_total;
  if (report_.differences.size() < kDifferencesMost) report_.differences.push_back(std::move(text));
}

}  // namespace culvert::oracle
