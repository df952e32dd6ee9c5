// SPDX-License-Identifier: Apache-2.0
// The JSON decoder on arbitrary records: with and without the shaped path, and against RapidJSON.
//
// Flow    byte 0 chooses the definition; the rest is records, separated by 0x1E, read by one decoder in order.
// Owner   libFuzzer, or replay_main.cc.
// Time    a fixed record timestamp, or none.
// Bounds  none of its own.
// See     fuzz/CMakeLists.txt.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "decode/json_decoder.h"
#include "json_judge.h"
#include "model/check.h"

namespace culvert {
namespace {

Definition definition_of(std::uint8_t bits) {
  Definition definition;
  definition.key_type = (bits & 1) != 0 ? KeyType::kString : KeyType::kNumber;
  switch (bits >> 1 & 3) {
    case 1:
      definition.timestamp_unit = TimestampUnit::kSeconds;
      break;
    case 2:
      definition.timestamp_unit = TimestampUnit::kMilliseconds;
      break;
    default:
      break;
  }
  if ((bits & 8) != 0) definition.fields = {"d", "t", "v"};
  if ((bits & 16) != 0) definition.record_bytes_max = 100;
  return definition;
}

void check_reading(const Reading& reading, KeyType key_type) {
  CULVERT_CHECK(reading.device.type() == key_type, "a device of the other type");
  if (key_type == KeyType::kString) {
    const std::size_t size = reading.device.text().size();
    CULVERT_CHECK(size >= 1 && size <= kDeviceBytesMost, "a device of a length that is refused");
  }
  CULVERT_CHECK(kEventTimeFirst <= reading.event_time && reading.event_time < kEventTimeNext,
                "event time out of range");
  CULVERT_CHECK(reading.value <= kMicroMost && -reading.value.value() <= kMicroMost.value(), "value out of range");
}

struct Decoders {
  explicit Decoders(const Definition& definition)
      : key_type(definition.key_type), shaped(definition), general(definition, ShapedPath::kOff) {}
  KeyType key_type;
  JsonDecoder shaped;
  JsonDecoder general;
};

void compare(Decoders& decoders, std::string_view value, std::optional<RecordTime> timestamp) {
  // Of exactly its size, so that a read beyond it is seen.
  const auto bytes = std::make_unique<char[]>(value.size());
  std::copy(value.begin(), value.end(), bytes.get());
  const std::string_view text{bytes.get(), value.size()};
  const Record record{Offset{0}, timestamp, std::nullopt, text};
  Reading shaped;
  Reading general;
  const DeadLetterReason reason = decoders.general.decode(record, general);
  CULVERT_CHECK(decoders.shaped.decode(record, shaped) == reason, "the paths differ in their reason");
  if (reason == DeadLetterReason::kNone) {
    CULVERT_CHECK(shaped.device == general.device, "the paths differ in the device");
    CULVERT_CHECK(shaped.event_time == general.event_time, "the paths differ in the event time");
    CULVERT_CHECK(shaped.value == general.value, "the paths differ in the value");
    check_reading(shaped, decoders.key_type);
  } else {
    CULVERT_CHECK(decoders.shaped.detail() == decoders.general.detail(), "the paths differ in the detail");
    CULVERT_CHECK(!decoders.shaped.detail().empty(), "a refusal without detail");
  }
  if (reason == DeadLetterReason::kTooLarge) return;
  switch (judge_json(text)) {
    case Judgement::kAccepts: {
      const bool lone = decoders.general.detail().find("lone surrogate") != std::string::npos;
      CULVERT_CHECK(reason != DeadLetterReason::kNotJson || lone, "RapidJSON accepts what we refuse");
      break;
    }
    case Judgement::kRefuses:
      CULVERT_CHECK(reason == DeadLetterReason::kNotJson, "RapidJSON refuses what we accept");
      break;
    case Judgement::kUnsure:
      break;
  }
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace culvert;
  if (size == 0) return 0;
  std::string rest(data + 1, data + size);
  Decoders decoders(definition_of(data[0]));
  std::optional<RecordTime> timestamp;
  if ((data[0] & 32) != 0) timestamp = RecordTime{1'682'942'400'000};
  for (std::size_t at = 0; at <= rest.size();) {
    const std::size_t end = std::min(rest.find('\x1e', at), rest.size());
    compare(decoders, std::string_view(rest).substr(at, end - at), timestamp);
    at = end + 1;
  }
  return 0;
}
