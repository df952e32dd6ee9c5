// SPDX-License-Identifier: Apache-2.0
#include "simulation/checker.h"

#include <fmt/format.h>

#include <algorithm>

namespace culvert::simulation {

namespace {

// The oracle's own sums: plain additions of what the contributions say.
Accumulator sum_of(const std::vector<const Contribution*>& contributions) {
  Accumulator total;
  for (const Contribution* c : contributions) {
    const Int128 value = c->value.value();
    ++total.count;
    total.sum += value;
    total.sum_squares += value * value;
    if (total.count == 1 || c->value < total.min) total.min = c->value;
    if (total.count == 1 || c->value > total.max) total.max = c->value;
  }
  return total;
}

template <class Time>
std::string time_text(const std::optional<Time>& time) {
  return time ? std::to_string(time->value()) : "none";
}

std::string counts_text(const Counts& c) {
  return fmt::format("{} records, {} folded, {} late, {} dead letters", c.records, c.folded, c.late, c.dead_letters);
}

}  // namespace

std::string item_text(const ItemKey& key) {
  return fmt::format("device {} window {}", key.device.to_text(), format_utc(key.window_start));
}

std::string accumulator_text(const Accumulator& a) {
  return fmt::format("count {} sum {} squares {} min {} max {}", a.count, format_scaled(a.sum, 6),
                     format_scaled(a.sum_squares, 12), format_micro(a.min), format_micro(a.max));
}

void Checker::violate(const std::string& what) {
  if (!violation_ && !overlooking_) violation_ = what;
}

void Checker::watch(VirtualTable& table) {
  table.watch({[this](const ItemKey& key, const Image* before, const Image& after) { on_item(key, before, after); },
               [this](const StreamPartition& where, const Checkpoint* before, const Checkpoint& after) {
                 on_checkpoint(where, before, after);
               },
               [this](const DeadLetter& letter) { on_dead_letter(letter); }});
}

void Checker::expect_redrive(bool late) {
  redriving_ = true;
  redriving_late_ = late;
}

std::optional<std::size_t> Checker::partition_of(const StreamPartition& where) const {
  for (std::size_t p = 0; p < world_.partitions().size(); ++p) {
    if (world_.partitions()[p].where == where) return p;
  }
  return std::nullopt;
}

// ------------------------------------------------------------------------------------------------------------ items

Checker::Covered Checker::covered_by(const ExpectedItem& item, const Image& image) const {
  Covered covered;
  for (const Contribution& c : item.contributions) {
    const std::string name = world_.partitions()[c.partition].where.name();
    const Fence& fence = image.fences.at(c.kind == Contribution::Kind::kInTime ? name : name + "!");
    const bool in_hole = std::any_of(fence.holes().begin(), fence.holes().end(), [&](const OffsetRange& hole) {
      return hole.first <= c.offset && c.offset < hole.next;
    });
    if (c.offset < fence.next() && !in_hole) covered.insert({c.partition, c.offset});
  }
  return covered;
}

void Checker::check_names(const ItemKey& key, const Fences& fences) {
  for (const Fences::Entry& entry : fences.entries()) {
    const auto& all = world_.partitions();
    const bool known = std::any_of(all.begin(), all.end(), [&](const auto& p) {
      return entry.name.text() == p.where.name() || (redriving_ && entry.name.text() == p.where.name() + "!");
    });
    if (!known) violate(fmt::format("{}: a fence named '{}'", item_text(key), entry.name.text()));
  }
}

void Checker::on_item(const ItemKey& key, const Image* before, const Image& after) {
  items_[key] = after;
  const auto expected = oracle_.items().find(key);
  if (expected == oracle_.items().end()) {
    return violate(fmt::format("{}: an item that no reading belongs to", item_text(key)));
  }
  const Covered now = covered_by(expected->second, after);
  if (before != nullptr) {
    const Covered then = covered_by(expected->second, *before);
    if (!std::includes(now.begin(), now.end(), then.begin(), then.end())) {
      return violate(fmt::format("{}: a fence went back, from '{}' to '{}'", item_text(key),
                                 fences_text(before->fences), fences_text(after.fences)));
    }
  }
  std::vector<const Contribution*> contributions;
  for (const Contribution& c : expected->second.contributions) {
    if (now.contains({c.partition, c.offset})) contributions.push_back(&c);
  }
  const Accumulator sum = sum_of(contributions);
  if (!(sum == after.aggregate)) {
    violate(fmt::format("{}: holds {}, but its fences '{}' cover records of {}", item_text(key),
                        accumulator_text(after.aggregate), fences_text(after.fences), accumulator_text(sum)));
  }
  check_names(key, after.fences);
  if (final_emission()) check_closed(key, expected->second, now);
}

// Final emission: a partition's part of a window is written once the partition's log has closed the window.
void Checker::check_closed(const ItemKey& key, const ExpectedItem& item, const Covered& covered) {
  for (const auto& [partition, offset] : covered) {
    const auto& newest = oracle_.prefix(partition, world_.partitions()[partition].visible).max_event_time;
    if (!newest || item.window_end > *newest - world_.definition().out_of_orderness) {
      violate(fmt::format("{}: offset {} of partition {} was written before the window was closed", item_text(key),
                          offset.value(), partition));
    }
  }
}

// ------------------------------------------------------------------------------------------------------ checkpoints

void Checker::on_dead_letter(const DeadLetter& letter) {
  const auto partition = partition_of(letter.where);
  if (!partition) return violate(fmt::format("a dead letter of {}", letter.where.name()));
  const VirtualPartition& log = world_.partitions()[*partition];
  const std::size_t index = log.index_of(letter.offset);
  if (index == log.visible || log.records[index].offset != letter.offset) {
    return violate(
        fmt::format("{}: a dead letter of offset {}, which is no record", letter.where.name(), letter.offset.value()));
  }
  const DeadLetterReason expected = oracle_.fate(*partition, index).reason;
  if (letter.reason != expected) {
    violate(fmt::format("{}: dead letter of offset {} says {}, expected {}", letter.where.name(), letter.offset.value(),
                        reason_name(letter.reason), reason_name(expected)));
  }
  const Record& record = log.records[index];
  if (letter.value != record.value || letter.key != record.key || letter.timestamp != record.timestamp) {
    violate(fmt::format("{}: dead letter of offset {} is not the record", letter.where.name(), letter.offset.value()));
  }
  letters_[{*partition, letter.offset}] = letter.reason;
}

void Checker::on_checkpoint(const StreamPartition& where, const Checkpoint* before, const Checkpoint& after) {
  const auto partition = partition_of(where);
  if (!partition) return violate(fmt::format("a checkpoint of {}", where.name()));
  if (before != nullptr && after.next < before->next) {
    violate(fmt::format("{}: the checkpoint went back from {} to {}", where.name(), before->next.value(),
                        after.next.value()));
  }
  const VirtualPartition& log = world_.partitions()[*partition];
  for (std::size_t i = 0; i < log.records.size(); ++i) {
    const Offset offset = log.records[i].offset;
    const bool now = after.covers(offset);
    const bool then = before != nullptr && before->covers(offset);
    if (then && !now) violate(fmt::format("{}: the checkpoint forgot offset {}", where.name(), offset.value()));
    if (now && !then) check_dealt_with(*partition, i);
  }
  checkpoints_[*partition] = after;
  check_progress(*partition, after);
}

void Checker::check_dealt_with(std::size_t partition, std::size_t index) {
  const VirtualPartition& log = world_.partitions()[partition];
  const Offset offset = log.records[index].offset;
  const Fate& fate = oracle_.fate(partition, index);
  if (fate.reason != DeadLetterReason::kNone && !letters_.contains({partition, offset})) {
    violate(fmt::format("{}: the checkpoint passed offset {}, whose dead letter is not stored", log.where.name(),
                        offset.value()));
  }
  for (const ItemKey& key : fate.items) {
    const auto item = items_.find(key);
    if (item == items_.end() || !item->second.fences.at(log.where.name()).covers(offset)) {
      violate(fmt::format("{}: the checkpoint passed offset {}, which is not in {}", log.where.name(), offset.value(),
                          item_text(key)));
    }
  }
}

// Lateness is judged from these, so they must be those of exactly the records below.
void Checker::check_progress(std::size_t partition, const Checkpoint& checkpoint) {
  const VirtualPartition& log = world_.partitions()[partition];
  const auto differ = [&](const char* what, Offset at, const std::string& is, const std::string& should) {
    violate(fmt::format("{}: the checkpoint at {}: {} is {}, should be {}", log.where.name(), at.value(), what, is,
                        should));
  };
  const auto index_of = [&](Offset offset) {
    return static_cast<std::size_t>(
        std::count_if(log.records.begin(), log.records.end(), [&](const Record& r) { return r.offset < offset; }));
  };
  const auto compare = [&](Offset first, Offset next, const Progress& progress, bool exact) {
    const Prefix& below = oracle_.prefix(partition, index_of(first));
    const Prefix& all = oracle_.prefix(partition, index_of(next));
    Counts counts = all.counts;
    counts.records -= below.counts.records;
    counts.folded -= below.counts.folded;
    counts.late -= below.counts.late;
    counts.dead_letters -= below.counts.dead_letters;
    if (!(progress.counts == counts)) differ("counts", next, counts_text(progress.counts), counts_text(counts));
    const bool times_fit = exact ? progress.max_event_time == all.max_event_time
                                 : !progress.max_event_time || progress.max_event_time <= all.max_event_time;
    if (!times_fit) {
      differ("max event time", next, time_text(progress.max_event_time), time_text(all.max_event_time));
    }
    const bool stamps_fit = exact ? progress.max_timestamp == all.max_timestamp
                                  : !progress.max_timestamp || progress.max_timestamp <= all.max_timestamp;
    if (!stamps_fit) differ("max timestamp", next, time_text(progress.max_timestamp), time_text(all.max_timestamp));
  };
  compare(Offset{0}, checkpoint.next, checkpoint.progress, true);
  Offset above = checkpoint.next;
  for (const CoveredRange& range : checkpoint.ranges) {
    if (range.offsets.first <= above || range.offsets.empty()) {
      violate(fmt::format("{}: ranges '{}' of the checkpoint at {}", log.where.name(), ranges_text(checkpoint.ranges),
                          checkpoint.next.value()));
    }
    above = range.offsets.next;
    compare(range.offsets.first, range.offsets.next, range.progress, false);
  }
}

void Checker::on_commit(PartitionId partition, Offset next) {
  const auto found = checkpoints_.find(static_cast<std::size_t>(partition.value()));
  if (found == checkpoints_.end() || found->second.next < next) {
    violate(fmt::format("partition {}: {} was committed to Kafka, the stored checkpoint is at {}", partition.value(),
                        next.value(), found == checkpoints_.end() ? -1 : found->second.next.value()));
  }
}

void Checker::on_stats(const PipelineStats& s, std::int64_t delivered) {
  const std::int64_t groups = s.filtered + s.generation + s.held + s.adopted + s.durable.records;
  if (s.read != groups || s.held < 0) {
    violate(fmt::format("{} records read, but {} filtered + {} generation + {} held + {} adopted + {} durable = {}",
                        s.read, s.filtered, s.generation, s.held, s.adopted, s.durable.records, groups));
  }
  if (s.durable.records != s.durable.folded + s.durable.late + s.durable.dead_letters) {
    violate(fmt::format("durable: {}", counts_text(s.durable)));
  }
  if (s.read > delivered) violate(fmt::format("{} records read of {} delivered", s.read, delivered));
  if (s.generation != 0) violate("a record was taken for one of another generation");
}

// -------------------------------------------------------------------------------------------------------- end state

bool Checker::complete(std::size_t partition) const {
  const VirtualPartition& log = world_.partitions()[partition];
  const auto found = checkpoints_.find(partition);
  if (log.records.empty()) return true;
  if (found == checkpoints_.end()) return false;
  if (final_emission()) return found->second.next >= oracle_.first_open(partition);
  return std::all_of(log.records.begin(), log.records.end(),
                     [&](const Record& record) { return found->second.covers(record.offset); });
}

std::vector<const Contribution*> Checker::wanted(const ExpectedItem& item) const {
  std::vector<const Contribution*> contributions;
  for (const Contribution& c : item.contributions) {
    if (final_emission() && !oracle_.closed(c.partition, item.window_end)) continue;
    if (c.kind == Contribution::Kind::kUnreadable && !redriving_) continue;
    if (c.kind == Contribution::Kind::kLate && !redriving_late_) continue;
    contributions.push_back(&c);
  }
  return contributions;
}

void Checker::check_end_items() {
  for (const auto& [key, expected] : oracle_.items()) {
    const std::vector<const Contribution*> contributions = wanted(expected);
    const auto item = items_.find(key);
    if (contributions.empty() != (item == items_.end())) {
      violate(fmt::format("at the end {} is {}", item_text(key), contributions.empty() ? "there" : "missing"));
    } else if (item != items_.end() && !(item->second.aggregate == sum_of(contributions))) {
      violate(fmt::format("at the end {} holds {}, expected {}", item_text(key),
                          accumulator_text(item->second.aggregate), accumulator_text(sum_of(contributions))));
    }
  }
}

void Checker::check_end_checkpoints() {
  for (std::size_t p = 0; p < world_.partitions().size(); ++p) {
    const VirtualPartition& log = world_.partitions()[p];
    if (!complete(p)) {
      violate(fmt::format("{}: at the end the checkpoint is {}", log.where.name(),
                          checkpoints_.contains(p) ? std::to_string(checkpoints_.at(p).next.value()) : "missing"));
    } else if (world_.inclination().gaps_are_empty && checkpoints_.contains(p) && !checkpoints_.at(p).ranges.empty()) {
      violate(fmt::format("{}: at the end the checkpoint has the ranges '{}'", log.where.name(),
                          ranges_text(checkpoints_.at(p).ranges)));
    } else if (final_emission() && !log.records.empty()) {
      const Offset next = checkpoints_.at(p).next;
      // The gap below the first open record may belong to either side.
      const Offset open = oracle_.first_open(p);
      if (next > open && next < log.log_end()) {
        violate(fmt::format("{}: the checkpoint {} is above the first record of an open window, {}", log.where.name(),
                            next.value(), open.value()));
      }
    }
    for (std::size_t i = 0; i < log.records.size(); ++i) {
      const bool stored = letters_.contains({p, log.records[i].offset});
      if (stored != (oracle_.fate(p, i).reason != DeadLetterReason::kNone)) {
        violate(fmt::format("{}: at the end the dead letter of offset {} is {}", log.where.name(),
                            log.records[i].offset.value(), stored ? "there" : "missing"));
      }
    }
  }
}

void Checker::check_end(TableReader& table) {
  std::size_t stored = 0;
  const auto scanned = table.scan_items({}, [&](const StoredItem& item) {
    ++stored;
    const auto expected = oracle_.items().find(item.key);
    const bool end_fits = expected != oracle_.items().end() && expected->second.window_end == item.window_end;
    const auto mirror = items_.find(item.key);
    if (!end_fits || mirror == items_.end() || !(mirror->second == item.image)) {
      violate(fmt::format("at the end {} is not what was written", item_text(item.key)));
    }
    return true;
  });
  if (!scanned || stored != items_.size()) violate("at the end the table does not hold what was written");
  check_end_items();
  check_end_checkpoints();
}

}  // namespace culvert::simulation
