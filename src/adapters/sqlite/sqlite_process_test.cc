// SPDX-License-Identifier: Apache-2.0
// Several real processes on one file, and processes that die in the middle.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <future>
#include <random>
#include <string_view>
#include <thread>

#include "adapters/sqlite/sqlite_table.h"
#include "adapters/sqlite/test_table.h"

namespace culvert::sqlite {
namespace {

// A child process that runs `body` and exits with its result; killed and reaped at the end in any case.
class Child {
 public:
  template <class Body>
  explicit Child(Body body) : pid_(::fork()) {
    if (pid_ == 0) {
      ::alarm(60);  // whatever happens to the test, the child ends
      ::_exit(body());
    }
    CULVERT_CHECK(pid_ > 0, "fork failed");
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (!reaped_) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  void kill_now() { ::kill(pid_, SIGKILL); }
  // Exit code, or -signal.
  int wait() {
    int status = 0;
    CULVERT_CHECK(::waitpid(pid_, &status, 0) == pid_, "waitpid failed");
    reaped_ = true;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_;
  bool reaped_ = false;
};

Result<std::unique_ptr<SqliteTable>> try_open(const std::filesystem::path& path, OpenMode mode,
                                              Millis busy_timeout = Millis{20'000}) {
  OpenOptions options{.mode = mode, .definition = std::nullopt, .busy_timeout = busy_timeout};
  if (mode == OpenMode::kCreate) options.definition = Definition{};
  return SqliteTable::open(path, options);
}

// Adds one reading to the item, taking in whatever others have stored meanwhile.
bool add_one(SqliteTable& table, const ItemKey& key) {
  Boxed<Image> known;
  for (int attempt = 0; attempt < 10'000; ++attempt) {
    Image desired = known ? *known : Image{};
    desired.aggregate.fold(Micro{21'500'000});
    const Offset next = desired.fences.at(kWhere.name()).next().next();
    desired.fences.set(kWhere.name(), Fence{next, {}});
    std::optional<Fences> expected;
    if (known) expected = known->fences;
    const auto result = table.flush({kWhere, {}, {item_put(key, desired, expected)}, {}});
    if (result.error) {
      std::fprintf(stderr, "child: %s\n", result.error->message.c_str());
      return false;
    }
    if (result.items[0].status == PutStatus::kStored) return true;
    known = result.items[0].current;
  }
  return false;
}

TEST(SqliteProcesses, AllMakeTheFileAtOnceAndNoAdditionIsLost) {
  constexpr int kProcesses = 6;
  constexpr int kAdditions = 40;
  for (int round = 0; round < 5; ++round) {
    const TempFolder folder;
    const auto path = folder / "t.sqlite";
    std::vector<std::unique_ptr<Child>> children;
    children.reserve(kProcesses);
    for (int i = 0; i < kProcesses; ++i) {
      children.push_back(std::make_unique<Child>([&] {
        auto table = try_open(path, OpenMode::kCreate);
        if (!table) {
          std::fprintf(stderr, "child: %s\n", table.error().message.c_str());
          return 2;
        }
        for (int k = 0; k < kAdditions; ++k) {
          if (!add_one(**table, key_of(k % 3))) return 3;
        }
        return 0;
      }));
    }
    for (auto& child : children) EXPECT_EQ(child->wait(), 0);
    const auto table = open_table(path, OpenMode::kReadOnly);
    std::int64_t count = 0;
    for (const StoredItem& item : all_items(*table)) {
      count += item.image.aggregate.count;
      EXPECT_EQ(item.image.fences, fences_at(item.image.aggregate.count));
    }
    EXPECT_EQ(count, kProcesses * kAdditions);
  }
}

// Everything a flush writes carries its number, so a torn flush shows.
FlushRequest numbered_flush(std::int64_t number) {
  FlushRequest request{kWhere, {}, {}, CheckpointPut{checkpoint_at(number), {}}};
  if (number > 1) request.checkpoint->expected = checkpoint_at(number - 1);
  for (std::int64_t device = 0; device < 300; ++device) {
    request.items.push_back(item_put(key_of(device), image_of(1, number), {}));
    if (number > 1) request.items.back().expected = fences_at(number - 1);
  }
  request.dead_letters.push_back({kWhere, Offset{number}, {}, DeadLetterReason::kNotJson, "", {}, "x"});
  return request;
}

std::int64_t numbered_state(SqliteTable& table) {
  const auto checkpoint = table.load_checkpoint(kWhere).value();
  if (!checkpoint) {
    EXPECT_TRUE(all_items(table).empty());
    return 0;
  }
  const std::int64_t number = checkpoint->next.value();
  const auto items = all_items(table);
  EXPECT_EQ(items.size(), 300U);
  for (const StoredItem& item : items) EXPECT_EQ(item.image.fences, fences_at(number));
  EXPECT_EQ(all_dead_letters(table).size(), static_cast<std::size_t>(number));
  return number;
}

TEST(SqliteProcesses, KilledInMidFlushLeavesWholeFlushesOnly) {
  const auto seed = std::random_device{}();
  std::mt19937 random{seed};
  SCOPED_TRACE(testing::Message() << "seed " << seed);
  const TempFolder folder;
  const auto path = folder / "t.sqlite";
  open_table(path);
  std::int64_t last = 0;
  for (int round = 0; round < 25; ++round) {
    Child child([&] {
      auto table = try_open(path, OpenMode::kExisting);
      if (!table) return 2;
      for (std::int64_t number = last + 1;; ++number) {
        if ((*table)->flush(numbered_flush(number)).checkpoint.status != PutStatus::kStored) return 3;
      }
    });
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 40'000));
    child.kill_now();
    EXPECT_EQ(child.wait(), -SIGKILL);
    const auto table = open_table(path, OpenMode::kExisting);
    const std::int64_t number = numbered_state(*table);
    EXPECT_GE(number, last);
    last = number;
  }
  EXPECT_GT(last, 0) << "no child came as far as its first flush";
}

TEST(SqliteProcesses, FileLockedTooLongIsRetriableAndChangesNothing) {
  const TempFolder folder;
  const auto path = folder / "t.sqlite";
  open_table(path);
  std::array<int, 2> ready{};
  std::array<int, 2> release{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  ASSERT_EQ(::pipe(release.data()), 0);
  Child holder([&] {
    auto connection = Connection::open_file(path, Access::kWrite, Millis{1000});
    if (!connection || !connection->run("BEGIN IMMEDIATE")) return 2;
    char byte = 'x';
    if (::write(ready[1], &byte, 1) != 1 || ::read(release[0], &byte, 1) != 1) return 3;
    return 0;
  });
  char byte = 'x';
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  auto table = try_open(path, OpenMode::kExisting, Millis{100});
  ASSERT_TRUE(table.ok()) << table.error().message;
  EXPECT_EQ(numbered_state(**table), 0) << "readers do not wait for a writer";
  const auto refused = (*table)->flush(numbered_flush(1));
  ASSERT_TRUE(refused.error);
  EXPECT_TRUE(refused.error->retriable);
  EXPECT_EQ(refused.error->kind, ErrorKind::kTryAgain);
  EXPECT_EQ(refused.items.front().status, PutStatus::kNotTried);
  EXPECT_EQ(refused.checkpoint.status, PutStatus::kNotTried);
  ASSERT_EQ(::write(release[1], &byte, 1), 1);
  EXPECT_EQ(holder.wait(), 0);
  EXPECT_FALSE((*table)->flush(numbered_flush(1)).error);
  for (const int end : {ready[0], ready[1], release[0], release[1]}) ::close(end);
}

// A daemon that is told to stop must not wait for a program that has stopped with the lock in its hands.
TEST(SqliteProcesses, InterruptEndsTheWaitForALock) {
  const TempFolder folder;
  const auto path = folder / "t.sqlite";
  const auto table = try_open(path, OpenMode::kCreate, Millis{40'000});
  ASSERT_TRUE(table.ok()) << table.error().message;
  auto holder = Connection::open_file(path, Access::kWrite, Millis{100});
  ASSERT_TRUE(holder.ok() && holder->run("BEGIN IMMEDIATE").ok());
  auto waiting = std::async(std::launch::async, [&] { return (*table)->flush(numbered_flush(1)); });
  EXPECT_EQ(waiting.wait_for(std::chrono::milliseconds{200}), std::future_status::timeout);
  (*table)->interrupt();
  ASSERT_EQ(waiting.wait_for(std::chrono::seconds{20}), std::future_status::ready);
  for (const FlushResult& refused : {waiting.get(), (*table)->flush(numbered_flush(1))}) {
    ASSERT_TRUE(refused.error);
    EXPECT_TRUE(refused.error->retriable);
    EXPECT_EQ(refused.error->kind, ErrorKind::kTryAgain);
    EXPECT_EQ(refused.checkpoint.status, PutStatus::kNotTried);
  }
  ASSERT_TRUE(holder->run("ROLLBACK").ok());
  EXPECT_FALSE((*table)->flush(numbered_flush(1)).error) << "what needs no waiting is done";
}

TEST(SqliteProcesses, FileSizeLimitIsFatalAndKeepsWholeFlushes) {
  const TempFolder folder;
  const auto path = folder / "t.sqlite";
  open_table(path);
  Child child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{500'000, 500'000};
    auto table = try_open(path, OpenMode::kExisting);
    if (!table || ::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 2;
    for (std::int64_t number = 1; number < 1000; ++number) {
      const auto result = (*table)->flush(numbered_flush(number));
      if (!result.error) continue;
      return result.error->kind == ErrorKind::kIo && !result.error->retriable ? 0 : 3;
    }
    return 4;
  });
  EXPECT_EQ(child.wait(), 0);
  const auto table = open_table(path, OpenMode::kExisting);
  const std::int64_t number = numbered_state(*table);
  EXPECT_GT(number, 0);
  EXPECT_FALSE(table->flush(numbered_flush(number + 1)).error) << "goes on where there is room";
}

// Drops root's privilege to ignore permissions.
bool become_nobody() { return ::geteuid() != 0 || (::setgid(65'534) == 0 && ::setuid(65'534) == 0); }

TEST(SqliteProcesses, ReadOnlyFileIsRefusedForWritingAndReadable) {
  const TempFolder folder;
  const auto path = folder / "t.sqlite";
  ASSERT_FALSE(open_table(path)->flush(numbered_flush(1)).error);
  ASSERT_EQ(::chmod(path.c_str(), 0444), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  Child child([&] {
    if (!become_nobody()) return 2;
    const auto writer = try_open(path, OpenMode::kExisting);
    if (writer.ok() || writer.error().kind != ErrorKind::kIo || writer.error().retriable) return 3;
    auto reader = try_open(path, OpenMode::kReadOnly);
    if (!reader) return 4;
    int items = 0;
    if (!(*reader)->scan_items({}, [&](const StoredItem&) { return ++items, true; })) return 5;
    return items == 300 ? 0 : 6;
  });
  EXPECT_EQ(child.wait(), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
}

// Puts a file system of its own at `folder`, seen by this process alone.
bool mount_here(const std::filesystem::path& folder, const char* options) {
  return ::unshare(CLONE_NEWNS) == 0 && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", folder.c_str(), "tmpfs", 0, options) == 0;
}

constexpr int kCannotMount = 77;

// What opening the table at `path` says, or why it could not be asked: in a child, whose mounts end with it.
int said_when_opened(const std::filesystem::path& path, std::string_view wanted) {
  const auto writer = try_open(path, OpenMode::kCreate);
  if (writer.ok() || writer.error().kind != ErrorKind::kIo || writer.error().retriable) return 3;
  if (writer.error().message.find(wanted) != std::string::npos) return 0;
  std::fprintf(stderr, "%s\n", writer.error().message.c_str());
  return 4;
}

TEST(SqliteProcesses, ReadOnlyFileSystemIsNamedAsTheReason) {
  const TempFolder folder;
  Child child([&] {
    if (!mount_here(folder.path(), "size=16m")) return kCannotMount;
    const auto path = folder / "t.sqlite";
    open_table(path);
    if (::mount("tmpfs", folder.path().c_str(), "tmpfs", MS_REMOUNT | MS_RDONLY, "size=16m") != 0) return 2;
    return said_when_opened(path, "Read-only file system (make the file and its folder writable");
  });
  const int code = child.wait();
  if (code == kCannotMount) GTEST_SKIP() << "needs root and mount namespaces (CAP_SYS_ADMIN)";
  EXPECT_EQ(code, 0);
}

TEST(SqliteProcesses, NoRoomForTheSharedMemoryIsNoRoom) {
  const TempFolder folder;
  Child child([&] {
    if (!mount_here(folder.path(), "size=8k")) return kCannotMount;
    return said_when_opened(folder / "t.sqlite", "(make room on its file system");
  });
  const int code = child.wait();
  if (code == kCannotMount) GTEST_SKIP() << "needs root and mount namespaces (CAP_SYS_ADMIN)";
  EXPECT_EQ(code, 0);
}

TEST(SqliteProcesses, WriterThatComesWhileAFrozenFileIsReadIsNoticed) {
  const TempFolder folder;
  const auto path = folder / "t.sqlite";
  ASSERT_FALSE(open_table(path)->flush(numbered_flush(1)).error);
  ASSERT_EQ(::chmod(path.c_str(), 0444), 0);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0555), 0);
  std::array<int, 2> opened{};
  std::array<int, 2> written{};
  ASSERT_EQ(::pipe(opened.data()), 0);
  ASSERT_EQ(::pipe(written.data()), 0);
  Child child([&] {
    if (!become_nobody()) return 2;
    auto reader = try_open(path, OpenMode::kReadOnly);
    char byte = 'x';
    if (!reader || ::write(opened[1], &byte, 1) != 1 || ::read(written[0], &byte, 1) != 1) return 3;
    const auto scanned = (*reader)->scan_items({}, [](const StoredItem&) { return true; });
    return !scanned && scanned.error().retriable ? 0 : 4;
  });
  char byte = 'x';
  ASSERT_EQ(::read(opened[0], &byte, 1), 1);
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0644), 0);
  ASSERT_FALSE(open_table(path)->flush(numbered_flush(2)).error);
  ASSERT_EQ(::write(written[1], &byte, 1), 1);
  EXPECT_EQ(child.wait(), 0);
  for (const int end : {opened[0], opened[1], written[0], written[1]}) ::close(end);
}

}  // namespace
}  // namespace culvert::sqlite
