// SPDX-License-Identifier: Apache-2.0
// The thinnest wrapper of SQLite's C API that closes what it opened and turns result codes into Errors.
//
// Flow    SqliteTable -> [Connection, Statement] -> the file.
// Owner   SqliteTable holds one Connection and its Statements; not thread-safe, the table serialises.
// Time    a lock held by another process is waited for, at most `busy_timeout`; then the error is retriable.
// Bounds  page cache of 32 MiB; see open_file().
// See     docs/formats.md: SQLite schema.
#pragma once

#include <sqlite3.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "model/result.h"
#include "model/time.h"

namespace culvert::sqlite {

enum class Access : std::uint8_t {
  kWriteCreate,  // the file is made if it is not there
  kWrite,
  kRead,  // nothing is changed; works while another process writes, and on a read-only file system
};

// A file nobody can write while we read it (read-only directory, no log beside it): read without any locking.  What it
// looked like at opening, so that a writer who comes after all is noticed instead of being half seen.
struct Frozen {
  std::int64_t size = 0;
  std::int64_t modified_ns = 0;
  friend bool operator==(const Frozen&, const Frozen&) = default;
};

// How long a lock of another process is waited for.
struct Patience {
  explicit Patience(Millis longest) : most(longest) {}
  const Millis most;
  std::atomic<bool> over{false};  // set from any thread: nothing is waited for any more
};

class Connection {
 public:
  [[nodiscard]] static Result<Connection> open_file(const std::filesystem::path& path, Access access,
                                                    Millis busy_timeout);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] const std::shared_ptr<Patience>& patience() const { return patience_; }
  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }
  // Runs one or more statements whose rows nobody reads.
  [[nodiscard]] Result<void> run(const char* sql);
  // The error of a result code, as `table 'sqlite:PATH': cannot DO: why (remedy)`.
  [[nodiscard]] Error error(int code, std::string_view doing) const;
  [[nodiscard]] bool in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }
  // Error (retriable) if the file was read without locks and has changed since.
  [[nodiscard]] Result<void> check_unchanged() const;
  // Error (fatal) if the name no longer leads to the file that is open: removed, renamed, or another one in its place.
  [[nodiscard]] Result<void> check_in_place() const;
  [[nodiscard]] std::string name() const { return "table 'sqlite:" + path_.string() + "'"; }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  Connection(std::filesystem::path path, Millis busy_timeout)
      : path_(std::move(path)), patience_(std::make_shared<Patience>(busy_timeout)) {}
  [[nodiscard]] Result<void> open_handle(const std::string& name, int flags);
  // Reads the schema once: only then does SQLite look at the file and its log.
  [[nodiscard]] Result<void> probe();
  [[nodiscard]] Result<void> open_frozen();
  [[nodiscard]] std::optional<Frozen> look() const;
  // A log that was left behind belongs to another file than the one that would be made now.
  [[nodiscard]] Result<void> check_log_has_its_file() const;
  [[nodiscard]] std::string log_name() const { return path_.string() + "-wal"; }
  [[nodiscard]] std::filesystem::path folder() const { return path_.has_parent_path() ? path_.parent_path() : "."; }

  std::filesystem::path path_;
  std::shared_ptr<Patience> patience_;  // outlives the handle, which asks it
  std::unique_ptr<sqlite3, Close> handle_;
  std::optional<Frozen> frozen_;
};

// A prepared statement.  bind() counts from 1 and borrows text and blobs until the next reset().
class Statement {
 public:
  Statement() = default;
  [[nodiscard]] static Result<Statement> prepare(const Connection& connection, std::string_view sql);

  void bind(int index, std::int64_t value) { must(sqlite3_bind_int64(handle_.get(), index, value)); }
  void bind_text(int index, std::string_view text);
  void bind_blob(int index, std::string_view bytes);
  void bind_null(int index) { must(sqlite3_bind_null(handle_.get(), index)); }

  // SQLITE_ROW, SQLITE_DONE or an error code.
  [[nodiscard]] int step() { return sqlite3_step(handle_.get()); }
  void reset() { sqlite3_reset(handle_.get()); }

  [[nodiscard]] int type(int column) const { return sqlite3_column_type(handle_.get(), column); }
  [[nodiscard]] bool null(int column) const { return type(column) == SQLITE_NULL; }
  [[nodiscard]] std::int64_t number(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  // Valid until the next step() or reset().
  [[nodiscard]] std::string_view text(int column) const;
  [[nodiscard]] std::string_view blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* handle) const { sqlite3_finalize(handle); }
  };
  static void must(int code);

  std::unique_ptr<sqlite3_stmt, Finalize> handle_;
};

// Leaves the statement ready for its next use, however the scope ends.
class ResetAtExit {
 public:
  explicit ResetAtExit(Statement& statement) : statement_(statement) {}
  ResetAtExit(const ResetAtExit&) = delete;
  ResetAtExit& operator=(const ResetAtExit&) = delete;
  ~ResetAtExit() { statement_.reset(); }

 private:
  Statement& statement_;
};

}  // namespace culvert::sqlite
