// SPDX-License-Identifier: Apache-2.0
#include "app/cli/tail_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "app/cli/live_area.h"
#include "app/options/values.h"
#include "model/json_text.h"

namespace culvert {

namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// The bytes as `"name":"text"`, or as `"name_base64":".."` if they are no text.
std::string json_bytes(std::string_view name, const std::optional<std::string_view>& bytes) {
  if (!bytes) return fmt::format(R"("{}":null)", name);
  if (is_utf8(*bytes)) return fmt::format(R"("{}":{})", name, json_string(*bytes));
  return fmt::format(R"("{}_base64":"{}")", name, base64(*bytes));
}

std::string json_record(std::string_view topic, PartitionId partition, const Record& record) {
  const std::string timestamp = record.timestamp ? std::to_string(record.timestamp->value()) : "null";
  return fmt::format("{{\"topic\":{},\"partition\":{},\"offset\":{},\"timestamp\":{},{},{}}}\n", json_string(topic),
                     partition.value(), record.offset.value(), timestamp, json_bytes("key", record.key),
                     json_bytes("value", record.value));
}

std::string text_record(PartitionId partition, const Record& record) {
  const std::string timestamp = record.timestamp ? format_utc(EventTime{record.timestamp->value()}) : "-";
  return fmt::format("{}:{}  {}  {}  {}\n", partition.value(), record.offset.value(), timestamp,
                     record.key ? printable(*record.key) : "(no key)",
                     record.value ? printable(*record.value) : "(tombstone)");
}

}  // namespace

std::optional<TailStart> parse_tail_start(std::string_view text) {
  if (text == "beginning" || text == "earliest") return TailStart{TailStartKind::kBeginning, 0, {}};
  if (text == "end" || text == "latest") return TailStart{TailStartKind::kEnd, 0, {}};
  if (text.starts_with("s@")) {
    const auto ms = whole_number(text.substr(2));
    if (!ms || *ms < 0) return std::nullopt;
    return TailStart{TailStartKind::kTime, 0, RecordTime{*ms}};
  }
  if (const auto number = whole_number(text)) {
    if (*number >= 0) return TailStart{TailStartKind::kOffset, *number, {}};
    if (*number == INT64_MIN) return std::nullopt;
    return TailStart{TailStartKind::kLast, -*number, {}};
  }
  if (const auto time = parse_time(text)) return TailStart{TailStartKind::kTime, 0, RecordTime{time->value()}};
  return std::nullopt;
}

Offset tail_offset(const TailStart& start, Offset log_start, Offset log_end, std::optional<Offset> at_time) {
  switch (start.kind) {
    case TailStartKind::kBeginning:
      return log_start;
    case TailStartKind::kEnd:
      return log_end;
    case TailStartKind::kOffset:
      return std::clamp(Offset{start.count}, log_start, log_end);
    case TailStartKind::kLast:
      return start.count < log_end - log_start ? Offset{log_end.value() - start.count} : log_start;
    case TailStartKind::kTime:
      return at_time.value_or(log_end);
  }
  return log_end;
}

std::string format_record(RecordFormat format, std::string_view topic, PartitionId partition, const Record& record) {
  switch (format) {
    case RecordFormat::kText:
      return text_record(partition, record);
    case RecordFormat::kJson:
      return json_record(topic, partition, record);
    case RecordFormat::kValue:
      return record.value ? std::string(*record.value) + "\n" : std::string();
  }
  return {};
}

}  // namespace culvert
