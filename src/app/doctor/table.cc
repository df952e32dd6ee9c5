// SPDX-License-Identifier: Apache-2.0
#include "app/doctor/table.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

#include "adapters/dynamodb/dynamodb_table.h"
#include "adapters/sqlite/sqlite_table.h"
#include "app/options/dynamodb_options.h"
#include "app/table/table.h"

namespace culvert {

struct DoctorTable::Tables {
  std::unique_ptr<dynamodb::DynamoDbTable> table;
  KeyType key_type = KeyType::kNumber;
};

DoctorTable::DoctorTable(TableSpec spec, std::optional<Definition> wanted, Millis timeout, const Clock& clock)
    : spec_(std::move(spec)), wanted_(std::move(wanted)), timeout_(timeout), clock_(clock) {}

DoctorTable::~DoctorTable() = default;

Finding DoctorTable::look() { return spec_.kind == TableKind::kSqlite ? look_at_file() : look_at_tables(); }
Finding DoctorTable::write() { return spec_.kind == TableKind::kSqlite ? write_to_file() : write_to_tables(); }

Finding DoctorTable::described(const Definition& definition) {
  const std::string windows =
      definition.kind == WindowKind::kHopping
          ? fmt::format("windows of {} every {}", format_duration(definition.size), format_duration(definition.advance))
          : fmt::format("windows of {}", format_duration(definition.size));
  return Finding::passed(fmt::format("{}: {}, devices are {}; {} checkpoint{}", table_name(spec_), windows,
                                     definition.key_type == KeyType::kNumber ? "numbers" : "strings",
                                     checkpoints_.size(), checkpoints_.size() == 1 ? "" : "s"));
}

// ---- SQLite ---------------------------------------------------------------------------------------------------------

Finding DoctorTable::look_at_file() {
  const std::filesystem::path path(spec_.name);
  std::error_code failed;
  if (!std::filesystem::exists(path, failed) && !failed) {
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    if (!std::filesystem::is_directory(folder, failed)) {
      return Finding::failed(ErrorKind::kIo,
                             fmt::format("{}: there is no folder {}", table_name(spec_), folder.string()),
                             {{"", "make the folder, or correct the path"}});
    }
    return Finding::passed(fmt::format("{} is not there yet: consume makes it", table_name(spec_)));
  }
  sqlite::OpenOptions options;
  options.mode = sqlite::OpenMode::kReadOnly;
  options.definition = wanted_;
  options.busy_timeout = timeout_;
  auto table = sqlite::SqliteTable::open(path, options);
  if (!table) return Finding::of(table.error());
  auto checkpoints = (*table)->checkpoints();
  if (!checkpoints) return Finding::of(checkpoints.error());
  checkpoints_ = *std::move(checkpoints);
  return described((*table)->definition());
}

Finding DoctorTable::write_to_file() {
  const std::filesystem::path path(spec_.name);
  std::error_code failed;
  if (!std::filesystem::exists(path, failed) && !failed) {
    const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    if (::access(folder.c_str(), W_OK | X_OK) == 0)
      return Finding::passed(fmt::format("folder {} is writable", folder.string()));
    return Finding::failed(ErrorKind::kIo, fmt::format("folder {} is not writable for this user", folder.string()),
                           {{"", "choose another folder, or give this user write permission"}});
  }
  sqlite::OpenOptions options;
  options.mode = sqlite::OpenMode::kExisting;
  options.busy_timeout = timeout_;
  auto table = sqlite::SqliteTable::open(path, options);
  if (!table) return Finding::of(table.error());
  if (auto writable = (*table)->check_writable(); !writable) return Finding::of(writable.error());
  return Finding::passed("the file can be locked for writing; nothing was changed");
}

// ---- DynamoDB -------------------------------------------------------------------------------------------------------

Finding DoctorTable::look_at_tables() {
  auto options = dynamodb_options(spec_);
  options.flush_deadline = std::chrono::milliseconds{timeout_.count()};
  options.request_timeout = options.flush_deadline;
  auto table = dynamodb::DynamoDbTable::open(std::move(options), clock_);
  if (!table) return Finding::of(table.error());
  if (auto prepared = (*table)->prepare(); !prepared) return Finding::of(prepared.error());
  const std::optional<KeyType> key_type = wanted_ ? std::optional(wanted_->key_type) : std::nullopt;
  if (auto checked = (*table)->check_tables(key_type); !checked) return Finding::of(checked.error());
  auto definition = (*table)->definition();
  if (!definition) return Finding::of(definition.error());
  // A new table has only its key to say what devices are.
  const bool numbers = key_type ? *key_type == KeyType::kNumber : (*table)->check_tables(KeyType::kNumber).ok();
  tables_ = std::make_unique<Tables>(Tables{*std::move(table), numbers ? KeyType::kNumber : KeyType::kString});
  if (!*definition) return Finding::passed(fmt::format("{} is there, with the right keys, and new", table_name(spec_)));
  tables_->key_type = (*definition)->key_type;
  if (wanted_ && *wanted_ != **definition) {
    return Finding::failed(ErrorKind::kData,
                           fmt::format("{} was made with another definition: {}", table_name(spec_),
                                       definition_difference(**definition, *wanted_)),
                           {{"", "use the table's own options, or another table"}});
  }
  tables_->table->set_value_name((*definition)->value_name);
  auto checkpoints = tables_->table->checkpoints();
  if (!checkpoints) return Finding::of(checkpoints.error());
  checkpoints_ = *std::move(checkpoints);
  return described(**definition);
}

Finding DoctorTable::write_to_tables() {
  if (auto writable = tables_->table->check_writable(tables_->key_type); !writable) {
    if (writable.error().kind != ErrorKind::kPermission) return Finding::of(writable.error());
    Finding finding = Finding::of(writable.error());
    finding.causes = {
        {"the identity's policy does not permit dynamodb:PutItem on this table",
         "grant GetItem, BatchGetItem, Query and PutItem on the three tables (infra/modules/aggregate_table "
         "gives a policy)"},
        {"the table's KMS key does not admit this identity", "grant kms:Decrypt on the table's key"}};
    return finding;
  }
  return Finding::passed("puts into all three tables are permitted; nothing was changed");
}

}  // namespace culvert
