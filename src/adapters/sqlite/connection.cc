// SPDX-License-Identifier: Apache-2.0
#include "adapters/sqlite/connection.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "model/check.h"

namespace culvert::sqlite {

namespace {

// SQLite's URI form of a path: everything but unreserved characters is percent-encoded.
std::string uri_of(const std::filesystem::path& path, std::string_view query) {
  std::string uri = "file:";
  for (const char c : path.string()) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '/' ||
                       c == '.' || c == '_' || c == '-';
    uri += plain ? std::string(1, c) : fmt::format("%{:02X}", byte);
  }
  return fmt::format("{}?{}", uri, query);
}

struct Explanation {
  ErrorKind kind;
  bool retriable;
  std::string_view remedy;
};

Explanation explain(int code) {
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return {ErrorKind::kTryAgain, true, "another process holds the file; end it, or try again"};
    case SQLITE_FULL:
      return {ErrorKind::kIo, false, "make room on its file system and start again; nothing is lost"};
    case SQLITE_IOERR:
      return {ErrorKind::kIo, false, "check the disk and the file system's limits, then start again; nothing is lost"};
    case SQLITE_READONLY:
      return {ErrorKind::kIo, false, "make the file and its folder writable, or name another file"};
    case SQLITE_CANTOPEN:
      return {ErrorKind::kIo, false, "check the path; `culvert consume --table` makes the file, never its folder"};
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return {ErrorKind::kPermission, false, "check the file's permissions"};
    case SQLITE_NOTADB:
      return {ErrorKind::kData, false, "it is no SQLite database: name another file"};
    case SQLITE_CORRUPT:
      return {ErrorKind::kData, false,
              "keep the file for inspection (sqlite3 FILE 'PRAGMA integrity_check'), and make the "
              "table anew from the log: `culvert consume` into another file"};
    case SQLITE_NOMEM:
      return {ErrorKind::kIo, false, "no memory; raise the process's limit"};
    case SQLITE_TOOBIG:
      return {ErrorKind::kData, false, "a value exceeds SQLite's 1 GB; lower --record-bytes-max"};
    default:
      return {ErrorKind::kInternal, false, "this is a bug in culvert, please report it"};
  }
}

// SQLite's own busy handler cannot be ended from another thread.  Zero: give up.
int wait_for_lock(void* patience, int attempts) {
  constexpr int kShortPauses = 20;  // 1 + 2 + .. + 20 ms, then 20 ms each
  const auto& limits = *static_cast<const Patience*>(patience);
  const int shorter = std::min(attempts, kShortPauses);
  const Millis waited{shorter * (shorter + 1) / 2 + (attempts - shorter) * kShortPauses};
  if (limits.over || waited >= limits.most) return 0;
  sqlite3_sleep(std::min(attempts + 1, kShortPauses));
  return 1;
}

// SQLite counts its memory under a lock that every allocation takes; nobody asks for the count, and without it a flush
// is a twelfth faster.  It must be said before the first file is opened.
void count_no_memory() {
  static const int done = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(done);  // refused if somebody else in the process uses SQLite already, and only slower then
}

}  // namespace

Error Connection::error(int code, std::string_view doing) const {
  const int last = handle_ ? sqlite3_extended_errcode(handle_.get()) : code;
  const int extended = (last & 0xff) == (code & 0xff) ? last : code;
  const int system = handle_ ? sqlite3_system_errno(handle_.get()) : 0;
  // SQLite says SQLITE_FULL of the file and its log only; of the shared memory beside them it is an I/O error.
  const bool no_room = (code & 0xff) == SQLITE_IOERR && (system == ENOSPC || system == EDQUOT);
  const Explanation why = explain(no_room ? SQLITE_FULL : code);
  if ((code & 0xff) == SQLITE_CANTOPEN && ::access(path_.c_str(), F_OK) == 0 && ::access(folder().c_str(), W_OK) != 0) {
    // The file is there: it is its log or shared memory that cannot be made, and SQLite speaks of no such file.
    const int reason = errno;
    return Error::fatal(ErrorKind::kIo,
                        fmt::format("{}: cannot {}: folder {}: {} (make the file and its folder writable, or name "
                                    "another file)",
                                    name(), doing, folder().string(), std::strerror(reason)));
  }
  std::string text = sqlite3_errstr(code & 0xff);
  const bool detailed = (code & 0xff) == SQLITE_IOERR || (code & 0xff) == SQLITE_CANTOPEN;
  if (detailed && system != 0) text += fmt::format(", {}", std::strerror(system));
  if (why.kind == ErrorKind::kInternal && handle_) text = sqlite3_errmsg(handle_.get());
  return Error{why.kind, why.retriable,
               fmt::format("{}: cannot {}: {} [SQLite {}] ({})", name(), doing, text, extended, why.remedy)};
}

Result<void> Connection::open_handle(const std::string& name, int flags) {
  count_no_memory();
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(name.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nullptr);
  handle_.reset(handle);
  if (code == SQLITE_CANTOPEN && (flags & SQLITE_OPEN_CREATE) != 0) {
    // SQLite tries again for reading only and then complains of the file that is not there.
    if (::access(folder().c_str(), F_OK) == 0 && ::access(folder().c_str(), W_OK) != 0) {
      return Error{ErrorKind::kIo, false,
                   fmt::format("{}: cannot make the file: {}: {} (make the folder writable, or name a file elsewhere)",
                               this->name(), folder().string(), std::strerror(errno))};
    }
  }
  if (code != SQLITE_OK) return error(code, "open it");
  sqlite3_busy_handler(handle, wait_for_lock, patience_.get());
  // The file comes from outside: nothing in its schema may call functions with side effects or alter the schema.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  return {};
}

Result<void> Connection::probe() {
  const int code = sqlite3_exec(handle_.get(), "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? Result<void>{} : Result<void>{error(code, "read it")};
}

std::optional<Frozen> Connection::look() const {
  struct stat log {};
  if (::stat(log_name().c_str(), &log) == 0 && log.st_size > 0) return std::nullopt;
  struct stat file {};
  if (::stat(path_.c_str(), &file) != 0) return std::nullopt;
  return Frozen{file.st_size, file.st_mtim.tv_sec * 1'000'000'000L + file.st_mtim.tv_nsec};
}

Result<void> Connection::open_frozen() {
  frozen_ = look();
  if (!frozen_) {
    return Error::fatal(ErrorKind::kPermission,
                        fmt::format("{}: cannot read it: its log holds changes, and reading those needs write "
                                    "permission for the folder (run as the user who writes the table, or copy both "
                                    "files elsewhere)",
                                    name()));
  }
  if (auto opened = open_handle(uri_of(path_, "immutable=1"), SQLITE_OPEN_READONLY | SQLITE_OPEN_URI); !opened) {
    return opened;
  }
  return probe();
}

Result<void> Connection::check_unchanged() const {
  if (!frozen_ || look() == frozen_) return {};
  return Error::retriable_error(ErrorKind::kTryAgain,
                                fmt::format("{}: somebody wrote it while it was being read without write permission "
                                            "for its folder (try again)",
                                            name()));
}

Result<void> Connection::check_in_place() const {
  int moved = 0;
  const int code = sqlite3_file_control(handle_.get(), nullptr, SQLITE_FCNTL_HAS_MOVED, &moved);
  if (code != SQLITE_OK) return error(code, "ask whether it is still in its place");
  if (moved == 0) return {};
  return Error::fatal(ErrorKind::kIo,
                      fmt::format("{}: the file was removed, renamed or replaced while it was in use (put it back, or "
                                  "remove {} and -shm and start again: the table is then made anew from the log)",
                                  name(), log_name()));
}

Result<void> Connection::check_log_has_its_file() const {
  // In this order: somebody who makes both at this moment makes the file first.
  struct stat log {};
  const bool holds_changes = ::stat(log_name().c_str(), &log) == 0 && log.st_size > 0;  // a reader leaves an empty one
  if (!holds_changes || ::access(path_.c_str(), F_OK) == 0) return {};
  return Error::fatal(ErrorKind::kIo,
                      fmt::format("{}: the file is not there, but its log {} is (put the file back, or remove {} and "
                                  "-shm to begin anew)",
                                  name(), log_name(), log_name()));
}

Result<Connection> Connection::open_file(const std::filesystem::path& path, Access access, Millis busy_timeout) {
  // Relative names get a folder, so that SQLite sees no special name in them (":memory:", "file:..", none at all).
  Connection connection{path.is_absolute() ? path : std::filesystem::path{"."} / path, busy_timeout};
  if (access == Access::kWriteCreate) {
    if (auto whole = connection.check_log_has_its_file(); !whole) return whole.error();
  }
  // A reader opens for writing too where it may, with query_only: SQLite then removes the shared-memory file it needs.
  const int flags = SQLITE_OPEN_READWRITE | (access == Access::kWriteCreate ? SQLITE_OPEN_CREATE : 0);
  if (auto opened = connection.open_handle(connection.path_.string(), flags); !opened) return opened.error();
  if (access == Access::kRead) {
    const int code = sqlite3_exec(connection.handle(), "SELECT count(*) FROM sqlite_schema", nullptr, nullptr, nullptr);
    const int primary = code & 0xff;
    if (primary == SQLITE_READONLY || primary == SQLITE_CANTOPEN) {
      if (auto frozen = connection.open_frozen(); !frozen) return frozen.error();
    } else if (code != SQLITE_OK) {
      return connection.error(code, "read it");
    }
    if (auto only = connection.run("PRAGMA query_only = ON"); !only) return only.error();
  } else if (auto probed = connection.probe(); !probed) {
    return probed.error();
  }
  if (auto cache = connection.run("PRAGMA cache_size = -32768"); !cache) return cache.error();
  return connection;
}

Result<void> Connection::run(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return {};
  return error(code, std::string("run ") + sql);
}

Result<Statement> Statement::prepare(const Connection& connection, std::string_view sql) {
  Statement statement;
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(connection.handle(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  statement.handle_.reset(handle);
  if (code != SQLITE_OK) return connection.error(code, fmt::format("prepare '{}'", sql));
  return statement;
}

// Binding fails for a wrong index or after a step without reset: a bug; or for lack of memory, which ends us as well.
void Statement::must(int code) { CULVERT_CHECK(code == SQLITE_OK, sqlite3_errstr(code)); }

void Statement::bind_text(int index, std::string_view text) {
  // An empty view may have no address, which SQLite would take for NULL.
  const char* data = text.empty() ? "" : text.data();
  must(sqlite3_bind_text64(handle_.get(), index, data, text.size(), SQLITE_STATIC, SQLITE_UTF8));
}

void Statement::bind_blob(int index, std::string_view bytes) {
  const char* data = bytes.empty() ? "" : bytes.data();
  must(sqlite3_bind_blob64(handle_.get(), index, data, bytes.size(), SQLITE_STATIC));
}

std::string_view Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
  if (data == nullptr) return "";
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

std::string_view Statement::blob(int column) const {
  const auto* data = static_cast<const char*>(sqlite3_column_blob(handle_.get(), column));
  if (data == nullptr) return "";
  return {data, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
}

}  // namespace culvert::sqlite
