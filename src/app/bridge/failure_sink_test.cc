// SPDX-License-Identifier: Apache-2.0
#include "app/bridge/failure_sink.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "adapters/kafka/embedded_broker.h"
#include "adapters/kafka/reader.h"

namespace culvert {
namespace {

class FailureDirectoryTest : public ::testing::Test {
 protected:
  ~FailureDirectoryTest() override { std::filesystem::remove_all(folder_); }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("culvert_sink_" + std::to_string(::getpid()));
  SystemClock clock_;
};

TEST_F(FailureDirectoryTest, EachDocumentIsAFileOfItsOwnAndNothingElseIsLeft) {
  const std::string path = folder_ / "made" / "deep";
  auto sink = FailureDirectory::open(path, clock_);
  ASSERT_TRUE(sink.ok()) << sink.error().message;
  ASSERT_TRUE((*sink)->put("one").ok());
  ASSERT_TRUE((*sink)->put(std::string(3 << 20, 'x')).ok());
  std::multiset<std::size_t> sizes;
  for (const auto& entry : std::filesystem::directory_iterator(path)) {
    EXPECT_EQ(entry.path().extension(), ".json");
    EXPECT_NE(entry.path().filename().string().front(), '.');
    sizes.insert(entry.file_size());
  }
  EXPECT_EQ(sizes, (std::multiset<std::size_t>{3, 3 << 20}));
}

TEST_F(FailureDirectoryTest, WhatIsNoDirectoryIsRefusedAtOnce) {
  std::filesystem::create_directory(folder_);
  std::ofstream(folder_ / "file") << "x";
  const auto opened = FailureDirectory::open(folder_ / "file", clock_);
  ASSERT_FALSE(opened.ok());
  EXPECT_NE(opened.error().message.find("file"), std::string::npos);
}

TEST_F(FailureDirectoryTest, ADirectoryThatVanishedIsAnError) {
  auto sink = FailureDirectory::open(folder_, clock_);
  ASSERT_TRUE(sink.ok()) << sink.error().message;
  std::filesystem::remove_all(folder_);
  const auto put = (*sink)->put("lost?");
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().kind, ErrorKind::kIo);
}

TEST(FailureTopic, ADocumentIsThereWhenPutReturns) {
  auto broker = kafka::EmbeddedBroker::start(1);
  ASSERT_TRUE(broker.ok()) << broker.error().message;
  ASSERT_TRUE((*broker)->create_topic("failed", 1).ok());
  auto sink = FailureTopic::open((*broker)->config(), "failed");
  ASSERT_TRUE(sink.ok()) << sink.error().message;
  ASSERT_TRUE((*sink)->put("{}").ok());
  auto reader = kafka::PartitionReader::open((*broker)->config(), {.topic = "failed"});
  ASSERT_TRUE(reader.ok()) << reader.error().message;
  const auto range = (*reader)->log_range(PartitionId{0}, Millis{10'000});
  ASSERT_TRUE(range.ok()) << range.error().message;
  EXPECT_EQ(range->log_end, Offset{1});
}

}  // namespace
}  // namespace culvert
