// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/item_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <iterator>

#include "adapters/dynamodb/base64.h"

namespace culvert::dynamodb {

namespace {

// A body is some eighty pieces: their lengths are known here, and need not be counted at each put.
using namespace std::string_view_literals;

// DynamoDB keeps 38 significant digits.  A sum of squares is at most kCountMost * kMicroMost^2 = 1e38 in units of
// 1e-12. Every smaller one has at most 38 digits, and 1e38 itself is a one with zeros behind it: one significant digit.
// A sum is at most kCountMost * kMicroMost = 1e23.
constexpr Int128 power_of_ten(int exponent) {
  Int128 value = 1;
  for (int i = 0; i < exponent; ++i) value *= 10;
  return value;
}
static_assert(static_cast<Int128>(kCountMost) * kMicroMost.value() * kMicroMost.value() <= power_of_ten(38));

void append_number(std::string& out, std::string_view name, std::string_view text) {
  out.append("\""sv).append(name).append("\":{\"N\":\""sv).append(text).append("\"}"sv);
}

void append_number(std::string& out, std::string_view name, std::int64_t value) {
  append_number(out, name, fmt::format_int(value).c_str());
}

void append_text(std::string& out, std::string_view name, std::string_view text) {
  out.append("\""sv).append(name).append("\":{\"S\":"sv);
  append_json_string(out, text);
  out.append("}"sv);
}

void append_binary(std::string& out, std::string_view name, std::string_view bytes) {
  out.append("\""sv).append(name).append("\":{\"B\":\""sv);
  append_base64(out, bytes);
  out.append("\"}"sv);
}

void append_fences(std::string& out, const Fences& fences) {
  out.append("{\"M\":{"sv);
  for (const Fences::Entry& entry : fences.entries()) {
    if (out.back() != '{') out.append(","sv);
    append_json_string(out, entry.name.text());
    out.append(":{\"M\":{"sv);
    append_number(out, "next", entry.fence.next().value());
    out.append(",\"holes\":{\"L\":["sv);
    for (const OffsetRange& hole : entry.fence.holes()) {
      if (out.back() != '[') out.append(","sv);
      fmt::format_to(std::back_inserter(out), R"({{"L":[{{"N":"{}"}},{{"N":"{}"}}]}})", hole.first.value(),
                     hole.next.value());
    }
    out.append("]}}}"sv);
  }
  out.append("}}"sv);
}

void append_window_start(std::string& out, EventTime start) {
  out.append("\"window_start\":{\"S\":\""sv).append(format_utc(start)).append("\"}"sv);
}

void append_value_number(std::string& out, std::string_view prefix, std::string_view stem, std::string_view text) {
  out.append(",\""sv).append(prefix).append(stem).append("\":{\"N\":\""sv).append(text).append("\"}"sv);
}

std::int64_t expiry_s(EventTime window_end, std::chrono::seconds retention) {
  // Rounded up: an item must not go a moment before its time.
  const std::int64_t ms = window_end.value();
  const std::int64_t whole = ms / 1000 + (ms % 1000 > 0 ? 1 : 0);
  return whole + retention.count();
}

void begin_put(std::string& out, const std::string& table) {
  out.append("{\"TableName\":\""sv).append(table).append("\",\"Item\":{"sv);
}

std::string_view emission_name(Emission emission) { return emission == Emission::kEarly ? "early" : "final"; }

void append_progress(std::string& out, const Progress& progress) {
  if (progress.max_event_time) {
    out.append(","sv);
    append_number(out, "max_event_time", progress.max_event_time->value());
  }
  if (progress.max_timestamp) {
    out.append(","sv);
    append_number(out, "max_timestamp", progress.max_timestamp->value());
  }
  const Counts& c = progress.counts;
  for (const auto& [name, count] : {std::pair<std::string_view, std::int64_t>{"records", c.records},
                                    {"folded", c.folded},
                                    {"late", c.late},
                                    {"dead_letters", c.dead_letters}}) {
    out.append(","sv);
    append_number(out, name, count);
  }
}

bool stands_for_itself(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

std::string_view part_of(const DeadLetter& letter, std::size_t part, std::string& scratch) {
  // Parts are cut from key and value written one behind the other, without joining megabytes for each of them.
  const std::string_view key = letter.key ? std::string_view(*letter.key) : std::string_view();
  const std::string_view value = letter.value ? std::string_view(*letter.value) : std::string_view();
  const std::size_t begin = part * kPartBytes;
  const std::size_t end = std::min(begin + kPartBytes, key.size() + value.size());
  if (begin < key.size()) scratch.append(key.substr(begin, end - begin));
  if (end > key.size()) {
    const std::size_t from = begin > key.size() ? begin - key.size() : 0;
    scratch.append(value.substr(from, end - key.size() - from));
  }
  return scratch;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  out += '"';
  for (std::size_t i = 0; i < text.size(); ++i) {
    // Nearly every text is one run of characters that stand for themselves.
    const auto run = static_cast<std::size_t>(std::find_if_not(text.begin() + i, text.end(), stands_for_itself) -
                                              (text.begin() + i));
    out.append(text.substr(i, run));
    i += run;
    if (i == text.size()) break;
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x20) {
      out.append("\\u00"sv).append(1, kHex[byte >> 4]).append(1, kHex[byte & 15]);
    } else if (byte < 0x80) {
      out += '\\';
      out += text[i];
    } else {
      const std::size_t bytes = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      const auto at = [&](std::size_t k) { return static_cast<unsigned char>(text[i + k]); };
      bool good = byte >= 0xc2 && byte <= 0xf4 && i + bytes <= text.size();
      for (std::size_t k = 1; good && k < bytes; ++k) good = (at(k) & 0xc0) == 0x80;
      // Overlong forms, surrogates and what lies beyond U+10FFFF.
      good = good && !(byte == 0xe0 && at(1) < 0xa0) && !(byte == 0xed && at(1) > 0x9f) &&
             !(byte == 0xf0 && at(1) < 0x90) && !(byte == 0xf4 && at(1) > 0x8f);
      out.append(good ? text.substr(i, bytes) : std::string_view("\xef\xbf\xbd"));
      if (good) i += bytes - 1;
    }
  }
  out += '"';
}

void append_item_key(std::string& out, const ItemKey& key) {
  const DeviceRef device = key.device.ref();
  if (device.type() == KeyType::kNumber) {
    append_number(out, "device_id", device.number());
  } else {
    append_text(out, "device_id", device.text());
  }
  out.append(","sv);
  append_window_start(out, key.window_start);
}

std::string item_put(const TableNames& tables, const ItemFormat& format, const ItemPut& put) {
  const Accumulator& a = put.desired.aggregate;
  const Summary summary = summarize(a);
  std::string out;
  out.reserve(1024);
  begin_put(out, tables.items);
  append_item_key(out, put.key);
  out.append(","sv);
  out.append("\"window_stop\":{\"S\":\""sv).append(format_utc(put.window_end)).append("\"}"sv);
  append_value_number(out, "avg_", format.value_name, format_micro(summary.mean));
  append_value_number(out, "min_", format.value_name, format_micro(a.min));
  append_value_number(out, "max_", format.value_name, format_micro(a.max));
  append_value_number(out, "sum_", format.value_name, format_scaled(a.sum, 6));
  append_value_number(out, "stddev_", format.value_name, format_micro(summary.stddev));
  append_value_number(out, "", "count", fmt::format_int(a.count).c_str());
  append_value_number(out, "", "sumsq", format_scaled(a.sum_squares, 12));
  if (format.retention) {
    append_value_number(out, "", "expires_at", fmt::format_int(expiry_s(put.window_end, *format.retention)).c_str());
  }
  out.append(",\"fences\":"sv);
  append_fences(out, put.desired.fences);
  if (put.expected) {
    out.append("},\"ConditionExpression\":\"fences = :f\",\"ExpressionAttributeValues\":{\":f\":"sv);
    append_fences(out, *put.expected);
    out.append("}"sv);
  } else {
    out.append("},\"ConditionExpression\":\"attribute_not_exists(device_id)\""sv);
  }
  out.append(",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}"sv);
  return out;
}

std::string checkpoint_put(const TableNames& tables, const StreamPartition& where, const CheckpointPut& put) {
  const Checkpoint& c = put.desired;
  std::string out;
  out.reserve(1024);
  begin_put(out, tables.checkpoints);
  append_text(out, "stream", where.stream());
  out.append(","sv);
  append_number(out, "partition", where.partition.value());
  out.append(","sv);
  append_number(out, "start", c.start.value());
  out.append(","sv);
  append_number(out, "next", c.next.value());
  append_progress(out, c.progress);
  for (const auto& [name, text] : {std::pair<std::string_view, std::string>{"ranges", ranges_text(c.ranges)},
                                   {"definition", c.definition},
                                   {"emission", std::string(emission_name(c.emission))},
                                   {"topic_id", c.topic_id}}) {
    out.append(","sv);
    append_text(out, name, text);
  }
  if (put.expected) {
    out.append(R"(},"ConditionExpression":"#next = :next AND #ranges = :ranges",)");
    out.append(R"("ExpressionAttributeNames":{"#next":"next","#ranges":"ranges"},"ExpressionAttributeValues":{)");
    append_number(out, ":next", put.expected->next.value());
    out.append(","sv);
    append_text(out, ":ranges", ranges_text(put.expected->ranges));
    out.append("}"sv);
  } else {
    out.append(R"json(},"ConditionExpression":"attribute_not_exists(#stream)",)json");
    out.append(R"json("ExpressionAttributeNames":{"#stream":"stream"})json");
  }
  out.append(",\"ReturnValuesOnConditionCheckFailure\":\"ALL_OLD\"}"sv);
  return out;
}

std::size_t dead_letter_parts(const DeadLetter& letter) {
  const std::size_t bytes = (letter.key ? letter.key->size() : 0) + (letter.value ? letter.value->size() : 0);
  return bytes <= kInlineBytes ? 0 : (bytes + kPartBytes - 1) / kPartBytes;
}

std::string parts_position(std::string_view position, Offset offset) {
  return fmt::format("{}+{}", position, offset.value());
}

namespace {

// Insert or keep: a dead letter is identified by its position, so a second put of it changes nothing.
constexpr std::string_view kIfAbsent = R"json(},"ConditionExpression":"attribute_not_exists(#position)",)json"
                                       R"json("ExpressionAttributeNames":{"#position":"position"}})json";

}  // namespace

std::string dead_letter_put(const TableNames& tables, const DeadLetter& letter) {
  const std::size_t parts = dead_letter_parts(letter);
  std::string out;
  begin_put(out, tables.dead_letters);
  append_text(out, "position", letter.where.name());
  out.append(","sv);
  append_number(out, "offset", letter.offset.value());
  out.append(","sv);
  append_text(out, "reason", reason_name(letter.reason));
  out.append(","sv);
  append_text(out, "detail", std::string_view(letter.detail).substr(0, 4'096));
  if (letter.timestamp) {
    out.append(","sv);
    append_number(out, "timestamp", letter.timestamp->value());
  }
  if (parts > 0) {
    out.append(","sv);
    append_number(out, "parts", static_cast<std::int64_t>(parts));
  }
  for (const auto& [name, bytes] :
       {std::pair<std::string_view, const std::optional<std::string>&>{"key", letter.key}, {"value", letter.value}}) {
    if (!bytes) continue;
    out.append(","sv);
    if (parts > 0) {
      append_number(out, fmt::format("{}_bytes", name), static_cast<std::int64_t>(bytes->size()));
    } else {
      append_binary(out, name, *bytes);
    }
  }
  return out.append(kIfAbsent);
}

std::string dead_letter_part_put(const TableNames& tables, const DeadLetter& letter, std::size_t part) {
  std::string out;
  std::string scratch;
  begin_put(out, tables.dead_letters);
  append_text(out, "position", parts_position(letter.where.name(), letter.offset));
  out.append(","sv);
  append_number(out, "offset", static_cast<std::int64_t>(part));
  out.append(","sv);
  append_binary(out, "part", part_of(letter, part, scratch));
  return out.append(kIfAbsent);
}

}  // namespace culvert::dynamodb
