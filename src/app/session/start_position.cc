// SPDX-License-Identifier: Apache-2.0
#include "app/session/start_position.h"

#include "app/options/option_set.h"
#include "app/options/values.h"

namespace culvert {

Result<StartPosition> parse_start(std::string_view text) {
  if (text == "earliest") return StartPosition{StartPosition::Kind::kEarliest, RecordTime{0}};
  if (text == "latest") return StartPosition{StartPosition::Kind::kLatest, RecordTime{0}};
  if (const auto time = parse_time(text)) return StartPosition{StartPosition::Kind::kTime, RecordTime{time->value()}};
  return refuse_value(text, "is neither earliest, latest nor a time such as 2026-11-23T15:57:00Z");
}

}  // namespace culvert
