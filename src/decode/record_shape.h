// SPDX-License-Identifier: Apache-2.0
// The shaped path: a record that repeats an earlier one but for its three values is read without parsing JSON again.
//
// Flow    JsonDecoder reads a record in general -> remember() what lies around its values -> match() of later records.
// Owner   JsonDecoder holds a few, one for each shape that its partition's producers write.
// Time    see TimestampReader.
// Bounds  Skeleton::kBytesMost for what lies around the values; longer records are not remembered.
// See     docs/ARCHITECTURE.md, "Decoding".
//
// Why it is right: a remembered record was accepted as a whole.  Another text with the same bytes around its values,
// and with values that are one token each of the same kind, has the same parse: what lies outside of the values is the
// same JSON with the same names, and each value ends where the skeleton goes on, with a quote behind text and with a
// byte that no number contains behind a number.  match() reads only values whose reading it is certain of; of any other
// (escapes, exponents, a value of 8 digits before the point, whatever is malformed) it says nothing, and the record is
// read in general, which also finds the reason if it is to be refused.  A field that varies beside the three takes
// every record off this path; one that is constant does not.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "decode/timestamp.h"
#include "model/definition.h"
#include "model/record.h"

namespace culvert {

// The fields of a reading, in the order in which they are checked.
enum class ReadingField : std::uint8_t { kDevice, kTimestamp, kValue };

// Where a value lies in the text: a number, or what is between the quotes of a string.
struct ValuePlace {
  ReadingField field = ReadingField::kDevice;
  std::string_view text;
};

// What lies before, between and behind the three values.
struct Skeleton {
  Skeleton() = default;
  Skeleton(const Skeleton&) = delete;  // pieces point into bytes
  Skeleton& operator=(const Skeleton&) = delete;

  static constexpr std::size_t kBytesMost = 1024;

  // One run of these bytes, never empty.  Three words that overlap cover one of 9 to 24 bytes; of another, `third` is
  // 0.
  struct Piece {
    std::array<std::uint64_t, 3> words{};  // at 0, `second` and `third`
    std::ptrdiff_t second = 0;
    std::ptrdiff_t third = 0;
    std::ptrdiff_t size = 0;
    const char* bytes = nullptr;
  };

  std::array<Piece, 4> pieces;
  std::array<char, kBytesMost> bytes{};
};

// What is refused although it can be read.
struct ReadingLimits {
  std::size_t bytes_most;  // of a record
  Millis future_most;      // of the event time ahead of the record's own timestamp

  // Subtracted from the event time, whose range is known: the record's timestamp may be any int64.
  [[nodiscard]] bool is_future(const Record& record, const Reading& reading) const {
    return record.timestamp && reading.event_time.value() - future_most.count() > record.timestamp->value();
  }
};

class RecordShape {
 public:
  explicit RecordShape(const Definition& definition)
      : key_type_(definition.key_type), unit_(definition.timestamp_unit) {}

  // Takes the shape of an accepted record; the places are views into `text`, in any order.
  void remember(std::string_view text, std::array<ValuePlace, 3> places);

  // How many records from the front it knows: each one's reading is what the general path would read, within `limits`;
  // a device of text points into the record.  Of the record behind them nothing is known.
  std::size_t match(std::span<const Record> records, std::span<Reading> readings, const ReadingLimits& limits,
                    TimestampReader& timestamps) const {
    return matcher_ == nullptr ? 0 : matcher_(*this, records, readings, limits, timestamps);
  }

 private:
  // A run is one call: for a single record the call costs as much as a value.
  using Matcher = std::size_t (*)(const RecordShape& shape, std::span<const Record> records,
                                  std::span<Reading> readings, const ReadingLimits& limits,
                                  TimestampReader& timestamps);
  friend class ShapeMatcher;

  KeyType key_type_;
  TimestampUnit unit_;
  Matcher matcher_ = nullptr;  // made for the order and the types of the values; null: nothing is remembered
  std::size_t size_least_ = 0;
  Skeleton skeleton_;
};

}  // namespace culvert
