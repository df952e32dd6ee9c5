// SPDX-License-Identifier: Apache-2.0
// The options that say which table, for every command and for the function alike.
//
// Flow    command line, file, environment -> OptionSet -> [TableOptions] -> TableSpec -> app/table/table.h.
// Owner   the command or the function's role; it must outlive the OptionSet.
// Time    none.
// Bounds  none of its own: the adapters judge names.
// See     docs/formats.md: tables.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "app/options/option_set.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert {

enum class TableKind : std::uint8_t { kSqlite, kDynamoDb };

struct TableSpec {
  TableKind kind = TableKind::kSqlite;
  std::string name;  // file or table
  // DynamoDB only; what is empty comes from the environment, or follows from the name.
  std::string checkpoints_table{};
  std::string dead_letters_table{};
  std::string region{};
  std::string endpoint_url{};
  bool create = false;
  std::optional<Millis> expire_after{};
};

// `sqlite:FILE` or `dynamodb:NAME`.
[[nodiscard]] Result<TableSpec> parse_table_spec(std::string_view text);

enum class TableUse : std::uint8_t {
  kRead,
  kWrite,
  kFunction,  // writes into tables that exist: its policy could make none
};

class TableOptions {
 public:
  TableOptions() = default;
  TableOptions(const TableOptions&) = delete;
  TableOptions& operator=(const TableOptions&) = delete;
  ~TableOptions() = default;

  // Required unless a default is given.  With kWrite and kFunction also what only a table that is written has.
  void declare(OptionSet& options, TableUse use, std::string_view default_table = {});
  [[nodiscard]] const TableSpec& table() const { return table_; }

 private:
  void declare_dynamodb(OptionSet& options, TableUse use);

  TableSpec table_;
};

}  // namespace culvert
