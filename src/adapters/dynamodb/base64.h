// SPDX-License-Identifier: Apache-2.0
// Binary attributes as DynamoDB's JSON carries them.
//
// Flow    item_codec: dead letters' keys and values <-> text.
// Owner   pure functions.
// Time    none.
// Bounds  none of their own.
// See     RFC 4648 section 4.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace culvert::dynamodb {

void append_base64(std::string& out, std::string_view bytes);
// nullopt if the text is not base64 with its padding.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);

}  // namespace culvert::dynamodb
