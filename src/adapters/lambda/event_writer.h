// SPDX-License-Identifier: Apache-2.0
// The invocation event of a Kafka event source mapping, byte for byte, and how large it will be.
//
// Flow    Mapping's batches -> [EventWriter] -> the payload of an invocation.
// Owner   one for each mapping; writing changes nothing in it.
// Time    record timestamps in milliseconds.
// Bounds  event_bytes_most is the service's limit for a payload; the caller keeps to it with the sizes told here.
// See     docs/formats.md: invocation event.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "adapters/lambda/event_record.h"

namespace culvert::lambda {

inline constexpr std::size_t kEventBytesMost = 6 << 20;

enum class EventSourceKind : std::uint8_t { kSelfManaged, kMsk };

struct EventOrigin {
  EventSourceKind kind = EventSourceKind::kSelfManaged;
  std::string topic;
  std::string bootstrap_servers;
  std::string source_arn;  // kMsk only
};

class EventWriter {
 public:
  explicit EventWriter(EventOrigin origin);

  // Sizes are exact: an event has frame_bytes() + the sum of partition_bytes() over its partitions + the sum of
  // record_bytes() over its records, separators included, less one byte if it has any partition and one for each
  // partition (the last of each list has no comma).  event_bytes() says it.
  [[nodiscard]] std::size_t frame_bytes() const { return frame_bytes_; }
  [[nodiscard]] std::size_t partition_bytes(PartitionId partition) const;
  [[nodiscard]] std::size_t record_bytes(const EventRecord& record) const;

  // `records` are grouped by partition, offsets ascending inside a group.
  [[nodiscard]] std::string write(std::span<const EventRecord* const> records) const;

  // `topic-0`: the key of a partition's list, and what a partial failure is named by.
  [[nodiscard]] std::string partition_key(PartitionId partition) const;
  [[nodiscard]] const EventOrigin& origin() const { return origin_; }

 private:
  EventOrigin origin_;
  std::string head_;
  std::size_t frame_bytes_;
};

}  // namespace culvert::lambda
