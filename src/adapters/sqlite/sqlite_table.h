// SPDX-License-Identifier: Apache-2.0
// The aggregate table in one SQLite file.
//
// Flow    FlushRequest -> [SqliteTable] -> one transaction: dead letters, items, checkpoint.
// Owner   a command holds one per process; calls from several threads are serialised.  Several processes may hold the
//         same file: SQLite's lock orders their transactions, the fences decide what each may write.
// Time    a lock of another process is waited for, at most OpenOptions::busy_timeout, then the error is retriable.
// Bounds  page cache 32 MiB; the write-ahead log is folded back every 8192 pages (32 MiB) and cut to 64 MiB, unless a
// reader
//         holds an old view of it, for as long as its scan takes.
// See     schema.sql, docs/formats.md.
//
// Durability.  The log is synced at every commit (synchronous=FULL).  NORMAL would be consistent as well, because items
// and checkpoint are lost together and a daemon then reads again from the older checkpoint; but when the *first*
// checkpoint is the one that is lost, `--start latest` would begin anew at the log's end of that day, and records whose
// Kafka commit was already made would never be folded.  One sync a flush is what it costs not to have that case.
//
// Outcomes.  Everything before COMMIT is undone on an error, so its writes are kNotTried.  A COMMIT that fails with an
// I/O error may have reached the disk: kUnknown, and the error is fatal.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>

#include "adapters/sqlite/connection.h"
#include "adapters/sqlite/rows.h"
#include "pipeline/ports.h"

namespace culvert::sqlite {

inline constexpr int kSchemaVersion = 1;

enum class OpenMode : std::uint8_t {
  kCreate,    // makes the file, or opens the one that is there
  kExisting,  // opens for writing; error if it is not there
  kReadOnly,  // opens for reading, also while others write
};

struct OpenOptions {
  OpenMode mode = OpenMode::kCreate;
  // Required with kCreate.  Where given, a table of another definition is refused (kData) with the differences.
  std::optional<Definition> definition;
  Millis busy_timeout{10'000};
};

class SqliteTable final : public AggregateTable, public TableReader {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SqliteTable>> open(const std::filesystem::path& path,
                                                                 const OpenOptions& options);

  // What the table was made with.
  [[nodiscard]] const Definition& definition() const { return definition_; }

  // Takes the lock that a flush takes, changes nothing, and gives it back.  Not for a table opened for reading.
  [[nodiscard]] Result<void> check_writable();

  FlushResult flush(const FlushRequest& request) override;
  Result<std::vector<std::optional<Image>>> load(std::span<const ItemKey> keys) override;
  Result<std::optional<Checkpoint>> load_checkpoint(const StreamPartition& where) override;

  // Locks of other processes are not waited for any more.
  void interrupt() override { patience_->over = true; }

  // Each scan sees one state of the table, that of its first row.  `visit` must not call the table.
  Result<void> scan_items(const ItemFilter& filter, const std::function<bool(const StoredItem&)>& visit) override;
  Result<std::vector<PartitionCheckpoint>> checkpoints() override;
  Result<void> scan_dead_letters(const std::function<bool(const DeadLetter&)>& visit) override;

  // Of all devices, in `filter`'s range of time.  Reads the range once.
  [[nodiscard]] Result<std::int64_t> count_items(const ItemFilter& filter);

 private:
  struct Statements {
    Statement insert_item, update_item, select_item;
    Statement insert_dead_letter;
    Statement insert_checkpoint, update_checkpoint, select_checkpoint;
  };

  SqliteTable(Connection connection, Definition definition)
      : patience_(connection.patience()), connection_(std::move(connection)), definition_(std::move(definition)) {}
  [[nodiscard]] Result<void> prepare(bool writable);

  // Each returns nothing but the error that ends the transaction.
  [[nodiscard]] Result<void> write_all(const FlushRequest& request, FlushResult& result);
  [[nodiscard]] Result<void> put_dead_letter(const DeadLetter& letter);
  [[nodiscard]] Result<void> put_item(const ItemPut& put, PutOutcome<Image>& outcome);
  [[nodiscard]] Result<void> put_checkpoint(const StreamPartition& where, const CheckpointPut& put,
                                            PutOutcome<Checkpoint>& outcome);
  [[nodiscard]] Result<std::optional<Image>> select_image(const ItemKey& key);
  [[nodiscard]] Result<std::optional<Checkpoint>> select_checkpoint(const StreamPartition& where);
  // A table opened for reading goes on with the file that its name leads to now: a dashboard outlives a table that is
  // made anew.  Error if there is none, or one of another definition.
  [[nodiscard]] Result<void> follow_name();
  // Undoes what is open, if SQLite has not done so itself.
  void roll_back();
  void check_key(const ItemKey& key) const;

  const std::shared_ptr<Patience> patience_;  // of the connection it was made with; a reader waits for no lock
  std::mutex mutex_;
  Connection connection_;
  Definition definition_;
  bool writable_ = false;
  Statements statements_;
  ItemTexts texts_;  // of the item being written; kept for its memory
};

}  // namespace culvert::sqlite
