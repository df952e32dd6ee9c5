// SPDX-License-Identifier: Apache-2.0
// Text from outside, made safe to show on a terminal.
//
// Flow    device ids, dead letters -> [visible_text] -> tables for people.
// Owner   free functions.
// Time    none.
// Bounds  the output is at most six times the input.
// See     Unicode TR36: bidirectional controls can make a line look like another one.
#pragma once

#include <string>
#include <string_view>

namespace culvert {

// UTF-8 as it is, but control characters (also those of 0x80 to 0x9f, which terminals obey), bidirectional controls,
// line separators and bytes that are no UTF-8 as `\xNN` for each byte, and `\` as `\\`, so that nothing can pass for an
// escape.
[[nodiscard]] std::string visible_text(std::string_view bytes);

// At most `columns` code points of visible_text(bytes), the last one `…` if anything was cut.
[[nodiscard]] std::string visible_start(std::string_view bytes, std::size_t columns);

}  // namespace culvert
