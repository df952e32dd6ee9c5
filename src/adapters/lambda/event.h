// SPDX-License-Identifier: Apache-2.0
// The event that a Kafka event source mapping hands to a function, as records.
//
// Flow    payload of an invocation (or of an on-failure document) -> [EventReader] -> Records of each partition.
// Owner   whoever handles the invocation; one reader per thread, kept, so that its memory is used again.
// Time    RecordTime as the event has it.
// Bounds  what the payload holds; one Record (72 bytes) for each of its records.
// See     docs/formats.md: invocation event.
//
// Strict about what it uses and blind to what it does not know: members that AWS may add are skipped, but a record
// without its position, twice the same member, offsets that do not ascend, bytes that are not base64 make the event
// malformed, and the whole of it is refused: records must not vanish by a misunderstanding.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/lambda/json_cursor.h"
#include "model/ids.h"
#include "model/record.h"
#include "model/result.h"

namespace culvert::lambda {

enum class EventSource : std::uint8_t { kSelfManagedKafka, kManagedKafka };

// The records of one key of the event: one partition, offsets ascending, gaps allowed.
struct EventBatch {
  std::string_view topic;
  PartitionId partition{};
  std::span<const Record> records;  // never empty
};

class EventReader {
 public:
  // Decodes `payload` in place.  What is handed out below points into it and into the reader, and is valid until
  // either changes.  Error (kData, fatal): malformed; the message names the place and holds nothing of the payload.
  [[nodiscard]] Result<void> read(std::string& payload);

  [[nodiscard]] EventSource source() const { return source_; }
  [[nodiscard]] std::string_view source_arn() const { return source_arn_; }                // empty: none
  [[nodiscard]] std::string_view bootstrap_servers() const { return bootstrap_servers_; }  // empty: none
  // In the event's order; the same partition comes twice only if two keys hold it.
  [[nodiscard]] std::span<const EventBatch> batches() const { return batches_; }
  [[nodiscard]] std::size_t record_count() const { return records_.size(); }

 private:
  // A batch's place in records_, which may still grow.
  struct Range {
    std::string_view topic;
    PartitionId partition{};
    std::size_t first = 0;
  };
  struct Parsed {
    std::string_view topic;
    std::int64_t partition = -1;
    std::int64_t offset = -1;
    std::int64_t timestamp = 0;
    bool timestamped = true;
    std::optional<std::string_view> key;
    std::optional<std::string_view> value;
    std::uint32_t seen = 0;
  };

  [[nodiscard]] bool read_event(JsonCursor& json);
  [[nodiscard]] bool read_event_member(JsonCursor& json, std::string_view name, std::uint32_t& seen);
  [[nodiscard]] bool read_source(JsonCursor& json);
  [[nodiscard]] bool read_key(JsonCursor& json);
  [[nodiscard]] bool read_record(JsonCursor& json, std::size_t first);
  [[nodiscard]] bool read_record_member(JsonCursor& json, std::string_view name, Parsed& record);
  [[nodiscard]] bool read_timestamp_type(JsonCursor& json, Parsed& record);
  [[nodiscard]] bool read_headers(JsonCursor& json);
  [[nodiscard]] bool add(JsonCursor& json, const Parsed& record, std::size_t first);

  EventSource source_ = EventSource::kSelfManagedKafka;
  std::string_view source_arn_;
  std::string_view bootstrap_servers_;
  std::vector<Record> records_;
  std::vector<Range> ranges_;
  std::vector<EventBatch> batches_;
  bool in_record_ = false;  // for messages
};

}  // namespace culvert::lambda
