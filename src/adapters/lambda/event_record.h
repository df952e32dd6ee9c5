// SPDX-License-Identifier: Apache-2.0
// A Kafka record as an event source mapping passes it on: everything that an invocation event can say of it.
//
// Flow    kafka::Consumer (with metadata) -> [EventRecord] -> Mapping -> EventWriter.
// Owner   a value that owns its bytes, because a mapping keeps records across polls and retries.
// Time    RecordTime, as the log has it.
// Bounds  none of its own: Mapping bounds how many there are.
// See     docs/formats.md: invocation event.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/ids.h"
#include "model/time.h"

namespace culvert::lambda {

enum class RecordTimeType : std::uint8_t { kNone, kCreateTime, kLogAppendTime };

struct EventHeader {
  std::string name;
  std::optional<std::string> value;  // absent: null
  friend bool operator==(const EventHeader&, const EventHeader&) = default;
};

struct EventRecord {
  Claim claim;
  Offset offset;
  std::optional<RecordTime> timestamp{};
  RecordTimeType timestamp_type = RecordTimeType::kNone;
  std::optional<std::string> key{};
  std::optional<std::string> value{};
  std::vector<EventHeader> headers{};
  friend bool operator==(const EventRecord&, const EventRecord&) = default;
};

}  // namespace culvert::lambda
