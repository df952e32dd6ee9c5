// SPDX-License-Identifier: Apache-2.0
// JSON for the oracle: the plainest reader that is strict.
//
// Flow    record value -> [parse_json] -> members of the outermost object -> Oracle.
// Owner   free function; the document owns everything.
// Time    none.
// Bounds  memory of the text's size, and a byte for each level of nesting.
// See     RFC 8259; RFC 3629 (UTF-8).  It shares no line with src/decode on purpose: `verify` would otherwise find a
//         misreading equal to itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::oracle {

enum class JsonType : std::uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };

struct JsonMember {
  std::string name;  // escapes resolved
  JsonType type = JsonType::kNull;
  std::string text;  // of a number: as written; of a string: escapes resolved; otherwise empty
};

struct JsonDocument {
  JsonType type = JsonType::kNull;
  std::vector<JsonMember> members;  // of an outermost object, in order, repeated names included
};

// nullopt: it is not one JSON text.
[[nodiscard]] std::optional<JsonDocument> parse_json(std::string_view text);

}  // namespace culvert::oracle
