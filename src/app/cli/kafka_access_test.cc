// SPDX-License-Identifier: Apache-2.0
#include "app/cli/kafka_access.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace culvert {
namespace {

using Properties = std::map<std::string, std::string>;

Connection connection(Authentication authentication) {
  Connection made;
  made.region = "eu-central-1";
  made.authentication = authentication;
  made.brokers = {{1, "b-1.x.example.com", 9096, "", {}}, {2, "b-2.x.example.com", 9096, "", {}}};
  return made;
}

class KafkaAccessTest : public testing::Test {
 protected:
  // What is wrong, or empty.
  std::string apply() {
    const auto applied = apply_access(target_, access_, warnings_);
    if (applied) return {};
    kind_ = applied.error().kind;
    return applied.error().message;
  }
  void given(const std::string& name, const std::string& value) { target_.properties[name] = value; }

  KafkaTarget target_;
  KafkaAccess access_;
  std::vector<std::string> warnings_;
  ErrorKind kind_ = ErrorKind::kInternal;
};

TEST_F(KafkaAccessTest, WithoutAnythingNothingChanges) {
  given("security.protocol", "SSL");
  target_.bootstrap_servers = "h:1";
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.properties, (Properties{{"security.protocol", "SSL"}}));
  EXPECT_FALSE(target_.msk_iam);
}

TEST_F(KafkaAccessTest, ScramTakesTheUserFromTheSecret) {
  access_.connection = connection(Authentication::kScram);
  access_.credentials = UserPassword{"culvert", "hidden"};
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.bootstrap_servers, "b-1.x.example.com:9096,b-2.x.example.com:9096");
  EXPECT_EQ(target_.properties, (Properties{{"security.protocol", "SASL_SSL"},
                                            {"sasl.mechanism", "SCRAM-SHA-512"},
                                            {"sasl.username", "culvert"},
                                            {"sasl.password", "hidden"}}));
}

TEST_F(KafkaAccessTest, ExplicitOptionsWin) {
  access_.connection = connection(Authentication::kScram);
  target_.bootstrap_servers = "127.0.0.1:9999";
  given("security.protocol", "SASL_PLAINTEXT");
  given("sasl.mechanisms", "SCRAM-SHA-256");
  given("sasl.username", "me");
  given("sasl.password", "mine");
  const Properties before = target_.properties;
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.bootstrap_servers, "127.0.0.1:9999");
  EXPECT_EQ(target_.properties, before);
}

TEST_F(KafkaAccessTest, ScramWithoutAUserSaysHowToGiveOne) {
  access_.connection = connection(Authentication::kScram);
  EXPECT_NE(apply().find("--credentials secret:ARN"), std::string::npos);
  EXPECT_EQ(kind_, ErrorKind::kConfiguration);
}

TEST_F(KafkaAccessTest, TwoPasswordsAreOneTooMany) {
  access_.connection = connection(Authentication::kScram);
  access_.credentials = UserPassword{"culvert", "hidden"};
  given("sasl.password", "other");
  const std::string said = apply();
  EXPECT_NE(said.find("--credentials gives sasl.password"), std::string::npos) << said;
  EXPECT_EQ(said.find("hidden"), std::string::npos);
  EXPECT_EQ(said.find("other,"), std::string::npos);
}

TEST_F(KafkaAccessTest, CredentialsAloneMeanScram) {
  access_.credentials = UserPassword{"culvert", "hidden"};
  given("security.protocol", "SASL_PLAINTEXT");
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.properties["sasl.mechanism"], "SCRAM-SHA-512");
  EXPECT_EQ(target_.properties["security.protocol"], "SASL_PLAINTEXT");
  EXPECT_EQ(target_.properties["sasl.username"], "culvert");
}

TEST_F(KafkaAccessTest, CertificatesMustBeGiven) {
  access_.connection = connection(Authentication::kMtls);
  EXPECT_NE(apply().find("ssl.certificate.location"), std::string::npos);
  given("ssl.certificate.location", "client.pem");
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.properties["security.protocol"], "SSL");
}

TEST_F(KafkaAccessTest, IamTakesTheRegionOfTheDocument) {
  access_.connection = connection(Authentication::kIam);
  access_.environment_region = [] { return std::optional<std::string>("us-east-1"); };
  EXPECT_EQ(apply(), "");
  EXPECT_TRUE(target_.msk_iam);
  EXPECT_EQ(target_.region, "eu-central-1");
  EXPECT_EQ(target_.properties, (Properties{{"security.protocol", "SASL_SSL"}, {"sasl.mechanism", "OAUTHBEARER"}}));
}

TEST_F(KafkaAccessTest, TheRegionIsLookedForInThisOrder) {
  access_.auth = AuthChoice::kMskIam;
  target_.bootstrap_servers = "localhost:9098";
  EXPECT_NE(apply().find("--kafka-region"), std::string::npos);
  access_.environment_region = [] { return std::optional<std::string>("us-east-1"); };
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.region, "us-east-1");
  target_.bootstrap_servers =
      "b-1.a.b.c2.kafka.eu-west-1.amazonaws.com:9098,b-2.a.b.c2.kafka.eu-west-1.amazonaws.com:9";
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.region, "eu-west-1");
  access_.region = "eu-north-1";
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.region, "eu-north-1");
}

TEST_F(KafkaAccessTest, AnotherMechanismContradictsIamOnlyWhereBothAreExplicit) {
  access_.connection = connection(Authentication::kIam);
  given("sasl.mechanism", "SCRAM-SHA-512");
  EXPECT_EQ(apply(), "");
  EXPECT_FALSE(target_.msk_iam);
  access_.auth = AuthChoice::kMskIam;
  EXPECT_NE(apply().find("sasl.mechanism is SCRAM-SHA-512"), std::string::npos);
  EXPECT_EQ(kind_, ErrorKind::kUsage);
}

TEST_F(KafkaAccessTest, IamTakesNoUser) {
  access_.connection = connection(Authentication::kIam);
  access_.credentials = UserPassword{"culvert", "hidden"};
  EXPECT_NE(apply().find("leave it out"), std::string::npos);
}

TEST_F(KafkaAccessTest, IdleConnectionsAreClosedBeforeThePathForgetsThem) {
  access_.connection = connection(Authentication::kIam);
  access_.connection->client_idle_ms_max = 30'000;
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.properties["connections.max.idle.ms"], "30000");
  EXPECT_TRUE(warnings_.empty());

  given("connections.max.idle.ms", "20000");
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.properties["connections.max.idle.ms"], "20000");
  EXPECT_TRUE(warnings_.empty());

  for (const char* too_long : {"60000", "0"}) {
    given("connections.max.idle.ms", too_long);
    warnings_.clear();
    EXPECT_EQ(apply(), "");
    EXPECT_EQ(target_.properties["connections.max.idle.ms"], too_long);
    EXPECT_EQ(warnings_.size(), 1u);
  }
}

TEST_F(KafkaAccessTest, ALongIdleTimeOfThePathDoesNotLengthenOurs) {
  access_.connection = connection(Authentication::kIam);
  access_.connection->client_idle_ms_max = 870'000;
  EXPECT_EQ(apply(), "");
  EXPECT_EQ(target_.properties["connections.max.idle.ms"], "240000");
}

TEST(RegionOfBrokers, OnlyAmazonsNamesTellIt) {
  EXPECT_EQ(region_of_brokers("b-1.a.b.c2.kafka.eu-central-1.amazonaws.com:9098"), "eu-central-1");
  EXPECT_EQ(region_of_brokers("boot-x.c1.kafka-serverless.us-east-1.amazonaws.com:9098"), "us-east-1");
  EXPECT_EQ(region_of_brokers("b-1.a.b.c2.kafka.cn-north-1.amazonaws.com.cn:9098"), "cn-north-1");
  for (const char* name : {"", "localhost:9092", "kafka.example.com:9092", "b-1.kafka.x.y.amazonaws.com:1",
                           "b-1.kafka..amazonaws.com:1"}) {
    EXPECT_EQ(region_of_brokers(name), "") << name;
  }
}

}  // namespace
}  // namespace culvert
