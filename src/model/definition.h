// SPDX-License-Identifier: Apache-2.0
// Everything that decides *what* a table holds, as opposed to when it becomes visible.
//
// Flow    options -> [Definition] -> decode, window, pipeline; stored with every checkpoint and compared at start, so
//         that one table never mixes two definitions; verify and query read it back from there.
// Owner   value.
// Time    durations in milliseconds.
// Bounds  size 1 ms .. 366 days, at most 1000 windows for one reading; see validate().
// See     docs/semantics.md: windows, watermark; docs/formats.md: definition text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "model/device.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert {

enum class WindowKind : std::uint8_t {
  kTumbling,  // size == advance
  kHopping,   // advance < size, size a multiple of advance
  kBatch,     // one window for each delivered batch, as the reference system does: not replayable
};

enum class TimestampUnit : std::uint8_t {
  kText,          // RFC 3339 / ISO 8601 text
  kSeconds,       // epoch number, fraction allowed
  kMilliseconds,  // epoch number, fraction allowed
};

// The names of the three fields of a record.  Two of them being equal is refused by validate().
struct Fields {
  std::string device = "device_id";
  std::string timestamp = "timestamp";
  std::string value = "temperature";
  friend bool operator==(const Fields&, const Fields&) = default;
};

struct Definition {
  WindowKind kind = WindowKind::kTumbling;
  Millis size{60'000};
  Millis advance{60'000};
  Millis out_of_orderness{10'000};
  Millis allowed_lateness{3'600'000};
  Millis max_future{3'600'000};
  Fields fields{};
  TimestampUnit timestamp_unit = TimestampUnit::kText;
  KeyType key_type = KeyType::kNumber;
  std::int64_t record_bytes_max = 1 << 20;
  std::string value_name = "temp";  // stem of avg_temp, min_temp, ..

  friend bool operator==(const Definition&, const Definition&) = default;
};

// As stored definitions and people have it: `tumbling`, `hopping`, `batch`.
[[nodiscard]] std::string_view window_kind_name(WindowKind kind);

// An error of kind kConfiguration that names the option at fault, or ok.
[[nodiscard]] Result<void> validate(const Definition& definition);

// One line of `name=value` pairs separated by spaces; values are percent-encoded where they hold spaces, `%` or control
// characters.  parse_definition(definition_text(d)) == d.
[[nodiscard]] std::string definition_text(const Definition& definition);
[[nodiscard]] Result<Definition> parse_definition(std::string_view text);

// For people: the pairs that differ, as `window size: table 1m, now 30s; ..`; empty if nothing does.
[[nodiscard]] std::string definition_difference(const Definition& table, const Definition& now);

}  // namespace culvert
