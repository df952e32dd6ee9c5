// SPDX-License-Identifier: Apache-2.0
// How a dead letter is shown: as JSON, as a row for people.
//
// Flow    TableReader -> DeadLetter -> [dead_letter_rows] -> dead-letters list, dashboard.
// Owner   free functions.
// Time    the record's own timestamp: milliseconds in JSON, UTC text for people.
// Bounds  JSON holds the record whole; a row for people shows the first columns_max characters of key and value.
// See     docs/formats.md: dead letters.  Their bytes are hostile by nature.
#pragma once

#include <string>
#include <vector>

#include "model/record.h"

namespace culvert {

// One JSON object, no line break.
[[nodiscard]] std::string dead_letter_json(const DeadLetter& letter);

// Cells for people: position, time, reason, detail, key, value.
[[nodiscard]] std::vector<std::string> dead_letter_cells(const DeadLetter& letter);

}  // namespace culvert
