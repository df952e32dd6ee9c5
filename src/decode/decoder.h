// SPDX-License-Identifier: Apache-2.0
// From a record's bytes to a reading, or to the reason why not.
//
// Flow    Record -> [Decoder] -> Reading | DeadLetterReason.  Pure: the same record always gives the same answer.
// Owner   PartitionPipeline is given one and is its only caller.
// Time    `future_event_time` compares the reading with the record's own timestamp, never with a clock.
// Bounds  Definition::record_bytes_max; nothing is allocated per record in steady state.
// See     docs/semantics.md: readings; docs/formats.md: dead-letter reasons.
#pragma once

#include <span>
#include <string>

#include "model/record.h"

namespace culvert {

class Decoder {
 public:
  Decoder() = default;
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;
  virtual ~Decoder() = default;

  // kNone: `reading` is filled and valid until the next call or until the record's bytes go away.
  // Otherwise `reading` is unspecified and detail() says what was wrong, for people.
  virtual DeadLetterReason decode(const Record& record, Reading& reading) = 0;

  // As many records from the front as are good and need no thought, which is nearly all of them nearly always: their
  // readings are filled and borrow from the records alone.  About the record behind them nothing is said, whatever the
  // result is: decode() judges it.
  virtual std::size_t decode_run(std::span<const Record> records, std::span<Reading> readings) {
    (void)records, (void)readings;
    return 0;
  }

  // About the last decode() that did not return kNone.
  [[nodiscard]] virtual std::string detail() const = 0;
};

}  // namespace culvert
