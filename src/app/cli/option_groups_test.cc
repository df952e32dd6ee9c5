// SPDX-License-Identifier: Apache-2.0
#include "app/cli/option_groups.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "app/cli/options.h"

namespace culvert {
namespace {

class OptionGroupsTest : public ::testing::Test {
 protected:
  OptionGroupsTest() {
    kafka_.declare(options_, GroupOption::kRequired);
    definition_.declare(options_);
    table_.declare(options_, TableUse::kWrite);
    std::filesystem::create_directory(folder_);
  }
  ~OptionGroupsTest() override { std::filesystem::remove_all(folder_); }

  Result<void> read(std::vector<std::string> more, std::vector<std::pair<std::string, std::string>> environment = {}) {
    std::vector<std::string> arguments{"-b", "localhost:9092", "-t", "readings", "-G", "g", "--table", "sqlite:a.db"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const std::vector<Section> sections{{"consume", &options_}};
    return read_options(sections[0], sections, OptionInputs{std::move(arguments), std::move(environment)});
  }
  std::string message(std::vector<std::string> more) {
    auto result = read(std::move(more));
    return result ? "" : result.error().message;
  }
  std::string file(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("culvert_groups_" + std::to_string(::getpid()));
  OptionSet options_;
  KafkaOptions kafka_;
  DefinitionOptions definition_;
  TableOptions table_;
  SystemClock clock_;
  Log log_{LogOptions{}, clock_};
};

TEST_F(OptionGroupsTest, PropertiesOfAllSourcesAreMerged) {
  const std::string config = file("c.properties", "sasl.username = from_file\nsasl.password=hunter2\nacks=1\n");
  ASSERT_TRUE(read({"--kafka-config", config, "-X", "sasl.username=flag"}, {{"CULVERT_KAFKA__ACKS", "all"}}).ok());
  const auto target = kafka_.target(log_);
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->bootstrap_servers, "localhost:9092");
  EXPECT_EQ(target->topic, "readings");
  EXPECT_EQ(target->group, "g");
  const std::map<std::string, std::string> expected{
      {"sasl.username", "flag"}, {"sasl.password", "hunter2"}, {"acks", "all"}};
  EXPECT_EQ(target->properties, expected);
}

TEST_F(OptionGroupsTest, SecretsOnTheCommandLineAreRefusedWithTheRemedy) {
  const std::string why = message({"-X", "sasl.password=hunter2"});
  EXPECT_NE(why.find("sasl.password=@file:PATH"), std::string::npos) << why;
  EXPECT_EQ(why.find("hunter2"), std::string::npos) << "the secret must not be repeated: " << why;
  EXPECT_FALSE(read({"-X", "ssl.key.password=x"}).ok());
  const auto environment = read({}, {{"CULVERT_KAFKA__SASL_PASSWORD", "hunter2"}});
  ASSERT_FALSE(environment.ok());
  EXPECT_EQ(environment.error().kind, ErrorKind::kConfiguration);
  EXPECT_EQ(environment.error().message.find("hunter2"), std::string::npos);
}

TEST_F(OptionGroupsTest, SecretsAreReadFromFilesWithoutTheLastNewline) {
  const std::string secret = file("password", "hunter2\n");
  ASSERT_TRUE(read({"-X", "sasl.password=@file:" + secret}).ok());
  EXPECT_EQ(kafka_.target(log_)->properties.at("sasl.password"), "hunter2");
  ASSERT_TRUE(read({"--password-file", file("other", "pw2")}).ok());
  EXPECT_EQ(kafka_.target(log_)->properties.at("sasl.password"), "pw2");
}

TEST_F(OptionGroupsTest, MissingOrEmptySecretFilesAreNamed) {
  ASSERT_TRUE(read({"--password-file", (folder_ / "absent").string()}).ok());
  const auto absent = kafka_.target(log_);
  ASSERT_FALSE(absent.ok());
  EXPECT_EQ(absent.error().kind, ErrorKind::kConfiguration);
  EXPECT_NE(absent.error().message.find("absent"), std::string::npos);
  ASSERT_TRUE(read({"--password-file", file("empty", "\n")}).ok());
  EXPECT_FALSE(kafka_.target(log_).ok());
}

TEST_F(OptionGroupsTest, PropertiesWithAnOptionOfTheirOwnAreRefused) {
  EXPECT_NE(message({"-X", "group.id=x"}).find("--group (-G)"), std::string::npos);
  EXPECT_NE(message({"-X", "novalue"}).find("KEY=VALUE"), std::string::npos);
}

TEST_F(OptionGroupsTest, APropertyFileStandsInForMissingOptionsOnly) {
  const std::string client = file("client.properties", "bootstrap.servers=other:1\ngroup.id=other\n");
  ASSERT_TRUE(read({"--kafka-config", client}).ok());
  EXPECT_EQ(kafka_.target(log_)->bootstrap_servers, "localhost:9092");
  EXPECT_EQ(kafka_.target(log_)->group, "g");

  OptionSet options;
  KafkaOptions kafka;
  kafka.declare(options, GroupOption::kRequired);
  const std::vector<Section> sections{{"consume", &options}};
  ASSERT_TRUE(read_options(sections[0], sections, OptionInputs{{"-t", "x", "--kafka-config", client}, {}}).ok());
  const auto target = kafka.target(log_);
  EXPECT_EQ(target->bootstrap_servers, "other:1");
  EXPECT_EQ(target->group, "other");
  EXPECT_TRUE(target->properties.empty());
}

TEST_F(OptionGroupsTest, TopicNamesAreChecked) {
  OptionSet options;
  KafkaOptions kafka;
  kafka.declare(options, GroupOption::kNone);
  const std::vector<Section> sections{{"tail", &options}};
  for (const char* bad : {"a/b", "", ".", "..", "a b"}) {
    const auto result = read_options(sections[0], sections, OptionInputs{{"-b", "h:1", "-t", bad}, {}});
    ASSERT_FALSE(result.ok()) << bad;
    EXPECT_NE(result.error().message.find("is not a topic name"), std::string::npos) << result.error().message;
  }
}

TEST_F(OptionGroupsTest, WindowsAreTumblingUnlessAdvanceIsShorter) {
  ASSERT_TRUE(read({"--window", "30s"}).ok());
  EXPECT_EQ(definition_.definition().kind, WindowKind::kTumbling);
  EXPECT_EQ(definition_.definition().advance, Millis{30'000});
  ASSERT_TRUE(read({"--window", "60s", "--advance", "10s", "--key-type", "string"}).ok());
  EXPECT_EQ(definition_.definition().kind, WindowKind::kHopping);
  EXPECT_EQ(definition_.definition().key_type, KeyType::kString);
}

TEST_F(OptionGroupsTest, DefinitionsAreValidatedAsAWhole) {
  const auto result = read({"--window", "60s", "--advance", "7s"});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kConfiguration);
}

TEST_F(OptionGroupsTest, TablesNameTheirKind) {
  ASSERT_TRUE(read({}).ok());
  EXPECT_EQ(table_.table().kind, TableKind::kSqlite);
  EXPECT_EQ(table_.table().name, "a.db");
  const auto near = parse_table_spec("sqlit:a.db");
  ASSERT_FALSE(near.ok());
  EXPECT_EQ(near.error().message, "'sqlit:a.db' is neither sqlite:FILE nor dynamodb:NAME (did you mean 'sqlite'?)");
  EXPECT_FALSE(parse_table_spec("a.db").ok());
  EXPECT_FALSE(parse_table_spec("sqlite:").ok());
  EXPECT_EQ(parse_table_spec("dynamodb:telemetry")->kind, TableKind::kDynamoDb);
}

}  // namespace
}  // namespace culvert
