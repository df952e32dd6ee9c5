// SPDX-License-Identifier: Apache-2.0
#include "adapters/sqlite/rows.h"

#include <fmt/format.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <limits>
#include <utility>

namespace culvert::sqlite {

namespace {

constexpr Int128 kInt64Least = std::numeric_limits<std::int64_t>::min();
constexpr Int128 kInt64Most = std::numeric_limits<std::int64_t>::max();

void bind_wide(Statement& statement, int index, Int128 value, std::string& text) {
  if (value >= kInt64Least && value <= kInt64Most) {
    statement.bind(index, static_cast<std::int64_t>(value));
  } else {
    text = format_scaled(value, 0);
    statement.bind_text(index, text);
  }
}

std::optional<Int128> read_wide(const Statement& row, int column) {
  if (row.type(column) == SQLITE_INTEGER) return row.number(column);
  if (row.type(column) != SQLITE_TEXT) return std::nullopt;
  return parse_scaled(row.text(column), 0);
}

template <class Time>
void bind_optional(Statement& statement, int index, const std::optional<Time>& time) {
  if (time) {
    statement.bind(index, time->value());
  } else {
    statement.bind_null(index);
  }
}

template <class Time>
std::optional<Time> read_optional(const Statement& row, int column) {
  return row.null(column) ? std::nullopt : std::optional<Time>(Time{row.number(column)});
}

void bind_optional_blob(Statement& statement, int index, const std::optional<std::string>& bytes) {
  if (bytes) {
    statement.bind_blob(index, *bytes);
  } else {
    statement.bind_null(index);
  }
}

std::optional<std::string> read_optional_blob(const Statement& row, int column) {
  return row.null(column) ? std::nullopt : std::optional<std::string>(row.blob(column));
}

Error unreadable(std::string row, std::string_view what) {
  return Error::fatal(
      ErrorKind::kData,
      fmt::format("{}: its {} is not one that culvert writes (did another program change the file?)", row, what));
}

std::optional<StreamPartition> read_where(const Statement& row) {
  const std::int64_t partition = row.number(2);
  if (partition < 0 || partition > std::numeric_limits<std::int32_t>::max() || row.number(1) < 1) return std::nullopt;
  return StreamPartition{std::string(row.text(0)), row.number(1), PartitionId{static_cast<std::int32_t>(partition)}};
}

// Sums that no readings can have would end the process in summarize(); a foreign hand can have written them.
bool possible(const Accumulator& a) {
  if (a.count < 1 || a.count > kCountMost || a.min > a.max || a.sum_squares < 0) return false;
  if (a.min.value() < -kMicroMost.value() || a.max > kMicroMost) return false;
  const Int128 total = a.sum;  // copies: they lie in an accumulator at an address that no reference may be bound to
  const Int128 squares = a.sum_squares;
  const Int128 least = static_cast<Int128>(a.min.value()) * a.count;
  const Int128 most = static_cast<Int128>(a.max.value()) * a.count;
  if (total < least || most < total) return false;
  // Cauchy: count * sum of squares >= sum^2, in more than 128 bits.
  using Wide = boost::multiprecision::int256_t;
  const Wide sum{total};
  return Wide{squares} * a.count >= sum * sum;
}

}  // namespace

void bind_key(Statement& statement, const ItemKey& key) {
  const DeviceRef device = key.device.ref();
  if (device.type() == KeyType::kNumber) {
    statement.bind(1, device.number());
  } else {
    statement.bind_text(1, device.text());
  }
  statement.bind(2, key.window_start.value());
}

void bind_item(Statement& statement, const ItemPut& put, ItemTexts& texts) {
  const Accumulator& a = put.desired.aggregate;
  const Summary summary = summarize(a);
  texts.fences = fences_text(put.desired.fences);
  bind_key(statement, put.key);
  statement.bind(3, put.window_end.value());
  statement.bind(4, a.count);
  bind_wide(statement, 5, a.sum, texts.sum);
  bind_wide(statement, 6, a.sum_squares, texts.sum_squares);
  statement.bind(7, a.min.value());
  statement.bind(8, a.max.value());
  statement.bind(9, summary.mean.value());
  statement.bind(10, summary.stddev.value());
  statement.bind_text(11, texts.fences);
}

Result<StoredItem> read_item(const Statement& row, KeyType key_type) {
  StoredItem item;
  item.key.window_start = EventTime{row.number(0)};
  item.key.device = key_type == KeyType::kNumber ? DeviceId{row.number(1)} : DeviceId{row.text(1)};
  item.window_end = EventTime{row.number(2)};
  const auto describe = [&] {
    return fmt::format("item ({}, {})", item.key.device.to_text(), item.key.window_start.value());
  };
  Accumulator& a = item.image.aggregate;
  a.count = row.number(3);
  const auto sum = read_wide(row, 4);
  const auto sum_squares = read_wide(row, 5);
  a.min = Micro{row.number(6)};
  a.max = Micro{row.number(7)};
  if (!sum || !sum_squares) return unreadable(describe(), "sum");
  a.sum = *sum;
  a.sum_squares = *sum_squares;
  if (!possible(a)) return unreadable(describe(), "aggregate");
  auto fences = parse_fences(row.text(8));
  if (!fences) return fences.error().within(describe());
  item.image.fences = *std::move(fences);
  return item;
}

void bind_where(Statement& statement, const StreamPartition& where) {
  statement.bind_text(1, where.topic);
  statement.bind(2, where.generation);
  statement.bind(3, where.partition.value());
}

void bind_checkpoint(Statement& statement, const Checkpoint& checkpoint, CheckpointTexts& texts) {
  const Progress& progress = checkpoint.progress;
  texts.ranges = ranges_text(checkpoint.ranges);
  statement.bind(4, checkpoint.start.value());
  statement.bind(5, checkpoint.next.value());
  statement.bind_text(6, texts.ranges);
  bind_optional(statement, 7, progress.max_event_time);
  bind_optional(statement, 8, progress.max_timestamp);
  statement.bind(9, progress.counts.records);
  statement.bind(10, progress.counts.folded);
  statement.bind(11, progress.counts.late);
  statement.bind(12, progress.counts.dead_letters);
  statement.bind_text(13, checkpoint.definition);
  statement.bind_text(14, checkpoint.emission == Emission::kEarly ? "early" : "final");
  statement.bind_text(15, checkpoint.topic_id);
}

Result<PartitionCheckpoint> read_checkpoint(const Statement& row) {
  const auto where = read_where(row);
  if (!where) return unreadable("checkpoint", "partition");
  const std::string name = "checkpoint " + where->name();
  Checkpoint checkpoint;
  checkpoint.start = Offset{row.number(3)};
  checkpoint.next = Offset{row.number(4)};
  auto ranges = parse_ranges(row.text(5));
  if (!ranges) return ranges.error().within(name);
  checkpoint.ranges = *std::move(ranges);
  checkpoint.progress.max_event_time = read_optional<EventTime>(row, 6);
  checkpoint.progress.max_timestamp = read_optional<RecordTime>(row, 7);
  checkpoint.progress.counts = Counts{row.number(8), row.number(9), row.number(10), row.number(11)};
  checkpoint.definition = std::string(row.text(12));
  checkpoint.emission = row.text(13) == "final" ? Emission::kFinal : Emission::kEarly;
  checkpoint.topic_id = std::string(row.text(14));
  const bool ordered = Offset{0} <= checkpoint.start && checkpoint.start <= checkpoint.next &&
                       (checkpoint.ranges.empty() || checkpoint.next < checkpoint.ranges.front().offsets.first);
  if (!ordered) return unreadable(name, "position");
  return PartitionCheckpoint{*where, std::move(checkpoint)};
}

void bind_dead_letter(Statement& statement, const DeadLetter& letter) {
  bind_where(statement, letter.where);
  statement.bind(4, letter.offset.value());
  bind_optional(statement, 5, letter.timestamp);
  statement.bind_text(6, reason_name(letter.reason));
  statement.bind_text(7, letter.detail);
  bind_optional_blob(statement, 8, letter.key);
  bind_optional_blob(statement, 9, letter.value);
}

Result<DeadLetter> read_dead_letter(const Statement& row) {
  const auto where = read_where(row);
  if (!where) return unreadable("dead letter", "partition");
  const auto reason = reason_from_name(row.text(5));
  if (!reason) return unreadable(fmt::format("dead letter {}:{}", where->name(), row.number(3)), "reason");
  return DeadLetter{*where,
                    Offset{row.number(3)},
                    read_optional<RecordTime>(row, 4),
                    *reason,
                    std::string(row.text(6)),
                    read_optional_blob(row, 7),
                    read_optional_blob(row, 8)};
}

}  // namespace culvert::sqlite
