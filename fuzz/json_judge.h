// SPDX-License-Identifier: Apache-2.0
// RapidJSON's opinion on whether a text is JSON: the independent judge of tests and fuzzers.
//
// Flow    text -> [judge_json] -> compared with what JsonScanner says.
// Owner   none: free function.
// Time    none.
// Bounds  none of its own.
// See     src/decode/json_scanner.h, which says why the product does not read with it.
#pragma once

#include <string_view>

namespace culvert {

enum class Judgement {
  kAccepts,  // or the second half of a surrogate pair stands alone, which RapidJSON 1.1 does not mind
  kRefuses,
  kUnsure,  // a number beyond a double's range: it refuses those, and reads no further
};

[[nodiscard]] Judgement judge_json(std::string_view text);

}  // namespace culvert
