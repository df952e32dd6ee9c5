// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/event.h"

#include <fmt/format.h>

#include <limits>

namespace culvert::lambda {

namespace {

constexpr std::string_view kTopicBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
constexpr std::size_t kTopicBytesMost = 249;

// Members of a record that may come once only.
constexpr std::uint32_t kTopic = 1;
constexpr std::uint32_t kPartition = 2;
constexpr std::uint32_t kOffset = 4;
constexpr std::uint32_t kTimestamp = 8;
constexpr std::uint32_t kTimestampType = 16;
constexpr std::uint32_t kKey = 32;
constexpr std::uint32_t kValue = 64;
constexpr std::uint32_t kHeaders = 128;

// Members of the event itself.
constexpr std::uint32_t kSource = 1;
constexpr std::uint32_t kSourceArn = 2;
constexpr std::uint32_t kServers = 4;
constexpr std::uint32_t kRecords = 8;

bool first_time(JsonCursor& json, std::uint32_t member, std::uint32_t& seen) {
  if ((seen & member) != 0) return json.fail("a member that was there before");
  seen |= member;
  return true;
}

// What may be null or absent.
bool optional_bytes(JsonCursor& json, std::optional<std::string_view>& out) {
  if (json.null()) return true;
  std::string_view bytes;
  if (!json.base64(bytes)) return false;
  out = bytes;
  return true;
}

bool optional_text(JsonCursor& json, std::string_view& out) { return json.null() || json.string(out); }

bool integer_within(JsonCursor& json, std::int64_t first, std::int64_t next, const char* refusal, std::int64_t& out) {
  if (!json.integer(out)) return false;
  return (out >= first && out < next) || json.fail(refusal);
}

}  // namespace

Result<void> EventReader::read(std::string& payload) {
  source_ = EventSource::kSelfManagedKafka;
  source_arn_ = {};
  bootstrap_servers_ = {};
  records_.clear();
  ranges_.clear();
  batches_.clear();
  in_record_ = false;
  JsonCursor json(payload);
  if (!read_event(json)) {
    std::string where = "invocation event";
    if (in_record_) where += fmt::format(": record {}", records_.size() + 1);
    records_.clear();
    return Error::fatal(ErrorKind::kData,
                        fmt::format("{}: {} (is the function invoked by something else than a Kafka event source "
                                    "mapping?)",
                                    where, json.fault()));
  }
  for (std::size_t i = 0; i < ranges_.size(); ++i) {
    const Range& range = ranges_[i];
    const std::size_t next = i + 1 < ranges_.size() ? ranges_[i + 1].first : records_.size();
    batches_.push_back({range.topic, range.partition, std::span(records_).subspan(range.first, next - range.first)});
  }
  return {};
}

bool EventReader::read_event(JsonCursor& json) {
  std::uint32_t seen = 0;
  const bool read = json.object([&](std::string_view name) { return read_event_member(json, name, seen); });
  if (!read || !json.end()) return false;
  if ((seen & kSource) == 0) return json.fail("an event without eventSource");
  if ((seen & kRecords) == 0) return json.fail("an event without records");
  return true;
}

bool EventReader::read_event_member(JsonCursor& json, std::string_view name, std::uint32_t& seen) {
  if (name == "records") {
    return first_time(json, kRecords, seen) && json.object([&](std::string_view) { return read_key(json); });
  }
  if (name == "eventSource") return first_time(json, kSource, seen) && read_source(json);
  if (name == "eventSourceArn") return first_time(json, kSourceArn, seen) && optional_text(json, source_arn_);
  if (name == "bootstrapServers") return first_time(json, kServers, seen) && optional_text(json, bootstrap_servers_);
  return json.skip();
}

bool EventReader::read_source(JsonCursor& json) {
  std::string_view text;
  if (!json.string(text)) return false;
  if (text == "SelfManagedKafka") {
    source_ = EventSource::kSelfManagedKafka;
  } else if (text == "aws:kafka") {
    source_ = EventSource::kManagedKafka;
  } else {
    return json.fail("eventSource is neither SelfManagedKafka nor aws:kafka");
  }
  return true;
}

bool EventReader::read_key(JsonCursor& json) {
  const std::size_t first = records_.size();
  in_record_ = true;
  const bool read = json.array([&] { return read_record(json, first); });
  if (read) in_record_ = false;
  return read;
}

bool EventReader::read_record(JsonCursor& json, std::size_t first) {
  Parsed record;
  if (!json.object([&](std::string_view name) { return read_record_member(json, name, record); })) return false;
  return add(json, record, first);
}

bool EventReader::read_record_member(JsonCursor& json, std::string_view name, Parsed& record) {
  constexpr std::int64_t kInt64Most = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t kPartitionsMost = std::int64_t{1} << 31U;
  if (name == "value") return first_time(json, kValue, record.seen) && optional_bytes(json, record.value);
  if (name == "key") return first_time(json, kKey, record.seen) && optional_bytes(json, record.key);
  if (name == "offset") {
    return first_time(json, kOffset, record.seen) &&
           integer_within(json, 0, kInt64Most, "not an offset", record.offset);
  }
  if (name == "timestamp") return first_time(json, kTimestamp, record.seen) && json.integer(record.timestamp);
  if (name == "topic") return first_time(json, kTopic, record.seen) && json.string(record.topic);
  if (name == "partition") {
    return first_time(json, kPartition, record.seen) &&
           integer_within(json, 0, kPartitionsMost, "not a partition", record.partition);
  }
  if (name == "timestampType")
    return first_time(json, kTimestampType, record.seen) && read_timestamp_type(json, record);
  if (name == "headers") return first_time(json, kHeaders, record.seen) && read_headers(json);
  return json.skip();
}

bool EventReader::read_timestamp_type(JsonCursor& json, Parsed& record) {
  std::string_view text;
  if (!json.string(text)) return false;
  if (text == "NO_TIMESTAMP_TYPE") {
    record.timestamped = false;
  } else if (text != "CREATE_TIME" && text != "LOG_APPEND_TIME") {
    return json.fail("timestampType is neither CREATE_TIME nor LOG_APPEND_TIME");
  }
  return true;
}

// Headers do not count for windows, but an event whose headers are wrong has been written by something we do not know.
bool EventReader::read_headers(JsonCursor& json) {
  if (json.null()) return true;
  // Signed, as Java's bytes are; unsigned from writers in other languages.
  const auto byte = [&] {
    std::int64_t value = 0;
    return integer_within(json, -128, 256, "not a byte of a header", value);
  };
  const auto header = [&](std::string_view) { return json.null() || json.array(byte); };
  return json.array([&] { return json.object(header); });
}

bool EventReader::add(JsonCursor& json, const Parsed& record, std::size_t first) {
  constexpr std::uint32_t kPosition = kTopic | kPartition | kOffset;
  if ((record.seen & kPosition) != kPosition) return json.fail("a record without topic, partition or offset");
  if ((record.seen & kTimestamp) == 0) return json.fail("a record without timestamp");
  const PartitionId partition{static_cast<std::int32_t>(record.partition)};
  if (records_.size() == first) {
    if (record.topic.empty() || record.topic.size() > kTopicBytesMost ||
        record.topic.find_first_not_of(kTopicBytes) != std::string_view::npos) {
      return json.fail("not a topic name");
    }
    ranges_.push_back({record.topic, partition, first});
  } else {
    const Range& range = ranges_.back();
    if (range.partition != partition || range.topic != record.topic) {
      return json.fail("records of several partitions under one key");
    }
    if (records_.back().offset.value() >= record.offset) return json.fail("offsets that do not ascend");
  }
  // Kafka's own sign of a record without a time is -1.
  const bool timestamped = record.timestamped && record.timestamp != -1;
  records_.push_back(Record{
      .offset = Offset{record.offset},
      .timestamp = timestamped ? std::optional{RecordTime{record.timestamp}} : std::nullopt,
      .key = record.key,
      .value = record.value,
  });
  return true;
}

}  // namespace culvert::lambda
