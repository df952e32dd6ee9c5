// SPDX-License-Identifier: Apache-2.0
#include "app/table/table.h"

#include <utility>

#include "adapters/dynamodb/open_table.h"
#include "adapters/sqlite/sqlite_table.h"
#include "app/options/dynamodb_options.h"

namespace culvert {

std::string table_name(const TableSpec& spec) {
  return (spec.kind == TableKind::kSqlite ? "sqlite:" : "dynamodb:") + spec.name;
}

Result<std::unique_ptr<AggregateTable>> open_table(const TableSpec& spec, const Definition& definition,
                                                   const Clock& clock) {
  if (spec.kind == TableKind::kDynamoDb) {
    auto table = dynamodb::open_for_writing(dynamodb_options(spec), definition,
                                            spec.create ? dynamodb::Tables::kCreate : dynamodb::Tables::kCheck, clock);
    if (!table) return table.error();
    return std::unique_ptr<AggregateTable>(*std::move(table));
  }
  sqlite::OpenOptions options;
  options.mode = sqlite::OpenMode::kCreate;
  options.definition = definition;
  auto table = sqlite::SqliteTable::open(spec.name, options);
  if (!table) return table.error();
  return std::unique_ptr<AggregateTable>(*std::move(table));
}

Result<ReadableTable> open_reader(const TableSpec& spec, const Clock& clock) {
  if (spec.kind == TableKind::kDynamoDb) {
    auto readable = dynamodb::open_for_reading(dynamodb_options(spec), clock);
    if (!readable) return readable.error();
    return ReadableTable{std::move(readable->table), std::move(readable->definition), {}};
  }
  sqlite::OpenOptions options;
  options.mode = sqlite::OpenMode::kReadOnly;
  auto table = sqlite::SqliteTable::open(spec.name, options);
  if (!table) return table.error();
  Definition definition = (*table)->definition();
  sqlite::SqliteTable* const counted = table->get();
  return ReadableTable{*std::move(table), std::move(definition),
                       [counted](const ItemFilter& filter) { return counted->count_items(filter); }};
}

}  // namespace culvert
