// SPDX-License-Identifier: Apache-2.0
// A hop's report as lines for people, or as one line of JSON.
//
// Flow    HopReport -> [text] -> Output.
// Owner   free functions.
// Time    none.
// Bounds  text from outside (names, brokers' words) goes through visible_text().
// See     docs/doctor.md.
#pragma once

#include <span>
#include <string>

#include "app/doctor/hops.h"

namespace culvert {

struct DoctorStyle {
  bool colour = false;
  std::size_t name_columns = 10;
};

// `✓ tcp  what was found`, and below it details, causes and remedies; ends with a line break.
[[nodiscard]] std::string hop_text(const HopReport& report, const DoctorStyle& style);
// One object, without a line break.
[[nodiscard]] std::string hop_json(const HopReport& report);
// `1 hop is broken: tcp.  6 are in order, 9 were skipped.`
[[nodiscard]] std::string walk_text(const WalkResult& result);

}  // namespace culvert
