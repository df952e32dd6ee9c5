// SPDX-License-Identifier: Apache-2.0
#include "app/bridge/options.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "app/cli/options.h"

namespace culvert {
namespace {

using namespace std::chrono_literals;

class BridgeOptionsTest : public ::testing::Test {
 protected:
  std::string read(std::vector<std::string> more, const std::string& function = "./bootstrap") {
    options_ = std::make_unique<OptionSet>();
    bridge_ = std::make_unique<BridgeOptions>();
    bridge_->declare(*options_);
    std::vector<std::string> arguments{"-b", "b:1", "-t", "t", "-G", "g", "--function", function};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const std::vector<Section> sections{{"bridge", options_.get()}};
    const auto result = read_options(sections[0], sections, OptionInputs{std::move(arguments), {}});
    return result ? "" : result.error().message;
  }
  bool refuses(std::vector<std::string> more, std::string_view why) {
    const std::string message = read(std::move(more));
    EXPECT_NE(message.find(why), std::string::npos) << message;
    return !message.empty();
  }

  std::unique_ptr<OptionSet> options_;
  std::unique_ptr<BridgeOptions> bridge_;
};

TEST_F(BridgeOptionsTest, DefaultsAreTheServices) {
  ASSERT_EQ(read({}), "");
  const lambda::MappingOptions mapping = bridge_->mapping();
  EXPECT_EQ(mapping.batch_records_most, 100u);
  EXPECT_EQ(mapping.window, 500ms);
  EXPECT_EQ(mapping.retries_most, -1);
  EXPECT_FALSE(mapping.record_age_most.has_value());
  EXPECT_FALSE(mapping.chaos.any());
  EXPECT_EQ(bridge_->timeout, 60s);
  EXPECT_EQ(bridge_->name(), "bootstrap");
  EXPECT_EQ(bridge_->start.kind, StartPosition::Kind::kEarliest);
}

TEST_F(BridgeOptionsTest, ADestinationMakesForEverTenTimes) {
  ASSERT_EQ(read({"--mode", "provisioned", "--on-failure", "d"}), "");
  EXPECT_EQ(bridge_->mapping().retries_most, 10);
  ASSERT_EQ(read({"--mode", "provisioned", "--on-failure", "d", "--maximum-retry-attempts", "0"}), "");
  EXPECT_EQ(bridge_->mapping().retries_most, 0);
  ASSERT_EQ(read({"--mode", "provisioned"}), "");
  EXPECT_EQ(bridge_->mapping().retries_most, -1);
}

TEST_F(BridgeOptionsTest, LimitsAreTheServices) {
  EXPECT_TRUE(refuses({"--batch-size", "0"}, "--batch-size"));
  EXPECT_TRUE(refuses({"--batch-size", "10001"}, "--batch-size"));
  EXPECT_TRUE(refuses({"--batching-window", "301s"}, "--batching-window is 0s to 5m"));
  EXPECT_TRUE(refuses({"--timeout", "16m"}, "--timeout"));
  EXPECT_TRUE(refuses({"--mode", "provisioned", "--maximum-retry-attempts", "10001"}, "--maximum-retry-attempts"));
  EXPECT_TRUE(refuses({"--mode", "provisioned", "--maximum-record-age", "59s"}, "1m to 7d"));
  EXPECT_TRUE(refuses({"--mode", "provisioned", "--maximum-record-age", "604801"}, "1m to 7d"));
  ASSERT_EQ(read({"--mode", "provisioned", "--maximum-record-age", "60", "--batching-window", "0s"}), "");
  EXPECT_EQ(bridge_->mapping().record_age_most, 60s);
  ASSERT_EQ(read({"--mode", "provisioned", "--maximum-record-age", "-1"}), "");
  EXPECT_FALSE(bridge_->mapping().record_age_most.has_value());
}

TEST_F(BridgeOptionsTest, AnOnDemandMappingHasNoRetryOptions) {
  EXPECT_TRUE(refuses({"--bisect"}, "--bisect needs --mode provisioned"));
  EXPECT_TRUE(refuses({"--maximum-record-age", "1h"}, "--maximum-record-age needs --mode provisioned"));
}

TEST_F(BridgeOptionsTest, ChaosByName) {
  ASSERT_EQ(read({"--chaos", "recut,drop-reply", "--seed", "7"}), "");
  const lambda::MappingOptions mapping = bridge_->mapping();
  EXPECT_TRUE(mapping.chaos.recut);
  EXPECT_TRUE(mapping.chaos.drop_reply);
  EXPECT_FALSE(mapping.chaos.duplicate);
  EXPECT_FALSE(mapping.chaos.reverse_halves);
  EXPECT_EQ(mapping.seed, 7u);
  EXPECT_TRUE(refuses({"--chaos", "recut,monkeys"}, "'monkeys' is not one of recut"));
}

TEST_F(BridgeOptionsTest, TheFunctionsEnvironmentIsAwsAndWhatIsNamed) {
  ::setenv("AWS_ACCESS_KEY_ID", "id", 1);  // before any thread
  ::setenv("AWS_LAMBDA_RUNTIME_API", "elsewhere", 1);
  ::setenv("CULVERT_TEST_UNRELATED", "secret", 1);
  ::setenv("PASSED_ON", "along", 1);
  ASSERT_EQ(read({"--env", "CULVERT_TABLE=dynamodb:a=b", "--env", "PASSED_ON", "--env", "EMPTY=", "--env",
                  "AWS_REGION=eu-central-1"}),
            "");
  EXPECT_EQ(bridge_->function_variable("CULVERT_TABLE"), "dynamodb:a=b");
  EXPECT_EQ(bridge_->function_variable("PASSED_ON"), "along");
  EXPECT_EQ(bridge_->function_variable("EMPTY"), "");
  EXPECT_EQ(bridge_->function_variable("AWS_ACCESS_KEY_ID"), "id");
  EXPECT_EQ(bridge_->function_variable("AWS_LAMBDA_RUNTIME_API"), std::nullopt);
  EXPECT_EQ(bridge_->function_variable("CULVERT_TEST_UNRELATED"), std::nullopt);
  EXPECT_EQ(bridge_->region(), "eu-central-1");
  EXPECT_TRUE(refuses({"--env", "=x"}, "is not NAME=VALUE"));
  EXPECT_TRUE(refuses({"--env", "NOT_SET_ANYWHERE"}, "is not set here"));
  EXPECT_TRUE(refuses({"--env", "AWS_LAMBDA_RUNTIME_API=x:1"}, "is for the bridge to say"));
  EXPECT_TRUE(refuses({"--create-table"}, "CULVERT_TABLE"));
}

TEST_F(BridgeOptionsTest, AUrlIsNotStarted) {
  ASSERT_EQ(read({}), "");
  EXPECT_FALSE(bridge_->function_is_url());
  ASSERT_EQ(read({}, "http://localhost:9000"), "");
  EXPECT_TRUE(bridge_->function_is_url());
  EXPECT_EQ(bridge_->name(), "function");
  EXPECT_NE(read({"--freeze"}, "http://localhost:9000").find("not for a URL"), std::string::npos);
}

}  // namespace
}  // namespace culvert
