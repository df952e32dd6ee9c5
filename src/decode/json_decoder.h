// SPDX-License-Identifier: Apache-2.0
// Readings from JSON records.
//
// Flow    Record -> [JsonDecoder] -> Reading | DeadLetterReason.  Pure.  A record shaped like the one before takes the
//         shaped path (RecordShape); any other is read by JsonScanner.  Both give the same answer, always.
// Owner   PartitionPipeline's creator makes one for each pipeline; it is not shared.
// Time    see TimestampReader; `future_event_time` compares with the record's own timestamp.
// Bounds  Definition::record_bytes_max; scratch of at most one record, kept, so nothing is allocated per record.
// See     docs/semantics.md: readings; docs/formats.md: dead-letter reasons.
//
// What is refused first, so that a record with several faults always has the same reason:
//   tombstone, too_large, not_json (the whole text is checked before anything else is looked at), not_object,
//   duplicate_field (of the three fields; others may repeat), missing_field (device, timestamp, value), the device
//   (wrong_type, device_type), the timestamp (wrong_type, bad_timestamp), the value (wrong_type, out_of_range),
//   future_event_time.
// A device that is null, a boolean, an array or an object is wrong_type; text where the table has numbers, or a number
// where it has text, is device_type, and so is a number that is not a canonical int64 (1.0, 1e3, -0, 2^63).
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "decode/decoder.h"
#include "decode/json_scanner.h"
#include "decode/record_shape.h"
#include "decode/timestamp.h"
#include "model/definition.h"

namespace culvert {

// kOff: every record is read in general.  The answers are the same; it is for tests that make sure of that.
enum class ShapedPath : std::uint8_t { kOn, kOff };

class JsonDecoder final : public Decoder {
 public:
  explicit JsonDecoder(const Definition& definition, ShapedPath shaped_path = ShapedPath::kOn);

  DeadLetterReason decode(const Record& record, Reading& reading) override;
  // Records of the shape that matched last.
  std::size_t decode_run(std::span<const Record> records, std::span<Reading> readings) override;
  [[nodiscard]] std::string detail() const override;

  // How many records were read in general: neither refused for their size nor taken by the shaped path.
  [[nodiscard]] std::uint64_t general_count() const { return general_count_; }

 private:
  struct Field {
    std::string name;
    std::uint8_t count = 0;  // 0, 1 or 2: more than once
    JsonValue value;
  };

  DeadLetterReason decode_unshaped(const Record& record, Reading& reading);
  [[nodiscard]] bool matches(const RecordShape& shape, const Record& record, Reading& reading) {
    return shape.match({&record, 1}, {&reading, 1}, limits_, timestamps_) == 1;
  }
  void remember_shape(std::string_view text);
  DeadLetterReason decode_general(std::string_view text, Reading& reading);
  void note_member(const JsonString& name, const JsonValue& value);
  DeadLetterReason read_device(Reading& reading);
  DeadLetterReason read_device_number(std::string_view text, Reading& reading);
  DeadLetterReason read_device_text(const JsonString& string, Reading& reading);
  DeadLetterReason read_timestamp(Reading& reading);
  DeadLetterReason read_value(Reading& reading);
  DeadLetterReason refuse(DeadLetterReason reason, ReadingField field);
  [[nodiscard]] const Field& field(ReadingField which) const { return fields_.at(static_cast<std::size_t>(which)); }

  std::array<Field, 3> fields_;
  TimestampUnit unit_;
  KeyType key_type_;
  ReadingLimits limits_;
  ShapedPath shaped_path_;
  // Two, because a fleet under way from one firmware to the next writes two.
  std::array<RecordShape, 2> shapes_;
  RecordShape* shape_ = &shapes_[0];  // the one that matched or was made last
  std::uint64_t general_count_ = 0;
  JsonScanner scanner_;
  TimestampReader timestamps_;
  std::string scratch_;            // a name or a device without its escapes; the reading may point here
  std::string timestamp_scratch_;  // the timestamp without its escapes

  // What detail() needs; the text is made only if somebody asks.
  DeadLetterReason refused_ = DeadLetterReason::kNone;
  ReadingField refused_field_ = ReadingField::kDevice;
  std::size_t refused_bytes_ = 0;
  Millis ahead_{0};
};

}  // namespace culvert
