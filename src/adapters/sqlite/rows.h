// SPDX-License-Identifier: Apache-2.0
// Between culvert's values and the rows of schema.sql.
//
// Flow    SqliteTable -> [bind_*] -> row -> [read_*] -> SqliteTable.
// Owner   free functions.
// Time    as stored: milliseconds since the Unix epoch.
// Bounds  none of its own.  A bound value borrows from its argument: keep that alive until the statement is reset.
// See     schema.sql; docs/formats.md.  What is read is checked, since other programs can write the file too.
#pragma once

#include <string>

#include "adapters/sqlite/connection.h"
#include "pipeline/ports.h"

namespace culvert::sqlite {

inline constexpr const char* kItemColumns =
    "window_start, device_id, window_end, count, sum, sum_squares, min_micro, max_micro, fences";

// Texts that a bound item borrows.
struct ItemTexts {
  std::string sum;
  std::string sum_squares;
  std::string fences;
  std::string expected;
};

// ?1 device_id, ?2 window_start: the key of every statement over items.
void bind_key(Statement& statement, const ItemKey& key);
// ?3 window_end, ?4 count, ?5 sum, ?6 sum_squares, ?7 min, ?8 max, ?9 mean, ?10 stddev, ?11 fences.
void bind_item(Statement& statement, const ItemPut& put, ItemTexts& texts);
// kItemColumns from column 0 on.  Error (kData): the row is not one that culvert wrote.
[[nodiscard]] Result<StoredItem> read_item(const Statement& row, KeyType key_type);

inline constexpr const char* kCheckpointColumns =
    "topic, generation, \"partition\", start, next, ranges, max_event_time, max_timestamp, records, folded, late, "
    "dead_letters, definition, emission, topic_id";

struct CheckpointTexts {
  std::string ranges;
  std::string expected_ranges;
};

// ?1 topic, ?2 generation, ?3 partition.
void bind_where(Statement& statement, const StreamPartition& where);
// ?4 .. ?15 in the order of kCheckpointColumns.
void bind_checkpoint(Statement& statement, const Checkpoint& checkpoint, CheckpointTexts& texts);
[[nodiscard]] Result<PartitionCheckpoint> read_checkpoint(const Statement& row);

inline constexpr const char* kDeadLetterColumns =
    "topic, generation, \"partition\", \"offset\", timestamp, reason, detail, key, value";

// ?1 .. ?9 in the order of kDeadLetterColumns.
void bind_dead_letter(Statement& statement, const DeadLetter& letter);
[[nodiscard]] Result<DeadLetter> read_dead_letter(const Statement& row);

}  // namespace culvert::sqlite
