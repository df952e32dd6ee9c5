// SPDX-License-Identifier: Apache-2.0
#include "adapters/sqlite/sqlite_table.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <fstream>
#include <sstream>
#include <tuple>

#include "adapters/sqlite/test_table.h"
#include "fakes/memory_table.h"

namespace culvert::sqlite {
namespace {

std::string run_sql(const std::filesystem::path& path, const std::string& sql) {
  sqlite3* handle = nullptr;
  EXPECT_EQ(sqlite3_open(path.c_str(), &handle), SQLITE_OK);
  std::string out;
  char* message = nullptr;
  sqlite3_exec(
      handle, sql.c_str(),
      [](void* to, int columns, char** values, char**) {
        auto& text = *static_cast<std::string*>(to);
        for (int i = 0; i < columns; ++i) text += std::string(i == 0 ? "" : "|") + (values[i] ? values[i] : "NULL");
        text += '\n';
        return 0;
      },
      &out, &message);
  if (message != nullptr) out += message;
  sqlite3_free(message);
  sqlite3_close(handle);
  return out;
}

Error open_error(const std::filesystem::path& path, OpenMode mode, std::optional<Definition> definition = {}) {
  if (mode == OpenMode::kCreate && !definition) definition = Definition{};
  auto table = SqliteTable::open(path, {.mode = mode, .definition = definition, .busy_timeout = Millis{200}});
  EXPECT_FALSE(table.ok());
  return table.ok() ? Error{} : table.error();
}

TEST(SqliteTable, FlushStoresItemsDeadLettersAndCheckpointAndReadsThemBack) {
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  Checkpoint checkpoint = checkpoint_at(20);
  checkpoint.start = Offset{3};
  checkpoint.ranges = {{{Offset{30}, Offset{40}}, {EventTime{5}, std::nullopt, {10, 8, 1, 1}}}};
  checkpoint.emission = Emission::kFinal;
  checkpoint.topic_id = "abc";
  const DeadLetter letter{
      kWhere, Offset{7}, RecordTime{99}, DeadLetterReason::kNotJson, "at byte 3", "", std::string("\0\xff'\n", 4)};
  const auto result = table->flush({kWhere,
                                    {letter},
                                    {item_put(key_of(1), image_of(2, 9), {}), item_put(key_of(-5), image_of(1, 8), {})},
                                    CheckpointPut{checkpoint, {}}});
  ASSERT_FALSE(result.error) << result.error->message;
  EXPECT_EQ(result.dead_letters, PutStatus::kStored);
  EXPECT_EQ(result.items[1].status, PutStatus::kStored);
  EXPECT_EQ(result.checkpoint.status, PutStatus::kStored);

  const auto reader = open_table(folder / "t.sqlite", OpenMode::kReadOnly);
  const auto items = all_items(*reader);
  ASSERT_EQ(items.size(), 2U);
  EXPECT_EQ(items[0].key, key_of(-5));
  EXPECT_EQ(items[1].image, image_of(2, 9));
  EXPECT_EQ(items[1].window_end, EventTime{60'000});
  EXPECT_EQ(reader->load_checkpoint(kWhere).value(), checkpoint);
  EXPECT_EQ(reader->checkpoints().value().front().where, kWhere);
  const auto letters = all_dead_letters(*reader);
  ASSERT_EQ(letters.size(), 1U);
  EXPECT_EQ(letters[0].key, "");
  EXPECT_EQ(letters[0].value, letter.value);
  EXPECT_EQ(letters[0].timestamp, RecordTime{99});
  EXPECT_EQ(letters[0].detail, "at byte 3");
}

TEST(SqliteTable, SumsBeyond64BitsAreKeptExactly) {
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  Image image = image_of(1, 5);
  for (int i = 0; i < 20'000; ++i) image.aggregate.fold(kMicroMost);
  ASSERT_FALSE(table->flush({kWhere, {}, {item_put(key_of(1), image, {})}, {}}).error);
  EXPECT_EQ(stored_image(*table, key_of(1)), image);
  EXPECT_EQ(run_sql(folder / "t.sqlite", "SELECT typeof(sum), typeof(sum_squares) FROM items"), "text|text\n");
}

TEST(SqliteTable, ConflictReturnsWhatIsStoredAndKeepsTheCheckpointBack) {
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  table->flush({kWhere, {}, {item_put(key_of(1), image_of(2, 9), {})}, {}});
  const DeadLetter letter{kWhere, Offset{7}, {}, DeadLetterReason::kTombstone, "", {}, {}};
  const auto result = table->flush({kWhere,
                                    {letter},
                                    {item_put(key_of(1), image_of(3, 12), {}),             // believed absent
                                     item_put(key_of(2), image_of(1, 10), {}),             // new
                                     item_put(key_of(3), image_of(1, 10), fences_at(4))},  // believed present
                                    CheckpointPut{checkpoint_at(12), {}}});
  ASSERT_FALSE(result.error);
  EXPECT_EQ(result.items[0].status, PutStatus::kConflict);
  EXPECT_EQ(result.items[0].current, image_of(2, 9));
  EXPECT_EQ(result.items[1].status, PutStatus::kStored);
  EXPECT_EQ(result.items[2].status, PutStatus::kConflict);
  EXPECT_FALSE(result.items[2].current);
  EXPECT_EQ(result.checkpoint.status, PutStatus::kNotTried);
  EXPECT_EQ(stored_image(*table, key_of(2)), image_of(1, 10));
  EXPECT_FALSE(table->load_checkpoint(kWhere).value());
  EXPECT_FALSE(all_dead_letters(*table).front().value);
}

TEST(SqliteTable, SecondConnectionCannotOverwriteWhatTheFirstStored) {
  const TempFolder folder;
  const auto first = open_table(folder / "t.sqlite");
  const auto second = open_table(folder / "t.sqlite");
  first->flush({kWhere, {}, {item_put(key_of(1), image_of(1, 5), {})}, CheckpointPut{checkpoint_at(5), {}}});
  // Both know fences at 5 and bring different records.
  EXPECT_EQ(second->flush({kWhere, {}, {item_put(key_of(1), image_of(2, 6), fences_at(5))}, {}}).items[0].status,
            PutStatus::kStored);
  const auto late = first->flush({kWhere,
                                  {},
                                  {item_put(key_of(1), image_of(2, 7), fences_at(5))},
                                  CheckpointPut{checkpoint_at(7), checkpoint_at(5)}});
  EXPECT_EQ(late.items[0].status, PutStatus::kConflict);
  EXPECT_EQ(late.items[0].current, image_of(2, 6));
  EXPECT_EQ(first->load_checkpoint(kWhere).value()->next, Offset{5});
}

TEST(SqliteTable, CheckpointIsConditionalOnNextAndRanges) {
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  const auto put = [&](const Checkpoint& desired, std::optional<Checkpoint> expected) {
    return table->flush({kWhere, {}, {}, CheckpointPut{desired, std::move(expected)}}).checkpoint;
  };
  EXPECT_EQ(put(checkpoint_at(10), {}).status, PutStatus::kStored);
  EXPECT_EQ(put(checkpoint_at(5), {}).status, PutStatus::kConflict);
  EXPECT_EQ(put(checkpoint_at(20), checkpoint_at(9)).current, checkpoint_at(10));
  Checkpoint other_ranges = checkpoint_at(10);
  other_ranges.ranges = {{{Offset{30}, Offset{40}}, {}}};
  EXPECT_EQ(put(checkpoint_at(20), other_ranges).status, PutStatus::kConflict);
  Checkpoint same_position = checkpoint_at(10);
  same_position.topic_id = "told later";
  EXPECT_EQ(put(checkpoint_at(20), same_position).status, PutStatus::kStored);
  EXPECT_EQ(table->load_checkpoint(kWhere).value(), checkpoint_at(20));
}

TEST(SqliteTable, DeadLetterIsKeptAsFirstWritten) {
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  DeadLetter letter{kWhere, Offset{7}, {}, DeadLetterReason::kLate, "first", {}, "x"};
  table->flush({kWhere, {letter}, {}, {}});
  letter.detail = "second";
  EXPECT_EQ(table->flush({kWhere, {letter}, {}, {}}).dead_letters, PutStatus::kStored);
  ASSERT_EQ(all_dead_letters(*table).size(), 1U);
  EXPECT_EQ(all_dead_letters(*table).front().detail, "first");
}

TEST(SqliteTable, ScanIsOrderedAndFilteredForBothKeyTypes) {
  const TempFolder folder;
  Definition text_keys;
  text_keys.key_type = KeyType::kString;
  const auto numbers = open_table(folder / "n.sqlite");
  const auto texts = open_table(folder / "t.sqlite", OpenMode::kCreate, text_keys);
  std::vector<ItemPut> number_puts;
  std::vector<ItemPut> text_puts;
  const std::string odd("a\0'b", 4);
  for (const std::int64_t minute : {2, 0, -1}) {
    for (const std::int64_t device : {10, 9, -3})
      number_puts.push_back(item_put(key_of(device, minute), image_of(1, 1), {}));
    for (const std::string& device : {std::string("10"), std::string("9"), std::string("\xc3\xa9"), odd}) {
      text_puts.push_back(item_put({DeviceId{device}, EventTime{minute * 60'000}}, image_of(1, 1), {}));
    }
  }
  ASSERT_FALSE(numbers->flush({kWhere, {}, number_puts, {}}).error);
  ASSERT_FALSE(texts->flush({kWhere, {}, text_puts, {}}).error);
  for (const auto& [table, count] : {std::pair{numbers.get(), 9U}, std::pair{texts.get(), 12U}}) {
    const auto items = all_items(*table);
    EXPECT_EQ(items.size(), count);
    EXPECT_TRUE(std::is_sorted(items.begin(), items.end(), [](const auto& a, const auto& b) { return a.key < b.key; }));
  }
  EXPECT_EQ(all_items(*numbers).front().key, key_of(-3, -1));
  const ItemFilter window{.device = DeviceId{9}, .from = EventTime{0}, .to = EventTime{120'000}};
  ASSERT_EQ(all_items(*numbers, window).size(), 1U);
  EXPECT_EQ(all_items(*numbers, window).front().key, key_of(9, 0));
  EXPECT_EQ(all_items(*texts, {.device = DeviceId{odd}, .from = {}, .to = {}}).size(), 3U);
  EXPECT_TRUE(all_items(*texts, {.device = DeviceId{9}, .from = {}, .to = {}}).empty());
  EXPECT_EQ(all_items(*texts, {.device = {}, .from = EventTime{120'000}, .to = {}}).size(), 4U);
}

TEST(SqliteTable, ViewShowsTheReferenceColumnsAsText) {
  const TempFolder folder;
  Definition definition;
  definition.value_name = "load";
  const auto table = open_table(folder / "t.sqlite", OpenMode::kCreate, definition);
  Image image = image_of(1, 5);
  image.aggregate.fold(Micro{-1'000'001});
  ASSERT_FALSE(
      table->flush({kWhere, {}, {item_put({DeviceId{7}, EventTime{1'795'449'420'007}}, image, {})}, {}}).error);
  EXPECT_EQ(run_sql(folder / "t.sqlite",
                    "SELECT device_id, window_start, window_stop, avg_load, min_load, max_load, sum_load, stddev_load, "
                    "count FROM windows"),
            "7|2026-11-23T15:57:00.007Z|2026-11-23T15:58:00.007Z|10.25|-1.000001|21.5|20.499999|11.25|2\n");
}

TEST(SqliteTable, ViewShowsWindowsBefore1970) {
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  ASSERT_FALSE(table->flush({kWhere, {}, {item_put({DeviceId{7}, EventTime{-59'999}}, image_of(1, 5), {})}, {}}).error);
  EXPECT_EQ(run_sql(folder / "t.sqlite", "SELECT window_start, window_stop FROM windows"),
            "1969-12-31T23:59:00.001Z|1970-01-01T00:00:00.001Z\n");
  EXPECT_EQ(format_utc(EventTime{-59'999}), "1969-12-31T23:59:00.001Z");
}

TEST(SqliteTable, ViewShowsWindowsThatEndAboveTheYear9999) {
  const TempFolder folder;
  const auto table = open_table(folder / "t.sqlite");
  constexpr std::int64_t kYear10000 = 253'402'300'800'000;
  constexpr std::int64_t kDay = 86'400'000;
  std::int64_t device = 0;
  std::string expected;
  // The last milliseconds and days with an ordinary text, a leap day, and the latest end that there is.
  for (const std::int64_t end : {kYear10000 - 1, kYear10000, kYear10000 + 1, kYear10000 + 59 * kDay + 7,
                                 kYear10000 + 60 * kDay, kYear10000 + 366 * kDay - 1}) {
    ItemPut put = item_put({DeviceId{++device}, EventTime{kYear10000 - kDay}}, image_of(1, 5), {});
    put.window_end = EventTime{end};
    ASSERT_FALSE(table->flush({kWhere, {}, {put}, {}}).error);
    expected += "9999-12-31T00:00:00.000Z|" + format_utc(EventTime{end}) + "\n";
  }
  EXPECT_EQ(run_sql(folder / "t.sqlite", "SELECT window_start, window_stop FROM windows ORDER BY device_id"), expected);
  EXPECT_NE(expected.find("+010000-02-29T00:00:00.007Z"), std::string::npos) << expected;
}

TEST(SqliteOpen, DefinitionIsReadBackAndAnotherOneIsRefusedWithTheDifference) {
  const TempFolder folder;
  Definition definition;
  definition.fields.value = "load %";
  open_table(folder / "t.sqlite", OpenMode::kCreate, definition);
  EXPECT_EQ(open_table(folder / "t.sqlite", OpenMode::kReadOnly)->definition(), definition);
  EXPECT_EQ(open_table(folder / "t.sqlite", OpenMode::kCreate, definition)->definition(), definition);
  Definition other = definition;
  other.size = other.advance = Millis{30'000};
  other.key_type = KeyType::kString;
  const Error error = open_error(folder / "t.sqlite", OpenMode::kCreate, other);
  EXPECT_EQ(error.kind, ErrorKind::kData);
  EXPECT_FALSE(error.retriable);
  EXPECT_NE(error.message.find("size: table has 1m, now 30s"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("key_type: table has number, now string"), std::string::npos) << error.message;
}

TEST(SqliteOpen, ForeignFilesAreRefusedAndLeftAlone) {
  const TempFolder folder;
  run_sql(folder / "foreign.sqlite", "CREATE TABLE t (a)");
  std::ofstream(folder / "text.sqlite") << std::string(5000, 'x');
  for (const auto mode : {OpenMode::kCreate, OpenMode::kExisting, OpenMode::kReadOnly}) {
    const Error foreign = open_error(folder / "foreign.sqlite", mode);
    EXPECT_EQ(foreign.kind, ErrorKind::kData);
    EXPECT_NE(foreign.message.find("not a culvert table"), std::string::npos) << foreign.message;
    const Error text = open_error(folder / "text.sqlite", mode);
    EXPECT_EQ(text.kind, ErrorKind::kData);
    EXPECT_NE(text.message.find("no SQLite database"), std::string::npos) << text.message;
  }
  EXPECT_EQ(run_sql(folder / "foreign.sqlite", "PRAGMA journal_mode; SELECT name FROM sqlite_schema"), "delete\nt\n");
}

TEST(SqliteOpen, EmptyFileIsTakenForCreationOnly) {
  const TempFolder folder;
  std::ofstream(folder / "t.sqlite").flush();
  EXPECT_NE(open_error(folder / "t.sqlite", OpenMode::kReadOnly).message.find("it is empty"), std::string::npos);
  open_table(folder / "t.sqlite");
  EXPECT_TRUE(all_items(*open_table(folder / "t.sqlite", OpenMode::kReadOnly)).empty());
}

TEST(SqliteOpen, OtherSchemaVersionNamesBothVersions) {
  const TempFolder folder;
  open_table(folder / "t.sqlite");
  run_sql(folder / "t.sqlite", "PRAGMA user_version = 9; UPDATE meta SET value = '7.0' WHERE name = 'culvert_version'");
  const Error error = open_error(folder / "t.sqlite", OpenMode::kCreate);
  EXPECT_EQ(error.kind, ErrorKind::kData);
  EXPECT_NE(error.message.find("schema version 9, written by culvert 7.0"), std::string::npos) << error.message;
}

TEST(SqliteOpen, MissingFileOrFolderIsAnIoErrorWithTheRemedy) {
  const TempFolder folder;
  for (const auto mode : {OpenMode::kExisting, OpenMode::kReadOnly}) {
    const Error error = open_error(folder / "none.sqlite", mode);
    EXPECT_EQ(error.kind, ErrorKind::kIo);
    EXPECT_NE(error.message.find("No such file"), std::string::npos) << error.message;
  }
  EXPECT_EQ(open_error(folder / "no-folder/t.sqlite", OpenMode::kCreate).kind, ErrorKind::kIo);
  EXPECT_EQ(open_error(folder.path(), OpenMode::kCreate).kind, ErrorKind::kIo);
}

TEST(SqliteOpen, ReaderLeavesNoFilesBehindAndSeesAWritersCommits) {
  const TempFolder folder;
  const auto writer = open_table(folder / "t.sqlite");
  const auto reader = open_table(folder / "t.sqlite", OpenMode::kReadOnly);
  writer->flush({kWhere, {}, {item_put(key_of(1), image_of(1, 5), {})}, {}});
  EXPECT_EQ(all_items(*reader).size(), 1U);
  const auto refused = reader->flush({kWhere, {}, {}, CheckpointPut{checkpoint_at(5), {}}});
  EXPECT_TRUE(refused.error && !refused.error->retriable);
}

TEST(SqliteOpen, AllFilesButTheTableAreGoneAfterTheLastClose) {
  const TempFolder folder;
  open_table(folder / "t.sqlite")->flush({kWhere, {}, {item_put(key_of(1), image_of(1, 5), {})}, {}});
  all_items(*open_table(folder / "t.sqlite", OpenMode::kReadOnly));
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path())) names.push_back(entry.path().filename());
  EXPECT_EQ(names, std::vector<std::string>{"t.sqlite"});
}

TEST(SqliteOpen, StrangeNamesAreFileNames) {
  const TempFolder folder;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  for (const char* name : {":memory:", "file:x?mode=memory", "a b%20c'.sqlite"}) {
    open_table(name)->flush({kWhere, {}, {item_put(key_of(1), image_of(1, 5), {})}, {}});
    EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
    EXPECT_EQ(all_items(*open_table(name, OpenMode::kReadOnly)).size(), 1U);
  }
  std::filesystem::current_path(before);
}

TEST(SqliteRows, RowsThatNoReadingsCanMakeAreDataErrors) {
  for (const char* change :
       {"count = 0", "sum = 'x'", "sum = 99999999999999", "min_micro = max_micro + 1", "fences = 'nonsense'",
        "sum_squares = -1", "sum_squares = 1", "max_micro = 9223372036854775807"}) {
    const TempFolder folder;
    open_table(folder / "t.sqlite")->flush({kWhere, {}, {item_put(key_of(1), image_of(1, 5), {})}, {}});
    run_sql(folder / "t.sqlite", std::string("UPDATE items SET ") + change);
    const auto reader = open_table(folder / "t.sqlite", OpenMode::kReadOnly);
    const auto scanned = reader->scan_items({}, [](const StoredItem&) { return true; });
    ASSERT_FALSE(scanned.ok()) << change;
    EXPECT_EQ(scanned.error().kind, ErrorKind::kData) << change;
  }
}

TEST(SqliteRows, CheckpointsAndDeadLettersThatCannotBeAreDataErrors) {
  const TempFolder folder;
  const DeadLetter letter{kWhere, Offset{7}, {}, DeadLetterReason::kLate, "", {}, "x"};
  open_table(folder / "t.sqlite")->flush({kWhere, {letter}, {}, CheckpointPut{checkpoint_at(5), {}}});
  run_sql(folder / "t.sqlite", "UPDATE checkpoints SET start = 6; UPDATE dead_letters SET reason = 'x'");
  const auto reader = open_table(folder / "t.sqlite", OpenMode::kReadOnly);
  EXPECT_EQ(reader->checkpoints().error().kind, ErrorKind::kData);
  EXPECT_EQ(reader->load_checkpoint(kWhere).error().kind, ErrorKind::kData);
  EXPECT_EQ(reader->scan_dead_letters([](const DeadLetter&) { return true; }).error().kind, ErrorKind::kData);
}

// ---- Random flushes do to the file what they do to a map.

// Small spaces, so that conflicts are frequent.
FlushRequest random_flush(fakes::MemoryTable& model) {
  const auto number = [](int next) { return *rc::gen::inRange<std::int64_t>(0, next); };
  FlushRequest request{
      StreamPartition{"telemetry", 1 + number(2), PartitionId{static_cast<int>(number(2))}}, {}, {}, {}};
  std::map<ItemKey, bool> used;
  for (auto i = number(6); i > 0; --i) {
    const ItemKey key = key_of(number(4), number(3));
    if (!used.emplace(key, true).second) continue;
    auto current = model.load({&key, 1}).value().front();
    std::optional<Fences> expected;
    if (current && number(5) != 0) expected = current->fences;
    if (number(7) == 0) expected = fences_at(number(50));
    const Image desired = image_of(1 + number(5), 1 + number(1'000'000));
    request.items.push_back(item_put(key, desired, expected));
  }
  for (auto i = number(3); i > 0; --i) {
    request.dead_letters.push_back({request.where,
                                    Offset{number(10)},
                                    {},
                                    DeadLetterReason::kOutOfRange,
                                    std::to_string(number(1000)),
                                    {},
                                    std::string(static_cast<std::size_t>(number(9)), '\xff')});
  }
  if (number(2) == 0) {
    auto current = model.load_checkpoint(request.where).value();
    if (number(6) == 0) current.reset();
    request.checkpoint = CheckpointPut{checkpoint_at(number(100)), current};
  }
  return request;
}

RC_GTEST_PROP(SqliteModel, RandomFlushesEndAsInMemory, ()) {
  const TempFolder folder;
  fakes::MemoryTable model{fakes::MemoryTable::Shape::kTransactions};
  auto table = open_table(folder / "t.sqlite");
  const int flushes = *rc::gen::inRange(1, 30);
  for (int i = 0; i < flushes; ++i) {
    const FlushRequest request = random_flush(model);
    const auto expected = model.flush(request);
    const auto actual = table->flush(request);
    RC_ASSERT(!actual.error);
    RC_ASSERT(actual.dead_letters == expected.dead_letters);
    for (std::size_t k = 0; k < request.items.size(); ++k) {
      RC_ASSERT(actual.items[k].status == expected.items[k].status);
      RC_ASSERT(actual.items[k].current == expected.items[k].current);
    }
    RC_ASSERT(actual.checkpoint.status == expected.checkpoint.status);
    RC_ASSERT(actual.checkpoint.current == expected.checkpoint.current);
    if (*rc::gen::inRange(0, 10) == 0) table = open_table(folder / "t.sqlite", OpenMode::kExisting);
  }
  const auto same_item = [](const StoredItem& a, const StoredItem& b) {
    return a.key == b.key && a.window_end == b.window_end && a.image == b.image;
  };
  const auto items = all_items(*table);
  const auto model_items = all_items(model);
  RC_ASSERT(std::equal(items.begin(), items.end(), model_items.begin(), model_items.end(), same_item));
  const auto tie = [](const DeadLetter& l) { return std::tie(l.where, l.offset, l.detail, l.value); };
  const auto letters = all_dead_letters(*table);
  const auto model_letters = all_dead_letters(model);
  RC_ASSERT(std::equal(letters.begin(), letters.end(), model_letters.begin(), model_letters.end(),
                       [&](const auto& a, const auto& b) { return tie(a) == tie(b); }));
}

}  // namespace
}  // namespace culvert::sqlite
