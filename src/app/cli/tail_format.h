// SPDX-License-Identifier: Apache-2.0
// What `tail` makes of its -o option, and of a record.
//
// Flow    option -> TailStart; Record -> [format_record] -> a line on stdout.  Pure.
// Owner   tail_command.cc.
// Time    a record's own timestamp, as UTC.
// Bounds  none: a record is shown whole.
// See     docs/formats.md: tail.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/ids.h"
#include "model/record.h"
#include "model/time.h"

namespace culvert {

enum class TailStartKind : std::uint8_t {
  kBeginning,  // first record there is
  kEnd,        // records that come from now on
  kOffset,     // `count` is the offset, in every partition
  kLast,       // the last `count` records of every partition
  kTime,       // first record with this timestamp or a later one
};

struct TailStart {
  TailStartKind kind = TailStartKind::kLast;
  std::int64_t count = 10;
  RecordTime time{};
};

// `beginning`, `end`, `1234`, `-10`, `2026-11-23T15:57:00Z`, and kcat's `s@MILLISECONDS`.
[[nodiscard]] std::optional<TailStart> parse_tail_start(std::string_view text);

// Where reading begins in a log of [log_start, log_end); `at_time` is the answer to kTime (nullopt: no such record).
[[nodiscard]] Offset tail_offset(const TailStart& start, Offset log_start, Offset log_end,
                                 std::optional<Offset> at_time);

enum class RecordFormat : std::uint8_t {
  kText,  // `PARTITION:OFFSET  TIME  KEY  VALUE`, control characters made visible
  kJson,  // one object a line; `key` and `value` are strings or null, `key_base64`, `value_base64` if they are no UTF-8
  kValue,  // the value's bytes and a line break; nothing for a tombstone
};

// With the line break.
[[nodiscard]] std::string format_record(RecordFormat format, std::string_view topic, PartitionId partition,
                                        const Record& record);

}  // namespace culvert
