// SPDX-License-Identifier: Apache-2.0
// culvert's values as items of the three DynamoDB tables, and back.
//
// Flow    FlushRequest -> [*_put] -> body of a PutItem call; item of a response -> [read_*] -> Image, Checkpoint, ..
// Owner   pure functions.
// Time    window bounds as fixed-width UTC text, record times in milliseconds.
// Bounds  an item is at most 400 KB: a dead letter whose key and value are larger is cut into parts of kPartBytes.
// See     docs/formats.md: DynamoDB tables.  Numbers are exact decimal text: DynamoDB keeps 38 significant digits, and
//         item_codec.cc proves that no sum needs more.
#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "pipeline/ports.h"

namespace culvert::dynamodb {

struct TableNames {
  std::string items;
  std::string checkpoints;
  std::string dead_letters;
};

struct ItemFormat {
  std::string value_name = "temp";                  // stem of avg_temp, min_temp, ..
  std::optional<std::chrono::seconds> retention{};  // expires_at = window end + retention; absent: no such attribute
};

// JSON string literal of any bytes; what is not UTF-8 becomes U+FFFD, as JSON has no other way.
void append_json_string(std::string& out, std::string_view text);

// Bodies of PutItem calls.
[[nodiscard]] std::string item_put(const TableNames& tables, const ItemFormat& format, const ItemPut& put);
[[nodiscard]] std::string checkpoint_put(const TableNames& tables, const StreamPartition& where,
                                         const CheckpointPut& put);

// A dead letter's key and value together, cut into parts if they are above kInlineBytes.
inline constexpr std::size_t kInlineBytes = 250'000;
inline constexpr std::size_t kPartBytes = 250'000;
[[nodiscard]] std::size_t dead_letter_parts(const DeadLetter& letter);  // 0: it fits one item
[[nodiscard]] std::string dead_letter_put(const TableNames& tables, const DeadLetter& letter);
[[nodiscard]] std::string dead_letter_part_put(const TableNames& tables, const DeadLetter& letter, std::size_t part);
// Hash key of the items that hold a dead letter's parts; their `offset` is the part's number.
[[nodiscard]] std::string parts_position(std::string_view position, Offset offset);

// `"device_id":{..},"window_start":{..}`, without braces.
void append_item_key(std::string& out, const ItemKey& key);

using JsonItem = boost::json::object;
// The value inside `{"N": "1"}` and its like; nullopt if the attribute is absent or of another type.
[[nodiscard]] std::optional<std::string_view> attribute(const JsonItem& item, std::string_view name,
                                                        std::string_view type);

// Error (kData, fatal): the item is not one of culvert's; the message names table, key and attribute.
[[nodiscard]] Result<StoredItem> read_item(const JsonItem& item, std::string_view table, std::string_view value_name);
[[nodiscard]] Result<ItemKey> read_item_key(const JsonItem& item, std::string_view table);

[[nodiscard]] Result<PartitionCheckpoint> read_checkpoint(const JsonItem& item, std::string_view table);

struct StoredDeadLetter {
  DeadLetter letter;
  // Set: key and value are not in the item but in this many parts.
  std::size_t parts = 0;
  std::optional<std::size_t> key_bytes{};    // of the joined parts; nullopt: no key
  std::optional<std::size_t> value_bytes{};  // nullopt: no value
};
[[nodiscard]] Result<StoredDeadLetter> read_dead_letter(const JsonItem& item, std::string_view table);
[[nodiscard]] Result<std::string> read_dead_letter_part(const JsonItem& item, std::string_view table);
// Puts the joined parts into place.  Error: the bytes are not as many as the item says.
[[nodiscard]] Result<void> join_parts(StoredDeadLetter& stored, std::string_view bytes, std::string_view table);

// "<topic>@<generation>" and "<topic>@<generation>/<partition>".
[[nodiscard]] std::optional<StreamPartition> parse_stream(std::string_view stream, std::int64_t partition);
[[nodiscard]] std::optional<StreamPartition> parse_position(std::string_view position);

// A number attribute's text (plain or with an exponent, as DynamoDB may answer) in units of 10^-digits.
[[nodiscard]] std::optional<Int128> parse_number(std::string_view text, int digits);

}  // namespace culvert::dynamodb
