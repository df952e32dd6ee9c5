// SPDX-License-Identifier: Apache-2.0
#include "app/table.h"

#include <fmt/format.h>

#include <utility>

#include "adapters/sqlite/sqlite_table.h"

namespace culvert {

namespace {

Error not_built_in(const TableSpec& spec) {
  return Error::fatal(
      ErrorKind::kConfiguration,
      fmt::format("--table dynamodb:{}: this culvert was built without DynamoDB (use sqlite:FILE)", spec.name));
}

}  // namespace

Result<std::unique_ptr<AggregateTable>> open_table(const TableSpec& spec, const Definition& definition) {
  if (spec.kind != TableKind::kSqlite) return not_built_in(spec);
  sqlite::OpenOptions options;
  options.mode = sqlite::OpenMode::kCreate;
  options.definition = definition;
  auto table = sqlite::SqliteTable::open(spec.name, options);
  if (!table) return table.error();
  return std::unique_ptr<AggregateTable>(*std::move(table));
}

Result<ReadableTable> open_reader(const TableSpec& spec) {
  if (spec.kind != TableKind::kSqlite) return not_built_in(spec);
  sqlite::OpenOptions options;
  options.mode = sqlite::OpenMode::kReadOnly;
  auto table = sqlite::SqliteTable::open(spec.name, options);
  if (!table) return table.error();
  Definition definition = (*table)->definition();
  return ReadableTable{*std::move(table), std::move(definition)};
}

}  // namespace culvert
