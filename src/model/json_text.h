// SPDX-License-Identifier: Apache-2.0
// Writing JSON by hand: strings, and bytes that are no text.
//
// Flow    log, tail, query, dead letters, invocation events -> JSON.
// Owner   free functions.
// Time    none.
// Bounds  the output is at most six times the input.
// See     RFC 8259, RFC 3629 (UTF-8), RFC 4648 (base64).
#pragma once

#include <string>
#include <string_view>

namespace culvert {

// `"text"` with everything escaped that must be; bytes that are not UTF-8 become U+FFFD, so that the line stays JSON.
void append_json_string(std::string& out, std::string_view text);
[[nodiscard]] std::string json_string(std::string_view text);

[[nodiscard]] bool is_utf8(std::string_view bytes);

// With padding.
[[nodiscard]] std::string base64(std::string_view bytes);

}  // namespace culvert
