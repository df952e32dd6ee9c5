// SPDX-License-Identifier: Apache-2.0
#include "app/cli/connection.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace culvert {
namespace {

struct Case {
  std::string name;
  std::string says;  // empty: accepted
  std::string document;
};

std::vector<Case> read_cases() {
  std::ifstream file(CULVERT_GOLDEN "/connection.txt");
  std::vector<Case> cases;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("case ")) cases.push_back({line.substr(5), "", ""});
    if (line.starts_with("says ")) cases.back().says = line.substr(5);
    if (line.starts_with("document ")) cases.back().document = line.substr(9);
  }
  return cases;
}

const std::string& document(const std::vector<Case>& cases, std::string_view name) {
  for (const Case& each : cases) {
    if (each.name == name) return each.document;
  }
  static const std::string none;
  return none;
}

TEST(ConnectionDocument, EveryCaseComesToItsVerdict) {
  const auto cases = read_cases();
  ASSERT_GE(cases.size(), 40u);
  for (const Case& each : cases) {
    const auto connection = parse_connection(each.document, "FILE");
    if (each.says.empty()) {
      EXPECT_TRUE(connection.ok()) << each.name << ": " << connection.error().message;
      continue;
    }
    ASSERT_FALSE(connection.ok()) << each.name;
    EXPECT_EQ(connection.error().kind, ErrorKind::kConfiguration) << each.name;
    EXPECT_NE(connection.error().message.find("connection document FILE: " + each.says), std::string::npos)
        << each.name << ": " << connection.error().message;
  }
}

TEST(ConnectionDocument, IsReadAsItIsWritten) {
  const auto connection = parse_connection(document(read_cases(), "everything"), "FILE");
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->region, "eu-central-1");
  EXPECT_EQ(connection->kafka_version, "3.9.x.kraft");
  EXPECT_EQ(connection->authentication, Authentication::kScram);
  EXPECT_EQ(connection->client_idle_ms_max, 870'000);
  ASSERT_EQ(connection->brokers.size(), 3u);
  // In order of ids, not of their texts.
  EXPECT_EQ(connection->brokers[0].id, 1);
  EXPECT_EQ(connection->brokers[1].id, 2);
  EXPECT_EQ(connection->brokers[2].id, 10);
  EXPECT_EQ(connection->brokers[0].zone_ids, (std::vector<std::string>{"euc1-az1", "euc1-az2"}));
  EXPECT_EQ(connection->brokers[2].service_name, "com.amazonaws.vpce.eu-central-1.vpce-svc-0123456789abcdef1");
  EXPECT_EQ(connection->bootstrap_servers(),
            "b-1.telemetry.abcdef.c2.kafka.eu-central-1.amazonaws.com:9096,"
            "b-2.telemetry.abcdef.c2.kafka.eu-central-1.amazonaws.com:9096,"
            "b-10.telemetry.abcdef.c2.kafka.eu-central-1.amazonaws.com:9096");
}

TEST(ConnectionDocument, WithoutServicesTheyAreEmpty) {
  const auto connection = parse_connection(document(read_cases(), "managed-connectivity"), "FILE");
  ASSERT_TRUE(connection);
  EXPECT_EQ(connection->authentication, Authentication::kIam);
  EXPECT_FALSE(connection->client_idle_ms_max);
  EXPECT_TRUE(connection->brokers[0].service_name.empty());
  EXPECT_EQ(connection->brokers[0].zone_ids, std::vector<std::string>{"euc1-az1"});
}

TEST(ConnectionDocument, LongerThanASecretIsRefused) {
  const auto refused = parse_connection("{\"a\":\"" + std::string(kConnectionBytesMost, 'x') + "\"}", "FILE");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("longer than 64 KiB"), std::string::npos);
}

TEST(UserPassword, OtherMembersOfTheSecretDoNotMatter) {
  const auto user = parse_user_password(R"({"username":"culvert","password":"p@ss","engine":"kafka"})", "FILE");
  ASSERT_TRUE(user);
  EXPECT_EQ(user->username, "culvert");
  EXPECT_EQ(user->password, "p@ss");
}

TEST(UserPassword, ARefusalShowsNothingOfTheText) {
  for (const char* text : {"hunter2", R"({"username":"u","pass":"hunter2"})", R"({"username":"","password":"hunter2"})",
                           R"({"username":"u","password":["hunter2"]})", R"(["hunter2"])"}) {
    const auto refused = parse_user_password(text, "FILE");
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().kind, ErrorKind::kConfiguration);
    EXPECT_EQ(refused.error().message.find("hunter2"), std::string::npos) << refused.error().message;
  }
}

}  // namespace
}  // namespace culvert
