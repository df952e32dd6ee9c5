// SPDX-License-Identifier: Apache-2.0
// A disk that fails at every possible place: the table is afterwards as before the flush or as after it, and the flush
// said which of the two, or that it does not know.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "adapters/sqlite/faulty_vfs.h"
#include "adapters/sqlite/sqlite_table.h"
#include "adapters/sqlite/test_table.h"

namespace culvert::sqlite {
namespace {

// A flush whose rows span several pages, so that it can fail in between.
FlushRequest flush_to(std::int64_t next, std::optional<std::int64_t> from) {
  FlushRequest request{kWhere, {}, {}, CheckpointPut{checkpoint_at(next), {}}};
  if (from) request.checkpoint->expected = checkpoint_at(*from);
  for (std::int64_t device = 0; device < 200; ++device) {
    request.items.push_back(item_put(key_of(device), image_of(next, next), {}));
    if (from) request.items.back().expected = fences_at(*from);
  }
  request.dead_letters.push_back(
      {kWhere, Offset{next}, {}, DeadLetterReason::kNotJson, "", {}, std::string(20'000, 'x')});
  return request;
}

// The `next` of everything in the table, which must all agree.
std::int64_t state_of(const std::filesystem::path& path) {
  const auto table = open_table(path, OpenMode::kExisting);
  const auto checkpoint = table->load_checkpoint(kWhere).value();
  const std::int64_t next = checkpoint ? checkpoint->next.value() : 0;
  const auto items = all_items(*table);
  EXPECT_EQ(items.size(), next == 0 ? 0U : 200U);
  for (const StoredItem& item : items) EXPECT_EQ(item.image, image_of(next, next));
  EXPECT_EQ(all_dead_letters(*table).size(), static_cast<std::size_t>(next));
  auto connection = Connection::open_file(path, Access::kRead, Millis{1000});
  auto check = Statement::prepare(*connection, "PRAGMA integrity_check");
  EXPECT_EQ(check->step(), SQLITE_ROW);
  EXPECT_EQ(check->text(0), "ok");
  return next;
}

struct Case {
  FaultyVfs::Fault fault;
  FaultyVfs::Lasting lasting;
};

class DiskFault : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Kinds, DiskFault,
                         testing::Values(Case{FaultyVfs::Fault::kFull, FaultyVfs::Lasting::kOnce},
                                         Case{FaultyVfs::Fault::kFull, FaultyVfs::Lasting::kForGood},
                                         Case{FaultyVfs::Fault::kIoError, FaultyVfs::Lasting::kOnce},
                                         Case{FaultyVfs::Fault::kIoError, FaultyVfs::Lasting::kForGood}));

TEST_P(DiskFault, AtAnyWriteLeavesTheTableAsTheFlushSaid) {
  FaultyVfs disk;
  int unknown = 0;
  bool fired = true;
  for (int n = 1; fired; ++n) {
    ASSERT_LT(n, 200) << "the sweep does not end";
    const TempFolder folder;
    const auto path = folder / "t.sqlite";
    FlushResult result;
    {
      auto table = open_table(path);
      ASSERT_FALSE(table->flush(flush_to(1, {})).error);
      disk.arm(n, GetParam().fault, GetParam().lasting);
      result = table->flush(flush_to(2, 1));
    }  // closing folds the log back into the file, on the failing disk
    fired = disk.fired();
    disk.disarm();
    const std::int64_t next = state_of(path);
    if (!result.error) {
      EXPECT_EQ(next, 2) << "write " << n << ": stored, but it is not there";
      continue;
    }
    EXPECT_FALSE(result.error->retriable);
    EXPECT_EQ(result.error->kind, ErrorKind::kIo) << result.error->message;
    const PutStatus status = result.checkpoint.status;
    EXPECT_EQ(result.items.front().status, status);
    EXPECT_EQ(result.dead_letters, status);
    if (status == PutStatus::kUnknown) {
      ++unknown;
      EXPECT_TRUE(next == 1 || next == 2);
    } else {
      EXPECT_EQ(status, PutStatus::kNotTried);
      EXPECT_EQ(next, 1) << "write " << n << ": not tried, but it is there";
    }
  }
  EXPECT_GT(unknown, 0) << "no fault hit a commit";
}

TEST(DiskFaultAfterwards, TheSameTableGoesOnOnceThereIsRoom) {
  FaultyVfs disk;
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  ASSERT_FALSE(table->flush(flush_to(1, {})).error);
  disk.arm(1, FaultyVfs::Fault::kFull, FaultyVfs::Lasting::kForGood);
  EXPECT_TRUE(table->flush(flush_to(2, 1)).error);
  disk.disarm();
  EXPECT_FALSE(table->flush(flush_to(2, 1)).error);
  EXPECT_EQ(state_of(folder / "t.sqlite"), 2);
}

// What a flush stores in a file without a name is lost with the process: nothing may be built on it.
TEST(TableFile, RemovedWhileItIsOpenIsAFatalErrorOfTheNextFlush) {
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  ASSERT_FALSE(table->flush(flush_to(1, {})).error);
  std::filesystem::remove(folder / "t.sqlite");
  const FlushResult result = table->flush(flush_to(2, 1));
  ASSERT_TRUE(result.error);
  EXPECT_FALSE(result.error->retriable);
  EXPECT_EQ(result.error->kind, ErrorKind::kIo);
  EXPECT_NE(result.error->message.find("removed, renamed or replaced while it was in use"), std::string::npos)
      << result.error->message;
  EXPECT_EQ(result.checkpoint.status, PutStatus::kUnknown);
  EXPECT_EQ(result.items.front().status, PutStatus::kUnknown);
}

TEST(TableFile, ReaderFollowsItsNameToTheTableThatIsMadeAnew) {
  const TempFolder folder;
  const auto path = folder / "t.sqlite";
  ASSERT_FALSE(open_table(path)->flush(flush_to(2, {})).error);
  const auto reader = open_table(path, OpenMode::kReadOnly);
  EXPECT_EQ(all_items(*reader).size(), 200U);
  std::filesystem::remove(path);
  const auto gone = reader->checkpoints();
  ASSERT_FALSE(gone.ok()) << "what has no name any more is not the table";
  EXPECT_EQ(gone.error().kind, ErrorKind::kIo);
  EXPECT_NE(gone.error().message.find("No such file or directory"), std::string::npos) << gone.error().message;
  {
    const auto anew = open_table(path);
    EXPECT_EQ(all_items(*reader).size(), 0U);
    ASSERT_FALSE(anew->flush(flush_to(1, {})).error);
    EXPECT_EQ(all_items(*reader).size(), 200U);
    EXPECT_EQ(reader->checkpoints()->front().checkpoint.next, Offset{1});
    EXPECT_EQ(all_dead_letters(*reader).size(), 1U);
    EXPECT_EQ(*reader->count_items({}), 200);
  }
  for (const char* name : {"t.sqlite", "t.sqlite-wal", "t.sqlite-shm"}) std::filesystem::remove(folder / name);
  Definition other;
  other.size = other.advance = Millis{7'000};
  open_table(path, OpenMode::kCreate, other);
  const auto changed = reader->scan_items({}, [](const StoredItem&) { return true; });
  ASSERT_FALSE(changed.ok());
  EXPECT_EQ(changed.error().kind, ErrorKind::kData);
}

// As after a kill -9 and an `rm` of the file alone.  SQLite would say "disk I/O error".
TEST(TableFile, IsNotMadeBesideTheLogOfAnother) {
  const TempFolder folder;
  const auto path = folder / "t.sqlite";
  const auto table = open_table(path);
  ASSERT_FALSE(table->flush(flush_to(1, {})).error);
  std::filesystem::remove(path);
  OpenOptions options;
  options.definition = Definition{};
  const auto refused = SqliteTable::open(path, options);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().kind, ErrorKind::kIo);
  EXPECT_FALSE(refused.error().retriable);
  EXPECT_NE(refused.error().message.find("the file is not there, but its log"), std::string::npos)
      << refused.error().message;
  EXPECT_FALSE(std::filesystem::exists(path)) << "refused before anything is made";
  std::filesystem::remove(folder / "t.sqlite-wal");
  std::filesystem::remove(folder / "t.sqlite-shm");
  EXPECT_TRUE(SqliteTable::open(path, options).ok());
}

TEST(TableFile, ReplacedWhileItIsOpenIsAFatalErrorAndTheOtherFileIsLeftAlone) {
  const TempFolder folder;
  const auto path = folder / "t.sqlite";
  auto table = open_table(path);
  ASSERT_FALSE(table->flush(flush_to(1, {})).error);
  std::filesystem::rename(path, folder / "kept.sqlite");
  std::ofstream(path) << "somebody else's";
  EXPECT_TRUE(table->flush(flush_to(2, 1)).error);
  table.reset();
  std::string text;
  std::getline(std::ifstream(path), text);
  EXPECT_EQ(text, "somebody else's");
}

TEST(Durability, EveryFlushSyncsTheLog) {
  FaultyVfs disk;
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  for (std::int64_t next = 1; next < 5; ++next) {
    const int before = disk.log_syncs();
    ASSERT_FALSE(table->flush(flush_to(next, next == 1 ? std::nullopt : std::optional(next - 1))).error);
    EXPECT_GT(disk.log_syncs(), before);
  }
}

}  // namespace
}  // namespace culvert::sqlite
