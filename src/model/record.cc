// SPDX-License-Identifier: Apache-2.0
#include "model/record.h"

#include <array>
#include <utility>

namespace culvert {

namespace {

constexpr std::array<std::pair<DeadLetterReason, std::string_view>, 14> kNames{{
    {DeadLetterReason::kNone, "none"},
    {DeadLetterReason::kNotJson, "not_json"},
    {DeadLetterReason::kNotObject, "not_object"},
    {DeadLetterReason::kMissingField, "missing_field"},
    {DeadLetterReason::kWrongType, "wrong_type"},
    {DeadLetterReason::kBadTimestamp, "bad_timestamp"},
    {DeadLetterReason::kOutOfRange, "out_of_range"},
    {DeadLetterReason::kDeviceType, "device_type"},
    {DeadLetterReason::kDuplicateField, "duplicate_field"},
    {DeadLetterReason::kTooLarge, "too_large"},
    {DeadLetterReason::kTombstone, "tombstone"},
    {DeadLetterReason::kFutureEventTime, "future_event_time"},
    {DeadLetterReason::kLate, "late"},
    {DeadLetterReason::kGeneration, "generation"},
}};

}  // namespace

std::string_view reason_name(DeadLetterReason reason) { return kNames.at(static_cast<std::size_t>(reason)).second; }

std::optional<DeadLetterReason> reason_from_name(std::string_view name) {
  for (const auto& [reason, text] : kNames) {
    if (text == name && reason != DeadLetterReason::kNone) return reason;
  }
  return std::nullopt;
}

}  // namespace culvert
