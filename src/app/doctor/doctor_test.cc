// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <string>

#include "adapters/probe/kafka_wire.h"
#include "app/doctor/brokers.h"
#include "app/doctor/cloud.h"
#include "app/doctor/hops.h"
#include "app/doctor/kafka.h"
#include "app/doctor/output.h"
#include "app/doctor/rights.h"

namespace culvert {
namespace {

class NeverStops final : public StopFlag {
 public:
  bool requested() const override { return false; }
  int descriptor() const override { return -1; }
};

Hop hop(std::string_view name, std::vector<std::string_view> needs, const Finding& finding) {
  return {name, std::move(needs), [finding] { return finding; }};
}

std::vector<HopReport> walked(const std::vector<Hop>& hops, WalkResult* result = nullptr) {
  std::vector<HopReport> reports;
  const NeverStops stop;
  const SystemClock clock;
  const WalkResult got =
      walk(hops, stop, clock, {[](std::string_view) {}, [&](const HopReport& report) { reports.push_back(report); }});
  if (result != nullptr) *result = got;
  return reports;
}

TEST(Walk, WhatNeedsABrokenHopIsSkippedAndNamesTheFirstCause) {
  WalkResult result;
  const auto reports =
      walked({hop("a", {}, Finding::failed(ErrorKind::kUnavailable, "down", {})),
              hop("b", {"a"}, Finding::passed("never")), hop("c", {"b"}, Finding::passed("never")),
              hop("d", {}, Finding::failed(ErrorKind::kData, "torn", {})), hop("e", {}, Finding::passed("fine"))},
             &result);
  EXPECT_EQ(reports[1].finding.found, "needs a");
  EXPECT_EQ(reports[2].finding.found, "needs a");
  EXPECT_EQ(reports[4].finding.state, HopState::kPassed);
  EXPECT_EQ(result.exit_code, 69);  // of the first failure
  EXPECT_EQ(result.failed, (std::vector<std::string_view>{"a", "d"}));
}

TEST(Walk, AHopThatNobodyAskedForHoldsNothingUp) {
  const auto reports =
      walked({hop("a", {}, Finding::skipped("not asked for")), hop("b", {"a"}, Finding::passed("on"))});
  EXPECT_EQ(reports[1].finding.state, HopState::kPassed);
}

TEST(Finding, RemedyOfAnAdaptersMessageBecomesTheCause) {
  const Finding finding = Finding::of(Error::fatal(ErrorKind::kPermission, "table 'x': refused (ask for it)"));
  EXPECT_EQ(finding.found, "table 'x': refused");
  ASSERT_EQ(finding.causes.size(), 1U);
  EXPECT_EQ(finding.causes[0].remedy, "ask for it");
}

TEST(Output, TextFromOutsideCannotMoveTheCursor) {
  const HopReport report{"tls", Finding::failed(ErrorKind::kUnavailable, "issued by \x1b[2J", {{"c", "r\n"}})};
  EXPECT_EQ(hop_text(report, {}).find('\x1b'), std::string::npos);
  EXPECT_EQ(hop_json(report).find('\x1b'), std::string::npos);
  EXPECT_EQ(hop_json(report).find('\n'), std::string::npos);
}

TEST(Bootstrap, TakesWhatTheClientTakes) {
  const auto parsed = parse_bootstrap("b-1.x:9096, SASL_SSL://b-2.x:9097,[::1]:9098,plain,b-1.x:9096");
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(*parsed, (std::vector<HostPort>{{"b-1.x", 9096}, {"b-2.x", 9097}, {"::1", 9098}, {"plain", 9092}}));
  for (const char* wrong : {"", ",", ":9092", "b-1:0", "b-1:70000", "b-1:9x", "[::1"}) {
    EXPECT_FALSE(parse_bootstrap(wrong).ok()) << wrong;
  }
}

TEST(Addresses, PrivateOnes) {
  for (const char* text : {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "127.0.0.1",
                           "169.254.1.1", "fd00::1", "fe80::1", "::1"}) {
    EXPECT_TRUE(private_address(*http::Address::parse(text))) << text;
  }
  for (const char* text : {"8.8.8.8", "172.32.0.1", "100.128.0.1", "2600::1"}) {
    EXPECT_FALSE(private_address(*http::Address::parse(text))) << text;
  }
}

PartitionCheckpoint checkpoint(std::int64_t start, std::int64_t next, std::string topic_id = "id",
                               std::int64_t generation = 1) {
  PartitionCheckpoint stored{{"t", generation, PartitionId{0}}, {}};
  stored.checkpoint.start = Offset{start};
  stored.checkpoint.next = Offset{next};
  stored.checkpoint.topic_id = std::move(topic_id);
  return stored;
}

TopicLog topic_log(std::int64_t start, std::int64_t end, std::string id = "id") {
  return {{{PartitionId{0}, {Offset{start}, Offset{end}}}}, std::move(id)};
}

TEST(Position, JudgesAsConsumeDoes) {
  const auto state = [](const TopicLog& log, const PartitionCheckpoint& stored, std::int64_t generation = 1) {
    return position_finding("t", generation, log, {stored}).state;
  };
  EXPECT_EQ(state(topic_log(0, 10), checkpoint(0, 5)), HopState::kPassed);
  EXPECT_EQ(state(topic_log(5, 10), checkpoint(0, 5)), HopState::kPassed);      // next to be read is still there
  EXPECT_EQ(state(topic_log(6, 10), checkpoint(0, 5)), HopState::kFailed);      // one record is gone
  EXPECT_EQ(state(topic_log(6, 10), checkpoint(5, 5)), HopState::kFailed);      // nor was it the place to begin at
  EXPECT_EQ(state(topic_log(6, 10), checkpoint(0, 0, "")), HopState::kPassed);  // a function's: it promises nothing
  EXPECT_EQ(state(topic_log(0, 10), checkpoint(0, 11)), HopState::kFailed);     // above the end
  EXPECT_EQ(state(topic_log(0, 10, "other"), checkpoint(0, 5)), HopState::kFailed);
  EXPECT_EQ(state(topic_log(0, 10, ""), checkpoint(0, 5)), HopState::kPassed);  // brokers that tell no id
  EXPECT_EQ(state(topic_log(0, 10), checkpoint(0, 5, "id", 2)), HopState::kFailed);
  EXPECT_EQ(state(topic_log(0, 10), checkpoint(0, 5, "id", 2), 2), HopState::kPassed);
}

TEST(Idle, OnlyAKnownBalancerMakesItAFault) {
  EXPECT_EQ(idle_finding(Millis{240'000}, Millis{350'000}).state, HopState::kPassed);
  EXPECT_EQ(idle_finding(Millis{350'000}, Millis{350'000}).state, HopState::kFailed);
  EXPECT_EQ(idle_finding(Millis{0}, Millis{350'000}).state, HopState::kFailed);  // 0: kept for ever
  EXPECT_EQ(idle_finding(Millis{600'000}, std::nullopt).state, HopState::kPassed);
}

TEST(ClockHop, FiveMinutesAreTheLimit) {
  const auto state = [](std::int64_t ahead_ms) {
    return clock_finding(ClockComparison{"http://x", std::chrono::milliseconds{ahead_ms}}, {}).state;
  };
  EXPECT_EQ(state(0), HopState::kPassed);
  EXPECT_EQ(state(-299'999), HopState::kPassed);
  EXPECT_EQ(state(300'000), HopState::kFailed);
  EXPECT_EQ(state(-300'000), HopState::kFailed);
}

TEST(KafkaWire, ReadsWhatItAskedForAndNothingElse) {
  using probe::parse_api_versions;
  using probe::parse_sasl_handshake;
  const std::vector<std::uint8_t> versions{0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 1, 0, 4, 0, 18, 0, 3, 0, 0, 0, 13};
  const auto reply = parse_api_versions(versions, 1);
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->ranges.at(probe::kApiFetch), (probe::ApiRange{4, 18}));
  EXPECT_EQ(kafka_release(*reply), "Kafka 4.1 or later");
  EXPECT_TRUE(knows_topic_ids(*reply));
  EXPECT_FALSE(parse_api_versions(versions, 2));  // somebody else's correlation
  for (std::size_t bytes = 0; bytes < versions.size(); ++bytes) {
    EXPECT_FALSE(parse_api_versions({versions.data(), bytes}, 1)) << bytes;
  }
  const std::vector<std::uint8_t> sasl{0, 0, 0, 2, 0, 33, 0, 0, 0, 1, 0, 5, 'P', 'L', 'A', 'I', 'N'};
  const auto mechanisms = parse_sasl_handshake(sasl, 2);
  ASSERT_TRUE(mechanisms);
  EXPECT_EQ(mechanisms->error, probe::kUnsupportedMechanism);
  EXPECT_EQ(mechanisms->mechanisms, std::vector<std::string>{"PLAIN"});
  const std::vector<std::uint8_t> many{0, 0, 0, 2, 0, 33, 0x7f, 0xff, 0xff, 0xff};
  EXPECT_FALSE(parse_sasl_handshake(many, 2));
  const std::array<std::uint8_t, 4> huge{0x16, 0x03, 0x01, 0x00};
  EXPECT_FALSE(probe::frame_bytes(huge));
}

TEST(KafkaWire, ReleasesByTheRangeOfFetch) {
  const auto release = [](std::int16_t first, std::int16_t last) {
    probe::ApiVersionsReply reply;
    reply.ranges[probe::kApiFetch] = {first, last};
    return kafka_release(reply);
  };
  EXPECT_EQ(release(0, 4), "Kafka before 2.3");
  EXPECT_EQ(release(0, 12), "Kafka 2.7 or later, before 3.1");
  EXPECT_EQ(release(0, 17), "Kafka 3.9 or later, before 4.0");
  EXPECT_EQ(release(4, 17), "Kafka 4.0");
  EXPECT_EQ(release(4, 18), "Kafka 4.1 or later");
  EXPECT_EQ(release(4, 99), "Kafka 4.1 or later");
}

TEST(DoctorRights, ALineIsForOneShellAndOneName) {
  const std::string line = "let an administrator grant ";
  EXPECT_EQ(acl_command("b-1.example:9096", "User:culvert", {"Read", "topic", "telemetry"}),
            line +
                "Read: kafka-acls.sh --bootstrap-server b-1.example:9096 --command-config ADMIN.properties --add "
                "--allow-principal User:culvert --operation Read --topic telemetry");
  EXPECT_EQ(acl_command("b:1", "User:CN=a b,O=it's", {"Write", "group", "g h"}),
            line +
                "Write: kafka-acls.sh --bootstrap-server b:1 --command-config ADMIN.properties --add "
                "--allow-principal 'User:CN=a b,O=it'\\''s' --operation Write --group 'g h'");
  EXPECT_EQ(acl_command("b:1", "", {"DescribeConfigs", "cluster"}),
            line +
                "DescribeConfigs: kafka-acls.sh --bootstrap-server b:1 --command-config ADMIN.properties --add "
                "--allow-principal User:NAME --operation DescribeConfigs --cluster");
}

TEST(DoctorRights, WhereIamDecidesTheActionsAndTheResourceAreNamed) {
  const std::string arn = "arn:aws:kafka:eu-central-1:111111111111:";
  const std::string end = " in this identity's policy, and in the cluster's where it belongs to another account";
  const std::string cluster = arn + "cluster/telemetry/4f-5";
  EXPECT_EQ(
      iam_statement(cluster, {"Read", "topic", "readings"}),
      "allow kafka-cluster:ReadData and kafka-cluster:DescribeTopic on " + arn + "topic/telemetry/4f-5/readings" + end);
  EXPECT_EQ(iam_statement(cluster, {"Write", "topic", "readings"}),
            "allow kafka-cluster:WriteData and kafka-cluster:DescribeTopic on " + arn +
                "topic/telemetry/4f-5/readings" + end);
  EXPECT_EQ(iam_statement(cluster, {"Read", "group", "windows"}),
            "allow kafka-cluster:AlterGroup and kafka-cluster:DescribeGroup on " + arn +
                "group/telemetry/4f-5/windows" + end);
  EXPECT_EQ(iam_statement("", {"Read", "topic", "readings"}),
            "allow kafka-cluster:ReadData and kafka-cluster:DescribeTopic on topic 'readings' of the cluster" + end);
}

}  // namespace
}  // namespace culvert
