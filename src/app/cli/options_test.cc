// SPDX-License-Identifier: Apache-2.0
#include "app/cli/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "app/cli/config_file.h"

namespace culvert {
namespace {

// Two commands as a program would have them; `consume` is the one that runs.
class OptionsTest : public ::testing::Test {
 protected:
  OptionsTest() {
    consume_.duration("window", &window_, "Length.");
    consume_.text({"table", 't'}, "TABLE", &table_, "Table.");
    consume_.flag("exit-at-end", &exit_at_end_, "End.");
    consume_.integer({"tail", 'o'}, {-100, 100}, &tail_, "Offset.");
    consume_.text("config", "FILE", &config_, "File.");
    Option property;
    property.name = "property";
    property.letter = 'X';
    property.value_name = "KEY=VALUE";
    property.repeatable = true;
    property.apply = [this](std::string_view text, const OptionSource&) {
      properties_.emplace_back(text);
      return Result<void>();
    };
    consume_.add(std::move(property));
    consume_.properties("kafka", [this](const std::string& key, const std::string& value, const OptionSource&) {
      properties_.push_back(key + "=" + value);
      return Result<void>();
    });
    query_.text("format", "FORMAT", &format_, "Format.");
  }
  ~OptionsTest() override {
    for (const auto& path : files_) std::filesystem::remove(path);
  }

  std::string file(const std::string& text) {
    const auto path = std::filesystem::temp_directory_path() /
                      ("culvert_options_" + std::to_string(::getpid()) + "_" + std::to_string(files_.size()) + ".toml");
    std::ofstream(path) << text;
    files_.push_back(path);
    return path;
  }

  Result<void> read(std::vector<std::string> arguments,
                    std::vector<std::pair<std::string, std::string>> environment = {}) {
    const std::vector<Section> sections{{"consume", &consume_}, {"query", &query_}};
    return read_options(sections[0], sections, OptionInputs{std::move(arguments), std::move(environment)});
  }

  // The refusal's exit code and message.
  std::pair<int, std::string> refusal(std::vector<std::string> arguments,
                                      std::vector<std::pair<std::string, std::string>> environment = {}) {
    auto result = read(std::move(arguments), std::move(environment));
    if (result) return {0, ""};
    return {exit_code(result.error().kind), result.error().message};
  }

  OptionSet consume_;
  OptionSet query_;
  Millis window_{60'000};
  std::string table_ = "sqlite:default.db";
  std::string config_;
  std::string format_ = "text";
  bool exit_at_end_ = false;
  std::int64_t tail_ = 0;
  std::vector<std::string> properties_;
  std::vector<std::filesystem::path> files_;
};

TEST_F(OptionsTest, DefaultsStayWhereNothingIsSaid) {
  ASSERT_TRUE(read({}).ok());
  EXPECT_EQ(window_, Millis{60'000});
  EXPECT_FALSE(exit_at_end_);
}

TEST_F(OptionsTest, EachSourceWinsOverTheOneBefore) {
  const std::string path = file("[consume]\nwindow = '10s'\n");
  ASSERT_TRUE(read({"--config", path}).ok());
  EXPECT_EQ(window_, Millis{10'000}) << "file over default";
  ASSERT_TRUE(read({"--config", path}, {{"CULVERT_CONSUME__WINDOW", "20s"}}).ok());
  EXPECT_EQ(window_, Millis{20'000}) << "environment over file";
  ASSERT_TRUE(read({"--config", path, "--window", "30s"}, {{"CULVERT_CONSUME__WINDOW", "20s"}}).ok());
  EXPECT_EQ(window_, Millis{30'000}) << "flag over environment";
}

TEST_F(OptionsTest, OwnSectionWinsOverCommonOfTheSameSourceOnly) {
  const std::string path = file("[consume]\nwindow = '10s'\n[common]\nwindow = '15s'\ntable = 'sqlite:shared.db'\n");
  ASSERT_TRUE(read({"--config", path}).ok());
  EXPECT_EQ(window_, Millis{10'000});
  EXPECT_EQ(table_, "sqlite:shared.db");
  ASSERT_TRUE(read({"--config", path}, {{"CULVERT_COMMON__WINDOW", "20s"}}).ok());
  EXPECT_EQ(window_, Millis{20'000}) << "a later source wins even by its common section";
}

TEST_F(OptionsTest, ConfigMayComeFromTheEnvironment) {
  const std::string path = file("[consume]\nexit-at-end = true\n");
  ASSERT_TRUE(read({}, {{"CULVERT_COMMON__CONFIG", path}}).ok());
  EXPECT_TRUE(exit_at_end_);
}

TEST_F(OptionsTest, CommandLineFormsOfKcat) {
  ASSERT_TRUE(read({"-X", "a=1", "-Xb=2", "--property=c=3", "-tsqlite:x.db", "-o", "-10", "--exit-at-end"}).ok());
  EXPECT_EQ(properties_, (std::vector<std::string>{"a=1", "b=2", "c=3"}));
  EXPECT_EQ(table_, "sqlite:x.db");
  EXPECT_EQ(tail_, -10);
  EXPECT_TRUE(exit_at_end_);
}

TEST_F(OptionsTest, PropertiesOfTheFileKeepTheirDots) {
  const std::string path = file("[kafka]\nsecurity.protocol = 'SASL_SSL'\n'sasl.username' = 'u'\nretries = 3\n");
  ASSERT_TRUE(read({"--config", path}, {{"CULVERT_KAFKA__CLIENT_ID", "x"}}).ok());
  std::sort(properties_.begin(), properties_.end());
  EXPECT_EQ(properties_,
            (std::vector<std::string>{"client.id=x", "retries=3", "sasl.username=u", "security.protocol=SASL_SSL"}));
}

TEST_F(OptionsTest, UnknownFlagIsAUsageErrorWithANearWord) {
  const auto [code, message] = refusal({"--windwo", "30s"});
  EXPECT_EQ(code, 64);
  EXPECT_EQ(message, "unknown option '--windwo' (did you mean '--window'?)");
  EXPECT_EQ(refusal({"--windwo=30s"}).second, "unknown option '--windwo' (did you mean '--window'?)");
  EXPECT_EQ(refusal({"-z"}).first, 64);
  EXPECT_EQ(refusal({"stray"}).second, "unexpected argument 'stray' (options begin with --)");
}

TEST_F(OptionsTest, UnknownKeysAndSectionsAreConfigurationErrors) {
  const std::string key = file("[consume]\n\nwindwo = '10s'\n");
  EXPECT_EQ(refusal({"--config", key}),
            std::make_pair(78, key + ": line 3: windwo: unknown key 'windwo' in [consume] (did you mean 'window'?)"));
  const std::string section = file("[consum]\nwindow = '10s'\n");
  EXPECT_NE(refusal({"--config", section}).second.find("unknown section [consum] (did you mean 'consume'?)"),
            std::string::npos);
  const std::string other = file("[query]\nfromat = 'json'\n");
  EXPECT_NE(refusal({"--config", other}).second.find("(did you mean 'format'?)"), std::string::npos)
      << "sections of other commands are checked, too";
  EXPECT_EQ(refusal({}, {{"CULVERT_CONSUME__WINDWO", "1s"}}).first, 78);
  EXPECT_EQ(refusal({}, {{"CULVERT_CONSUM__WINDOW", "1s"}}).first, 78);
  EXPECT_EQ(refusal({}, {{"CULVERT_BUILD", "anything"}}).first, 0) << "not of the form SECTION__KEY: not ours";
}

TEST_F(OptionsTest, BadValuesNameTheirSource) {
  EXPECT_EQ(refusal({"--window", "10 s"}),
            std::make_pair(64, std::string("--window: '10 s' is not a duration such as 250ms, 10s, 5m or 1h30m")));
  const std::string path = file("[consume]\nwindow = 10\n");
  EXPECT_EQ(refusal({"--config", path}).first, 78);
  EXPECT_NE(refusal({"--config", path}).second.find(path + ": line 2: window: '10' is not a duration"),
            std::string::npos);
  EXPECT_EQ(refusal({}, {{"CULVERT_CONSUME__EXIT_AT_END", "yes"}}).first, 78);
}

TEST_F(OptionsTest, ValuesGivenTwiceOrMissingAreRefused) {
  EXPECT_EQ(refusal({"--window", "1s", "--window", "2s"}),
            std::make_pair(64, std::string("--window: given 2 times, takes one value")));
  EXPECT_EQ(refusal({"--window"}).first, 64);
}

TEST_F(OptionsTest, FilesThatAreNotTomlOrNotThereAreNamed) {
  const std::string path = file("[consume\n");
  EXPECT_EQ(refusal({"--config", path}).first, 78);
  EXPECT_TRUE(refusal({"--config", path}).second.starts_with(path + ": line 1: "));
  EXPECT_EQ(refusal({"--config", "/nonexistent.toml"}).first, 78);
  const std::string stray = file("window = '10s'\n");
  EXPECT_NE(refusal({"--config", stray}).second.find("outside of any section"), std::string::npos);
}

TEST_F(OptionsTest, RequiredOptionsSayWhereTheyMayStand) {
  std::string topic;
  consume_.text("topic", "TOPIC", &topic, "Topic.").required = true;
  const auto [code, message] = refusal({});
  EXPECT_EQ(code, 64);
  EXPECT_EQ(message,
            "--topic TOPIC is missing (or `topic` in [consume] of the configuration file, or CULVERT_CONSUME__TOPIC)");
  EXPECT_TRUE(read({}, {{"CULVERT_COMMON__TOPIC", "x"}}).ok());
}

TEST(ParseProperties, ReadsKafkaClientFiles) {
  const auto properties = parse_properties("# comment\n\n a.b = c=d \r\n!x\nlast=\n", "f");
  ASSERT_TRUE(properties.ok());
  ASSERT_EQ(properties->size(), 2U);
  EXPECT_EQ((*properties)[0].key, "a.b");
  EXPECT_EQ((*properties)[0].value, "c=d");
  EXPECT_EQ((*properties)[1].value, "");
  const auto bad = parse_properties("a=1\nnonsense\n", "f");
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message, "f: line 2: is not of the form key=value");
}

}  // namespace
}  // namespace culvert
