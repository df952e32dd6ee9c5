// SPDX-License-Identifier: Apache-2.0
#include "adapters/sqlite/sqlite_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "adapters/sqlite/schema.h"

namespace culvert::sqlite {

namespace {

// Steps a statement that yields no rows.  The value is the number of rows it changed.
Result<int> execute(const Connection& connection, Statement& statement, std::string_view doing) {
  const int code = statement.step();
  if (code != SQLITE_DONE) return connection.error(code, doing);
  return sqlite3_changes(connection.handle());
}

// Calls `visit` with each row until it returns false or an error.
template <class Visit>
Result<void> for_each_row(const Connection& connection, Statement& statement, std::string_view doing, Visit visit) {
  for (;;) {
    const int code = statement.step();
    if (code == SQLITE_DONE) return {};
    if (code != SQLITE_ROW) return connection.error(code, doing);
    const Result<bool> more = visit();
    if (!more) return more.error().within(connection.name());
    if (!*more) return {};
  }
}

FlushResult failed(const FlushRequest& request, PutStatus status, Error error) {
  FlushResult result;
  result.dead_letters = status;
  result.items.assign(request.items.size(), PutOutcome<Image>{status, std::nullopt});
  if (request.checkpoint) result.checkpoint.status = status;
  result.error = std::move(error);
  return result;
}

}  // namespace

Result<std::unique_ptr<SqliteTable>> SqliteTable::open(const std::filesystem::path& path, const OpenOptions& options) {
  CULVERT_CHECK(options.mode != OpenMode::kCreate || options.definition, "a table is created with its definition");
  const Access access = options.mode == OpenMode::kCreate     ? Access::kWriteCreate
                        : options.mode == OpenMode::kExisting ? Access::kWrite
                                                              : Access::kRead;
  auto connection = Connection::open_file(path, access, options.busy_timeout);
  if (!connection) return connection.error();
  if (options.mode == OpenMode::kCreate) {
    if (auto created = create_if_empty(*connection, *options.definition); !created) return created.error();
  }
  auto definition = read_schema(*connection);
  if (!definition) return definition.error();
  if (options.definition && *options.definition != *definition) {
    return Error::fatal(
        ErrorKind::kData,
        fmt::format("{}: it was made with another definition: {} (use the table's own options, or another file)",
                    connection->name(), definition_difference(*definition, *options.definition)));
  }
  const bool writable = options.mode != OpenMode::kReadOnly;
  if (writable) {
    if (auto set = prepare_for_writing(*connection); !set) return set.error();
  }
  std::unique_ptr<SqliteTable> table{new SqliteTable(*std::move(connection), *std::move(definition))};
  if (auto prepared = table->prepare(writable); !prepared) return prepared.error();
  return table;
}

Result<void> SqliteTable::check_writable() {
  const std::scoped_lock lock{mutex_};
  if (auto begun = connection_.run("BEGIN IMMEDIATE"); !begun) return begun;
  auto done = connection_.run("UPDATE items SET device_id = device_id WHERE 0");
  roll_back();
  return done;
}

Result<void> SqliteTable::prepare(bool writable) {
  const auto make = [&](Statement& statement, const std::string& sql) -> Result<void> {
    auto prepared = Statement::prepare(connection_, sql);
    if (!prepared) return prepared.error();
    statement = *std::move(prepared);
    return {};
  };
  writable_ = writable;
  Statements& s = statements_;
  const std::string item_columns = kItemColumns;
  const std::string where = R"( WHERE topic = ?1 AND generation = ?2 AND "partition" = ?3)";
  std::vector<std::pair<Statement*, std::string>> all{
      {&s.select_item, "SELECT " + item_columns + " FROM items WHERE device_id = ?1 AND window_start = ?2"},
      {&s.select_checkpoint, std::string("SELECT ") + kCheckpointColumns + " FROM checkpoints" + where}};
  if (writable) {
    all.insert(
        all.end(),
        {{&s.insert_item,
          "INSERT INTO items (device_id, window_start, window_end, count, sum, sum_squares, min_micro, max_micro, "
          "mean_micro, stddev_micro, fences) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) "
          "ON CONFLICT DO NOTHING"},
         {&s.update_item,
          "UPDATE items SET window_end = ?3, count = ?4, sum = ?5, sum_squares = ?6, min_micro = ?7, max_micro = ?8, "
          "mean_micro = ?9, stddev_micro = ?10, fences = ?11 "
          "WHERE device_id = ?1 AND window_start = ?2 AND fences = ?12"},
         {&s.insert_dead_letter, std::string("INSERT INTO dead_letters (") + kDeadLetterColumns +
                                     ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) ON CONFLICT DO NOTHING"},
         {&s.insert_checkpoint, std::string("INSERT INTO checkpoints (") + kCheckpointColumns +
                                    ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) "
                                    "ON CONFLICT DO NOTHING"},
         {&s.update_checkpoint,
          "UPDATE checkpoints SET start = ?4, next = ?5, ranges = ?6, max_event_time = ?7, max_timestamp = ?8, "
          "records = ?9, folded = ?10, late = ?11, dead_letters = ?12, definition = ?13, emission = ?14, "
          "topic_id = ?15" +
              where + " AND next = ?16 AND ranges = ?17"}});
  }
  for (const auto& [statement, sql] : all) {
    if (auto made = make(*statement, sql); !made) return made;
  }
  return {};
}

FlushResult SqliteTable::flush(const FlushRequest& request) {
  const std::lock_guard lock(mutex_);
  FlushResult result;
  if (request.dead_letters.empty() && request.items.empty() && !request.checkpoint) {
    result.dead_letters = PutStatus::kStored;
    return result;
  }
  // IMMEDIATE takes the write lock at once, so that no read inside the transaction can be overtaken by a writer.
  if (auto begun = connection_.run("BEGIN IMMEDIATE"); !begun) {
    return failed(request, PutStatus::kNotTried, begun.error());
  }
  if (auto written = write_all(request, result); !written) {
    roll_back();
    return failed(request, PutStatus::kNotTried, written.error());
  }
  const int code = sqlite3_exec(connection_.handle(), "COMMIT", nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) {
    // Asked last, so that nothing, Kafka's commit least of all, follows a flush into a file that has lost its name.
    if (auto in_place = connection_.check_in_place(); !in_place) {
      return failed(request, PutStatus::kUnknown, in_place.error());
    }
    return result;
  }
  const Error error = connection_.error(code, "commit");
  // Busy means that COMMIT did not begin.  After any other failure the commit may be found in the log by the next
  // process that opens the file, although this connection has undone it.
  const bool not_begun = (code & 0xff) == SQLITE_BUSY && connection_.in_transaction();
  roll_back();
  return failed(request, not_begun ? PutStatus::kNotTried : PutStatus::kUnknown, error);
}

Result<void> SqliteTable::write_all(const FlushRequest& request, FlushResult& result) {
  for (const DeadLetter& letter : request.dead_letters) {
    if (auto put = put_dead_letter(letter); !put) return put;
  }
  result.dead_letters = PutStatus::kStored;
  result.items.resize(request.items.size());
  bool conflict = false;
  for (std::size_t i = 0; i < request.items.size(); ++i) {
    if (auto put = put_item(request.items[i], result.items[i]); !put) return put;
    conflict = conflict || result.items[i].status == PutStatus::kConflict;
  }
  if (!request.checkpoint || conflict) return {};
  return put_checkpoint(request.where, *request.checkpoint, result.checkpoint);
}

Result<void> SqliteTable::put_dead_letter(const DeadLetter& letter) {
  Statement& statement = statements_.insert_dead_letter;
  const ResetAtExit reset(statement);
  bind_dead_letter(statement, letter);
  const auto changed = execute(connection_, statement, "write a dead letter");
  return changed ? Result<void>{} : Result<void>{changed.error()};
}

void SqliteTable::check_key(const ItemKey& key) const {
  CULVERT_CHECK(key.device.type() == definition_.key_type, "a device of the other key type came past the decoder");
}

Result<void> SqliteTable::put_item(const ItemPut& put, PutOutcome<Image>& outcome) {
  check_key(put.key);
  Statement& statement = put.expected ? statements_.update_item : statements_.insert_item;
  {
    const ResetAtExit reset(statement);
    bind_item(statement, put, texts_);
    if (put.expected) {
      texts_.expected = fences_text(*put.expected);
      statement.bind_text(12, texts_.expected);
    }
    const auto changed = execute(connection_, statement, "write an item");
    if (!changed) return changed.error();
    if (*changed == 1) {
      outcome.status = PutStatus::kStored;
      return {};
    }
  }
  auto current = select_image(put.key);
  if (!current) return current.error();
  outcome = {PutStatus::kConflict, *std::move(current)};
  return {};
}

Result<void> SqliteTable::put_checkpoint(const StreamPartition& where, const CheckpointPut& put,
                                         PutOutcome<Checkpoint>& outcome) {
  Statement& statement = put.expected ? statements_.update_checkpoint : statements_.insert_checkpoint;
  CheckpointTexts texts;
  {
    const ResetAtExit reset(statement);
    bind_where(statement, where);
    bind_checkpoint(statement, put.desired, texts);
    if (put.expected) {
      texts.expected_ranges = ranges_text(put.expected->ranges);
      statement.bind(16, put.expected->next.value());
      statement.bind_text(17, texts.expected_ranges);
    }
    const auto changed = execute(connection_, statement, "write a checkpoint");
    if (!changed) return changed.error();
    if (*changed == 1) {
      outcome.status = PutStatus::kStored;
      return {};
    }
  }
  auto current = select_checkpoint(where);
  if (!current) return current.error();
  outcome = {PutStatus::kConflict, *std::move(current)};
  return {};
}

Result<void> SqliteTable::follow_name() {
  if (writable_ || connection_.check_in_place()) return {};
  OpenOptions options{.mode = OpenMode::kReadOnly, .definition = definition_, .busy_timeout = patience_->most};
  auto now = open(connection_.path(), options);
  if (!now) return now.error();
  statements_ = std::move((*now)->statements_);
  connection_ = std::move((*now)->connection_);
  return {};
}

void SqliteTable::roll_back() {
  if (!connection_.in_transaction()) return;
  // It can only fail by I/O, and then the next process to open the file finds no commit mark and undoes it.
  sqlite3_exec(connection_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

Result<std::optional<Image>> SqliteTable::select_image(const ItemKey& key) {
  Statement& statement = statements_.select_item;
  const ResetAtExit reset(statement);
  bind_key(statement, key);
  std::optional<Image> image;
  auto read = for_each_row(connection_, statement, "read an item", [&]() -> Result<bool> {
    auto item = read_item(statement, definition_.key_type);
    if (!item) return item.error();
    image = std::move(item->image);
    return false;
  });
  if (!read) return read.error();
  return image;
}

Result<std::optional<Checkpoint>> SqliteTable::select_checkpoint(const StreamPartition& where) {
  Statement& statement = statements_.select_checkpoint;
  const ResetAtExit reset(statement);
  bind_where(statement, where);
  std::optional<Checkpoint> checkpoint;
  auto read = for_each_row(connection_, statement, "read a checkpoint", [&]() -> Result<bool> {
    auto found = read_checkpoint(statement);
    if (!found) return found.error();
    checkpoint = std::move(found->checkpoint);
    return false;
  });
  if (!read) return read.error();
  return checkpoint;
}

Result<std::vector<std::optional<Image>>> SqliteTable::load(std::span<const ItemKey> keys) {
  const std::lock_guard lock(mutex_);
  if (auto begun = connection_.run("BEGIN"); !begun) return begun.error();
  std::vector<std::optional<Image>> images;
  images.reserve(keys.size());
  for (const ItemKey& key : keys) {
    check_key(key);
    auto image = select_image(key);
    if (!image) {
      roll_back();
      return image.error();
    }
    images.push_back(*std::move(image));
  }
  if (auto ended = connection_.run("COMMIT"); !ended) {
    roll_back();
    return ended.error();
  }
  return images;
}

Result<std::optional<Checkpoint>> SqliteTable::load_checkpoint(const StreamPartition& where) {
  const std::lock_guard lock(mutex_);
  return select_checkpoint(where);
}

Result<void> SqliteTable::scan_items(const ItemFilter& filter, const std::function<bool(const StoredItem&)>& visit) {
  const std::lock_guard lock(mutex_);
  if (auto there = follow_name(); !there) return there.error();
  const std::string columns = kItemColumns;
  // One device: step from window to window by the key's first part instead of reading every row.
  const std::string one_device =
      "WITH RECURSIVE starts(s) AS (SELECT min(window_start) FROM items WHERE window_start >= ?1 AND window_start < ?2 "
      "UNION ALL SELECT (SELECT min(window_start) FROM items WHERE window_start > s AND window_start < ?2) FROM starts "
      "WHERE s IS NOT NULL) SELECT " +
      columns + " FROM starts CROSS JOIN items ON window_start = s AND device_id = ?3 ORDER BY window_start";
  const std::string all_devices = "SELECT " + columns +
                                  " FROM items WHERE window_start >= ?1 AND window_start < ?2 "
                                  "ORDER BY device_id, window_start";
  auto statement = Statement::prepare(connection_, filter.device ? one_device : all_devices);
  if (!statement) return statement.error();
  statement->bind(1, filter.from ? filter.from->value() : std::numeric_limits<std::int64_t>::min());
  statement->bind(2, filter.to ? filter.to->value() : std::numeric_limits<std::int64_t>::max());
  if (filter.device) {
    // No item can have a device of the other type.
    if (filter.device->type() != definition_.key_type) return {};
    const DeviceRef device = filter.device->ref();
    if (device.type() == KeyType::kNumber) {
      statement->bind(3, device.number());
    } else {
      statement->bind_text(3, device.text());
    }
  }
  auto read = for_each_row(connection_, *statement, "read its items", [&]() -> Result<bool> {
    auto item = read_item(*statement, definition_.key_type);
    if (!item) return item.error();
    return visit(*item);
  });
  return read ? connection_.check_unchanged() : read;
}

Result<std::int64_t> SqliteTable::count_items(const ItemFilter& filter) {
  const std::lock_guard lock(mutex_);
  if (auto there = follow_name(); !there) return there.error();
  auto statement =
      Statement::prepare(connection_, "SELECT count(*) FROM items WHERE window_start >= ?1 AND window_start < ?2");
  if (!statement) return statement.error();
  statement->bind(1, filter.from ? filter.from->value() : std::numeric_limits<std::int64_t>::min());
  statement->bind(2, filter.to ? filter.to->value() : std::numeric_limits<std::int64_t>::max());
  const int code = statement->step();
  if (code != SQLITE_ROW) return connection_.error(code, "count its items");
  return statement->number(0);
}

Result<std::vector<PartitionCheckpoint>> SqliteTable::checkpoints() {
  const std::lock_guard lock(mutex_);
  if (auto there = follow_name(); !there) return there.error();
  auto statement = Statement::prepare(connection_, std::string("SELECT ") + kCheckpointColumns +
                                                       R"( FROM checkpoints ORDER BY topic, generation, "partition")");
  if (!statement) return statement.error();
  std::vector<PartitionCheckpoint> all;
  auto read = for_each_row(connection_, *statement, "read its checkpoints", [&]() -> Result<bool> {
    auto found = read_checkpoint(*statement);
    if (!found) return found.error();
    all.push_back(*std::move(found));
    return true;
  });
  if (read) read = connection_.check_unchanged();
  if (!read) return read.error();
  return all;
}

Result<void> SqliteTable::scan_dead_letters(const std::function<bool(const DeadLetter&)>& visit) {
  const std::lock_guard lock(mutex_);
  if (auto there = follow_name(); !there) return there.error();
  auto statement =
      Statement::prepare(connection_, std::string("SELECT ") + kDeadLetterColumns +
                                          R"( FROM dead_letters ORDER BY topic, generation, "partition", "offset")");
  if (!statement) return statement.error();
  auto read = for_each_row(connection_, *statement, "read its dead letters", [&]() -> Result<bool> {
    const auto letter = read_dead_letter(*statement);
    if (!letter) return letter.error();
    return visit(*letter);
  });
  return read ? connection_.check_unchanged() : read;
}

}  // namespace culvert::sqlite
