// SPDX-License-Identifier: Apache-2.0
#include "app/site/board_json.h"

#include "app/cli/visible_text.h"
#include "app/site/json_out.h"

namespace culvert {

using dashboard::Board;
using dashboard::Snapshot;

namespace {

std::optional<std::int64_t> number(const auto& strong) {
  return strong ? std::optional<std::int64_t>(strong->value()) : std::nullopt;
}

// Into an object that was begun.
void put_window(JsonOut& out, const dashboard::WindowEntry& window) {
  const Accumulator& aggregate = window.aggregate;
  const Summary summary = summarize(aggregate);
  out.integer("start", window.start.value())
      .integer("end", window.end.value())
      .integer("count", aggregate.count)
      .micro("mean", summary.mean)
      .micro("min", aggregate.min)
      .micro("max", aggregate.max)
      .micro("stddev", summary.stddev)
      .flag("closed", window.closed)
      .flag("corrected", window.corrected)
      .end_object();
}

void put_device(JsonOut& out, const dashboard::DeviceRow& row) {
  out.text("id", row.device.to_text()).text("name", visible_text(row.device.to_text()));
  if (row.latest) {
    out.micro("latest", *row.latest);
  } else {
    out.null("latest");
  }
  out.integer("heard", row.heard_ms);
  out.array("history");
  for (const Micro mean : row.history) out.micro(mean);
  out.end_array();
}

void put_bytes(JsonOut& out, std::string_view name, const std::optional<std::string>& bytes,
               const std::optional<std::size_t>& whole) {
  if (!bytes || !whole) {
    out.null(name);
    return;
  }
  out.object(name)
      .text("shown", visible_text(*bytes))
      .integer("bytes", static_cast<std::int64_t>(*whole))
      .flag("cut", bytes->size() < *whole)
      .end_object();
}

}  // namespace

std::string status_json(const Board& board, const Snapshot& now) {
  JsonOut out;
  out.object()
      .text("state", state_name(now.state))
      .text("note", now.note)
      .integer("at", now.at_ms)
      .integer("started", now.started_ms)
      .flag("consuming", now.consuming)
      .text("topic", board.about().topic)
      .text("group", board.about().group)
      .text("table", board.about().table)
      .text("value_name", board.about().value_name)
      .integer("window_ms", board.about().window.count())
      .integer("advance_ms", board.about().advance.count())
      .real("records_per_second", now.records_per_second)
      .integer("event_lag_ms", now.event_lag_ms)
      .integer("lag_records", now.lag_records)
      .real("flush_p99_ms", now.flush_p99_ms)
      .integer("records_read", now.records_read)
      .integer("records_stored", now.records_stored)
      .integer("bytes_read", now.bytes_read)
      .integer("conflicts", now.conflicts)
      .integer("fence_filtered", now.fence_filtered)
      .integer("late", now.late)
      .integer("dead_letters", now.dead_letter_count())
      .integer("open_items", now.open_items)
      .integer("memory_bytes", now.memory_bytes)
      .integer("flushes", now.flushes.count)
      .integer("refolds", now.refolds)
      .integer("rebalances", now.rebalances)
      .integer("devices", static_cast<std::int64_t>(board.devices().devices()))
      .integer("partitions", static_cast<std::int64_t>(now.partitions.size()))
      .integer("partitions_of_topic", now.partitions_of_topic)
      .end_object();
  return out.take();
}

std::string history_json(const Board& board) {
  JsonOut out;
  out.object().array("samples");
  for (const auto& sample : board.history()) {
    out.object()
        .integer("at", sample.at_ms)
        .real("records_per_second", sample.records_per_second)
        .integer("event_lag_ms", sample.event_lag_ms)
        .integer("lag_records", sample.lag_records)
        .end_object();
  }
  out.end_array().end_object();
  return out.take();
}

std::string devices_json(const Board& board, const dashboard::DeviceQuery& query) {
  const dashboard::DevicePage page = board.devices().page(query);
  JsonOut out;
  out.object()
      .integer("devices", static_cast<std::int64_t>(page.devices))
      .integer("found", static_cast<std::int64_t>(page.found))
      .integer("page", static_cast<std::int64_t>(page.page))
      .integer("size", static_cast<std::int64_t>(query.size))
      .array("rows");
  for (const auto& row : page.rows) {
    out.object();
    put_device(out, row);
    put_window(out.object("current"), row.current);
    out.end_object();
  }
  out.end_array().end_object();
  return out.take();
}

std::optional<std::string> device_json(const Board& board, const std::string& id) {
  if (id.empty() || id.size() > kDeviceBytesMost) return std::nullopt;
  DeviceId device{std::string_view(id)};
  if (board.about().key_type == KeyType::kNumber) {
    const auto parsed = DeviceId::parse_number(id);
    if (!parsed) return std::nullopt;
    device = DeviceId{*parsed};
  }
  const auto detail = board.devices().detail(device);
  if (!detail) return std::nullopt;
  JsonOut out;
  out.object();
  put_device(out, detail->row);
  out.array("windows");
  for (const auto& window : detail->windows) put_window(out.object(), window);
  out.end_array().array("tail");
  for (const auto& point : detail->tail) {
    out.object().integer("at", point.time.value()).micro("value", point.value).end_object();
  }
  out.end_array().end_object();
  return out.take();
}

std::string partitions_json(const Snapshot& now) {
  std::optional<EventTime> newest;
  for (const auto& partition : now.partitions) {
    if (partition.watermark) newest = std::max(newest.value_or(*partition.watermark), *partition.watermark);
  }
  JsonOut out;
  out.object().integer("at", now.at_ms).integer("partitions_of_topic", now.partitions_of_topic).array("rows");
  for (const auto& partition : now.partitions) {
    std::optional<std::int64_t> skew;
    if (newest && partition.watermark) skew = (*newest - *partition.watermark).count();
    out.object()
        .integer("partition", partition.partition.value())
        .text("owner", !now.consuming      ? ""
                       : partition.reading ? "this process"
                                           : "this process, loading")
        .integer("position", number(partition.position))
        .integer("committed", number(partition.committed))
        .integer("log_end", number(partition.log_end))
        .integer("lag", partition.lag())
        .integer("watermark", number(partition.watermark))
        .integer("skew_ms", skew)
        .integer("open_items", partition.open_items)
        .integer("memory_bytes", partition.memory_bytes)
        .end_object();
  }
  out.end_array().end_object();
  return out.take();
}

std::string dead_letters_json(const Board& board, const Snapshot& now, std::optional<DeadLetterReason> reason,
                              std::size_t most) {
  JsonOut out;
  out.object()
      .integer("total", now.dead_letter_count())
      .flag("complete", now.dead_letters_complete)
      .flag("since_start", now.consuming)
      .array("reasons");
  for (std::size_t i = 1; i < now.dead_letters.size(); ++i) {
    if (now.dead_letters[i] == 0) continue;
    out.object()
        .text("reason", reason_name(static_cast<DeadLetterReason>(i)))
        .integer("count", now.dead_letters[i])
        .end_object();
  }
  out.end_array().array("newest");
  for (const auto& shown : board.letters().newest(reason, most)) {
    const DeadLetter& letter = shown.letter;
    out.object()
        .text("partition", letter.where.name())
        .integer("offset", letter.offset.value())
        .integer("timestamp", number(letter.timestamp))
        .text("reason", reason_name(letter.reason))
        .text("detail", visible_text(letter.detail));
    put_bytes(out, "key", letter.key, shown.key_bytes);
    put_bytes(out, "value", letter.value, shown.value_bytes);
    out.end_object();
  }
  out.end_array().end_object();
  return out.take();
}

std::string configuration_json(const Board& board) {
  JsonOut out;
  out.object().array("settings");
  for (const auto& setting : board.about().settings) {
    out.object().text("section", setting.section).text("name", setting.name).text("value", setting.value).end_object();
  }
  out.end_array().object("versions");
  for (const auto& [name, value] : board.about().versions) out.text(name, value);
  out.end_object().end_object();
  return out.take();
}

std::string version_json(const Board& board) {
  JsonOut out;
  out.object();
  for (const auto& [name, value] : board.about().versions) out.text(name, value);
  out.end_object();
  return out.take();
}

}  // namespace culvert
