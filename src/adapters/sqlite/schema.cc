// SPDX-License-Identifier: Apache-2.0
#include "adapters/sqlite/schema.h"

#include <fmt/format.h>

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/sqlite/schema_sql.h"
#include "adapters/sqlite/sqlite_table.h"

namespace culvert::sqlite {

namespace {

constexpr std::int64_t kApplicationId = 0x43554c56;  // "CULV", in the header of the file

Result<std::int64_t> pragma(const Connection& connection, const char* sql) {
  auto statement = Statement::prepare(connection, sql);
  if (!statement) return statement.error();
  const int code = statement->step();
  if (code != SQLITE_ROW) return connection.error(code, "read its header");
  return statement->number(0);
}

Result<bool> is_empty(const Connection& connection) {
  auto tables = pragma(connection, "SELECT count(*) FROM sqlite_schema");
  if (!tables) return tables.error();
  return *tables == 0;
}

Result<std::string> meta(const Connection& connection, std::string_view name) {
  auto statement = Statement::prepare(connection, "SELECT value FROM meta WHERE name = ?1");
  if (!statement) return statement.error();
  statement->bind_text(1, name);
  const int code = statement->step();
  if (code == SQLITE_ROW) return std::string(statement->text(0));
  if (code != SQLITE_DONE) return connection.error(code, "read its description");
  return Error::fatal(ErrorKind::kData,
                      fmt::format("{}: '{}' is missing in its table 'meta' (did another program change "
                                  "the file? make it anew from the log)",
                                  connection.name(), name));
}

void replace_all(std::string& text, std::string_view mark, std::string_view with) {
  for (auto at = text.find(mark); at != std::string::npos; at = text.find(mark, at + with.size())) {
    text.replace(at, mark.size(), with);
  }
}

std::string schema_for(const Definition& definition) {
  std::string sql = kSchemaSql;
  replace_all(sql, "@KEY_TYPE@", definition.key_type == KeyType::kNumber ? "INTEGER" : "TEXT");
  replace_all(sql, "@VALUE@", definition.value_name);
  return sql;
}

Result<void> create_all(Connection& connection, const Definition& definition) {
  if (auto made = connection.run(schema_for(definition).c_str()); !made) return made;
  const std::vector<std::pair<std::string, std::string>> rows{
      {"schema_version", std::to_string(kSchemaVersion)},
      {"culvert_version", CULVERT_VERSION},
      {"definition", definition_text(definition)},
      {"key_type", definition.key_type == KeyType::kNumber ? "number" : "string"}};
  auto insert = Statement::prepare(connection, "INSERT INTO meta (name, value) VALUES (?1, ?2)");
  if (!insert) return insert.error();
  for (const auto& [name, value] : rows) {
    insert->bind_text(1, name);
    insert->bind_text(2, value);
    if (const int code = insert->step(); code != SQLITE_DONE) return connection.error(code, "write its description");
    insert->reset();
  }
  if (auto id = connection.run(fmt::format("PRAGMA application_id = {}", kApplicationId).c_str()); !id) return id;
  return connection.run(fmt::format("PRAGMA user_version = {}", kSchemaVersion).c_str());
}

// One attempt.  The value is false if another process is at it.
Result<bool> try_create(Connection& connection, const Definition& definition) {
  const auto busy_or = [](const Result<void>& failed) -> Result<bool> {
    return failed.error().retriable ? Result<bool>{false} : Result<bool>{failed.error()};
  };
  auto empty = is_empty(connection);
  if (!empty) return empty;
  if (!*empty) return true;
  // The journal mode cannot be set inside a transaction; SQLite keeps it in the file.
  if (auto wal = connection.run("PRAGMA journal_mode = WAL"); !wal) return busy_or(wal);
  if (auto begun = connection.run("BEGIN IMMEDIATE"); !begun) return busy_or(begun);
  empty = is_empty(connection);
  Result<void> done = empty ? Result<void>{} : Result<void>{empty.error()};
  if (done && *empty) done = create_all(connection, definition);
  if (done) done = connection.run("COMMIT");
  if (connection.in_transaction()) sqlite3_exec(connection.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
  return done ? Result<bool>{true} : busy_or(done);
}

}  // namespace

// SQLite does not wait for a lock when the journal mode is changed, busy timeout or not, so the waiting is done here.
Result<void> create_if_empty(Connection& connection, const Definition& definition) {
  constexpr Millis kPause{20};
  for (Millis waited{0}; waited <= connection.patience()->most; waited += kPause) {
    auto created = try_create(connection, definition);
    if (!created) return created.error();
    if (*created) return {};
    std::this_thread::sleep_for(kPause);
  }
  return connection.error(SQLITE_BUSY, "make its tables");
}

Result<Definition> read_schema(const Connection& connection) {
  auto application = pragma(connection, "PRAGMA application_id");
  if (!application) return application.error();
  if (*application != kApplicationId) {
    if (auto empty = is_empty(connection); empty && *empty) {
      return Error::fatal(ErrorKind::kData,
                          fmt::format("{}: it is empty (start `culvert consume` on it first)", connection.name()));
    }
    return Error::fatal(ErrorKind::kData,
                        fmt::format("{}: it is an SQLite database, but not a culvert table (name another file, or one "
                                    "that `culvert consume` made)",
                                    connection.name()));
  }
  auto version = pragma(connection, "PRAGMA user_version");
  if (!version) return version.error();
  if (*version != kSchemaVersion) {
    const auto writer = meta(connection, "culvert_version");
    return Error::fatal(ErrorKind::kData,
                        fmt::format("{}: it has schema version {}, written by culvert {}; this is culvert {}, which "
                                    "knows version {} (use the culvert that wrote it, or consume into another file)",
                                    connection.name(), *version, writer ? *writer : "of unknown version",
                                    CULVERT_VERSION, kSchemaVersion));
  }
  auto text = meta(connection, "definition");
  if (!text) return text.error();
  auto definition = parse_definition(*text);
  if (!definition) return definition.error().within(connection.name());
  return definition;
}

Result<void> prepare_for_writing(Connection& connection) {
  // SQLite opens a file it may not write for reading, without a word.
  if (sqlite3_db_readonly(connection.handle(), "main") == 1) return connection.error(SQLITE_READONLY, "write it");
  return connection.run(
      "PRAGMA journal_mode = WAL;"
      "PRAGMA synchronous = FULL;"
      "PRAGMA wal_autocheckpoint = 8192;"
      "PRAGMA journal_size_limit = 67108864");
}

}  // namespace culvert::sqlite
