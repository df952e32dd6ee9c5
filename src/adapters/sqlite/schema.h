// SPDX-License-Identifier: Apache-2.0
// Makes the tables of schema.sql in an empty file, and recognises them in one that is there.
//
// Flow    SqliteTable::open -> [create_if_empty], [read_schema], [prepare_for_writing].
// Owner   free functions.
// Time    none.
// Bounds  none of its own.
// See     schema.sql, docs/formats.md: SQLite schema.
#pragma once

#include "adapters/sqlite/connection.h"
#include "model/definition.h"

namespace culvert::sqlite {

// Does nothing if the file holds anything already.  Two processes may do this at once: one makes it, the other sees it.
[[nodiscard]] Result<void> create_if_empty(Connection& connection, const Definition& definition);

// The definition the table was made with.  Error (kData): not a culvert table, or of another schema version.
[[nodiscard]] Result<Definition> read_schema(const Connection& connection);

// The settings of a connection that writes; the file is known to be a culvert table.
[[nodiscard]] Result<void> prepare_for_writing(Connection& connection);

}  // namespace culvert::sqlite
