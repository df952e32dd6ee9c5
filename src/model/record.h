// SPDX-License-Identifier: Apache-2.0
// A Kafka record, and what decoding makes of it.
//
// Flow    adapters/kafka or adapters/lambda -> [Record] -> decode -> [Reading] -> window.
// Owner   a Record borrows its bytes from the batch it came in; a Reading borrows from the Record or from the decoder's
//         scratch space and is valid until the decoder's next call.
// Time    Record carries RecordTime (Kafka's), Reading carries EventTime (the sensor's).
// Bounds  none of its own: the decoder refuses values above its limit.
// See     docs/semantics.md: readings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/device.h"
#include "model/ids.h"
#include "model/micro.h"
#include "model/time.h"

namespace culvert {

struct Record {
  Offset offset;
  std::optional<RecordTime> timestamp;    // absent: the log has none (message format 0)
  std::optional<std::string_view> key;    // absent: null key
  std::optional<std::string_view> value;  // absent: tombstone
};

struct Reading {
  DeviceRef device;
  EventTime event_time;
  Micro value;
};

// Why a record is set aside.  The order is that of docs/formats.md; the names below are what tables and queries show.
enum class DeadLetterReason : std::uint8_t {
  kNone,  // not a dead letter
  kNotJson,
  kNotObject,
  kMissingField,
  kWrongType,
  kBadTimestamp,
  kOutOfRange,
  kDeviceType,
  kDuplicateField,
  kTooLarge,
  kTombstone,
  kFutureEventTime,
  kLate,        // every window (or the named ones) had passed its allowed lateness
  kGeneration,  // an offset that was already dealt with carries a newer record: the topic was made anew
};

[[nodiscard]] std::string_view reason_name(DeadLetterReason reason);
[[nodiscard]] std::optional<DeadLetterReason> reason_from_name(std::string_view name);

// A record set aside, with everything needed to look at it and to replay it.  Identified by its position.
struct DeadLetter {
  StreamPartition where;
  Offset offset;
  std::optional<RecordTime> timestamp;
  DeadLetterReason reason = DeadLetterReason::kNone;
  std::string detail;  // for people: which field, how late, where in the text
  std::optional<std::string> key;
  std::optional<std::string> value;
};

}  // namespace culvert
