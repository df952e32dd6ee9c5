// SPDX-License-Identifier: Apache-2.0
// The decoder of an older version: it cannot read what the present one can.
//
// Flow    Record -> [OlderDecoder] -> Reading | DeadLetterReason.
// Owner   the test.
// Time    none.
// Bounds  none of its own.
// See     pipeline/redrive.h.
#pragma once

#include <string>

#include "decode/json_decoder.h"

namespace culvert::fakes {

class OlderDecoder final : public Decoder {
 public:
  // Refuses readings whose value is at or above `first_refused`.
  OlderDecoder(const Definition& definition, Micro first_refused)
      : decoder_(definition), first_refused_(first_refused) {}

  DeadLetterReason decode(const Record& record, Reading& reading) override {
    const auto reason = decoder_.decode(record, reading);
    older_ = reason == DeadLetterReason::kNone && reading.value >= first_refused_;
    return older_ ? DeadLetterReason::kWrongType : reason;
  }
  [[nodiscard]] std::string detail() const override {
    return older_ ? "an older version could not read it" : decoder_.detail();
  }

 private:
  JsonDecoder decoder_;
  Micro first_refused_;
  bool older_ = false;
};

}  // namespace culvert::fakes
