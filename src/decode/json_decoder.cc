// SPDX-License-Identifier: Apache-2.0
#include "decode/json_decoder.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace culvert {

namespace {

// What a field should have held, for people.
std::string_view expected_kind(ReadingField field, KeyType key_type, TimestampUnit unit) {
  const bool number = field == ReadingField::kDevice      ? key_type == KeyType::kNumber
                      : field == ReadingField::kTimestamp ? unit != TimestampUnit::kText
                                                          : true;
  return json_kind_name(number ? JsonKind::kNumber : JsonKind::kString);
}

}  // namespace

JsonDecoder::JsonDecoder(const Definition& definition, ShapedPath shaped_path)
    : fields_{Field{definition.fields.device, 0, {}}, Field{definition.fields.timestamp, 0, {}},
              Field{definition.fields.value, 0, {}}},
      unit_(definition.timestamp_unit),
      key_type_(definition.key_type),
      limits_{static_cast<std::size_t>(definition.record_bytes_max), definition.max_future},
      shaped_path_(shaped_path),
      shapes_{RecordShape(definition), RecordShape(definition)} {
  scratch_.reserve(kDeviceBytesMost);
}

DeadLetterReason JsonDecoder::decode(const Record& record, Reading& reading) {
  if (matches(*shape_, record, reading)) [[likely]]
    return DeadLetterReason::kNone;
  return decode_unshaped(record, reading);
}

std::size_t JsonDecoder::decode_run(std::span<const Record> records, std::span<Reading> readings) {
  return shape_->match(records, readings, limits_, timestamps_);
}

// What the shape that matched last did not take.
DeadLetterReason JsonDecoder::decode_unshaped(const Record& record, Reading& reading) {
  if (!record.value) return refused_ = DeadLetterReason::kTombstone;
  refused_bytes_ = record.value->size();
  if (refused_bytes_ > limits_.bytes_most) return refused_ = DeadLetterReason::kTooLarge;
  RecordShape* const other = shape_ == &shapes_[0] ? &shapes_[1] : &shapes_[0];
  if (matches(*other, record, reading)) {
    shape_ = other;
    return DeadLetterReason::kNone;
  }
  ++general_count_;
  const auto reason = decode_general(*record.value, reading);
  if (reason != DeadLetterReason::kNone) return reason;
  if (shaped_path_ == ShapedPath::kOn) {
    shape_ = other;
    remember_shape(*record.value);
  }
  if (!limits_.is_future(record, reading)) return DeadLetterReason::kNone;
  std::int64_t ahead = 0;
  const bool fits = !__builtin_sub_overflow(reading.event_time.value(), record.timestamp->value(), &ahead);
  ahead_ = fits ? Millis{ahead} : Millis::max();
  return refuse(DeadLetterReason::kFutureEventTime, ReadingField::kTimestamp);
}

// Only of a record that was just read in general, and accepted.
void JsonDecoder::remember_shape(std::string_view text) {
  const auto place = [&](ReadingField which) {
    const JsonValue& value = field(which).value;
    return ValuePlace{which, value.kind == JsonKind::kNumber ? value.number : value.string.raw};
  };
  shape_->remember(text, {place(ReadingField::kDevice), place(ReadingField::kTimestamp), place(ReadingField::kValue)});
}

DeadLetterReason JsonDecoder::decode_general(std::string_view text, Reading& reading) {
  for (Field& field : fields_) field.count = 0;
  if (!scanner_.start(text)) return refused_ = DeadLetterReason::kNotJson;
  if (scanner_.root() != JsonKind::kObject) return refused_ = DeadLetterReason::kNotObject;
  JsonString name;
  JsonValue value;
  while (scanner_.next_member(name, value)) note_member(name, value);
  if (scanner_.fault() != JsonFault::kNone) return refused_ = DeadLetterReason::kNotJson;
  constexpr std::array kOrder{ReadingField::kDevice, ReadingField::kTimestamp, ReadingField::kValue};
  for (const ReadingField which : kOrder) {
    if (field(which).count > 1) return refuse(DeadLetterReason::kDuplicateField, which);
  }
  for (const ReadingField which : kOrder) {
    if (field(which).count == 0) return refuse(DeadLetterReason::kMissingField, which);
  }
  if (const auto reason = read_device(reading); reason != DeadLetterReason::kNone) return reason;
  if (const auto reason = read_timestamp(reading); reason != DeadLetterReason::kNone) return reason;
  return read_value(reading);
}

void JsonDecoder::note_member(const JsonString& name, const JsonValue& value) {
  std::string_view plain = name.raw;
  if (name.escaped) {
    scratch_.clear();
    unescape_json(name, scratch_);
    plain = scratch_;
  }
  for (Field& field : fields_) {
    if (plain != field.name) continue;
    if (field.count < 2) ++field.count;
    field.value = value;
    return;
  }
}

DeadLetterReason JsonDecoder::read_device(Reading& reading) {
  const JsonValue& value = field(ReadingField::kDevice).value;
  if (value.kind == JsonKind::kNumber) return read_device_number(value.number, reading);
  if (value.kind == JsonKind::kString) return read_device_text(value.string, reading);
  return refuse(DeadLetterReason::kWrongType, ReadingField::kDevice);
}

DeadLetterReason JsonDecoder::read_device_number(std::string_view text, Reading& reading) {
  // Of what the grammar allows, everything but a fraction, an exponent and -0 is the canonical text of an integer.
  const char* const end = text.data() + text.size();
  std::int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  const bool canonical = error == std::errc{} && stop == end && text != "-0";
  if (key_type_ != KeyType::kNumber || !canonical) return refuse(DeadLetterReason::kDeviceType, ReadingField::kDevice);
  reading.device = DeviceRef{number};
  return DeadLetterReason::kNone;
}

DeadLetterReason JsonDecoder::read_device_text(const JsonString& string, Reading& reading) {
  std::string_view plain = string.raw;
  if (string.escaped) {
    scratch_.clear();
    unescape_json(string, scratch_);
    plain = scratch_;
  }
  refused_bytes_ = plain.size();
  if (key_type_ != KeyType::kString || plain.empty() || plain.size() > kDeviceBytesMost) {
    return refuse(DeadLetterReason::kDeviceType, ReadingField::kDevice);
  }
  reading.device = DeviceRef{plain};
  return DeadLetterReason::kNone;
}

DeadLetterReason JsonDecoder::read_timestamp(Reading& reading) {
  const JsonValue& value = field(ReadingField::kTimestamp).value;
  if (value.kind != (unit_ == TimestampUnit::kText ? JsonKind::kString : JsonKind::kNumber)) {
    return refuse(DeadLetterReason::kWrongType, ReadingField::kTimestamp);
  }
  bool good = false;
  if (unit_ != TimestampUnit::kText) {
    good = read_epoch(value.number, unit_, reading.event_time);
  } else if (!value.string.escaped) {
    good = timestamps_.read(value.string.raw, reading.event_time);
  } else {
    timestamp_scratch_.clear();
    unescape_json(value.string, timestamp_scratch_);
    good = timestamps_.read(timestamp_scratch_, reading.event_time);
  }
  return good ? DeadLetterReason::kNone : refuse(DeadLetterReason::kBadTimestamp, ReadingField::kTimestamp);
}

DeadLetterReason JsonDecoder::read_value(Reading& reading) {
  const JsonValue& value = field(ReadingField::kValue).value;
  if (value.kind != JsonKind::kNumber) return refuse(DeadLetterReason::kWrongType, ReadingField::kValue);
  switch (parse_micro(value.number, reading.value)) {
    case MicroParse::kOk:
      return DeadLetterReason::kNone;
    case MicroParse::kOutOfRange:
      return refuse(DeadLetterReason::kOutOfRange, ReadingField::kValue);
    case MicroParse::kNotANumber:
      break;
  }
  CULVERT_CHECK(false, "the scanner passed a number that is none");
}

DeadLetterReason JsonDecoder::refuse(DeadLetterReason reason, ReadingField field) {
  refused_field_ = field;
  return refused_ = reason;
}

std::string JsonDecoder::detail() const {
  const Field& at = field(refused_field_);
  switch (refused_) {
    case DeadLetterReason::kTombstone:
      return "the record has no value";
    case DeadLetterReason::kTooLarge:
      return fmt::format("{} bytes, at most {} are read", refused_bytes_, limits_.bytes_most);
    case DeadLetterReason::kNotJson:
      return fmt::format("byte {}: {}", scanner_.fault_at(), json_fault_text(scanner_.fault()));
    case DeadLetterReason::kNotObject:
      return fmt::format("{} instead of an object", json_kind_name(scanner_.root()));
    case DeadLetterReason::kDuplicateField:
      return fmt::format("field '{}' occurs more than once", at.name);
    case DeadLetterReason::kMissingField:
      return fmt::format("field '{}' is missing", at.name);
    case DeadLetterReason::kWrongType:
      return fmt::format("field '{}' is {} instead of {}", at.name, json_kind_name(at.value.kind),
                         expected_kind(refused_field_, key_type_, unit_));
    case DeadLetterReason::kDeviceType:
      if (key_type_ == KeyType::kNumber) return fmt::format("field '{}' is not an integer of 64 bits", at.name);
      if (at.value.kind != JsonKind::kString) return fmt::format("field '{}' is not a string", at.name);
      return fmt::format("field '{}' has {} bytes, 1 to {} are taken", at.name, refused_bytes_, kDeviceBytesMost);
    case DeadLetterReason::kBadTimestamp:
      return fmt::format("field '{}' is not {} from 1970 to 9999", at.name,
                         unit_ == TimestampUnit::kText ? "an RFC 3339 time" : "an epoch number");
    case DeadLetterReason::kOutOfRange:
      return fmt::format("field '{}' is beyond {} in magnitude", at.name, format_micro(kMicroMost));
    case DeadLetterReason::kFutureEventTime:
      return fmt::format("event time is {} ahead of the record's own timestamp, at most {} is taken",
                         format_duration(ahead_), format_duration(limits_.future_most));
    case DeadLetterReason::kNone:
    case DeadLetterReason::kLate:
    case DeadLetterReason::kGeneration:
      break;
  }
  return "";
}

}  // namespace culvert
