// SPDX-License-Identifier: Apache-2.0
// From what --table says to a table.
//
// Flow    TableSpec -> [open_table] -> the writing side for consume and demo; [open_reader] -> the reading side for
//         query, verify, dead-letters and dashboard.
// Owner   the command that opened it.
// Time    none of its own.
// Bounds  none of its own.
// See     pipeline/ports.h; each adapter's header says what it guarantees.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "adapters/clock/clock.h"
#include "app/cli/option_groups.h"
#include "pipeline/ports.h"

namespace culvert {

// `sqlite:windows.db`, as --table takes it.
[[nodiscard]] std::string table_name(const TableSpec& spec);

// Opens the table for writing; an SQLite file is made if it is not there, tables in DynamoDB if `spec` says so.
// `clock` must outlive the table.  Error (kData): the table was made with another definition.
[[nodiscard]] Result<std::unique_ptr<AggregateTable>> open_table(const TableSpec& spec, const Definition& definition,
                                                                 const Clock& clock);

struct ReadableTable {
  std::unique_ptr<TableReader> reader;
  Definition definition;  // as the table says, not as any option does
  // How many items of all devices a filter lets through; null where that is not quickly found out.
  std::function<Result<std::int64_t>(const ItemFilter&)> count_items{};
};

// Works while others write.
[[nodiscard]] Result<ReadableTable> open_reader(const TableSpec& spec, const Clock& clock);

}  // namespace culvert
