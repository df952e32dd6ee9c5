// SPDX-License-Identifier: Apache-2.0
#include "adapters/broker_addresses/reconciler.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>

#include "adapters/broker_addresses/cluster_nodes.h"
#include "adapters/broker_addresses/target_groups.h"
#include "fakes/http_fake_server.h"

namespace culvert::broker_addresses {
namespace {

using fakes::FakeReply;
using fakes::FakeRequest;
using fakes::HttpFakeServer;

std::string health_xml(const std::string& members) {
  return "<DescribeTargetHealthResponse xmlns=\"http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/\">"
         "<DescribeTargetHealthResult><TargetHealthDescriptions>" +
         members + "</TargetHealthDescriptions></DescribeTargetHealthResult></DescribeTargetHealthResponse>";
}

std::string member_xml(const std::string& address, const std::string& state) {
  return "<member><HealthCheckPort>9096</HealthCheckPort><TargetHealth><State>" + state +
         "</State><Reason>Target.X</Reason></TargetHealth><Target><Port>9096</Port><Id>" + address +
         "</Id></Target></member>";
}

TEST(TargetHealth, EveryStateIsReadAndTheRestIsRefused) {
  const auto targets = parse_target_health(health_xml(
      member_xml("10.0.0.1", "healthy") + member_xml("10.0.0.2", "initial") + member_xml("10.0.0.3", "unhealthy") +
      member_xml("10.0.0.4", "draining") + member_xml("10.0.0.5", "unavailable")));
  ASSERT_TRUE(targets) << targets.error().message;
  ASSERT_EQ(targets->size(), 5u);
  EXPECT_EQ((*targets)[0].health, Health::kHealthy);
  EXPECT_EQ((*targets)[1].health, Health::kStarting);
  EXPECT_EQ((*targets)[2].health, Health::kUnhealthy);
  EXPECT_EQ((*targets)[2].reason, "unhealthy, Target.X");
  EXPECT_EQ((*targets)[3].health, Health::kLeaving);
  EXPECT_EQ((*targets)[4].health, Health::kUnhealthy);
  EXPECT_EQ((*targets)[4].text(), "10.0.0.5:9096");
  const auto none = parse_target_health(health_xml(""));
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());

  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("<html></html>"), health_xml("<other/>"), health_xml("<member/>"),
        health_xml(member_xml("", "healthy")), health_xml(member_xml("10.0.0.1", "healthy")).substr(0, 200), deep}) {
    const auto refused = parse_target_health(text);
    ASSERT_FALSE(refused) << text.substr(0, 300);
    EXPECT_EQ(refused.error().kind, ErrorKind::kUnavailable);
  }
}

TEST(NodePage, ControllersAreLeftOut) {
  const auto page = parse_node_page(R"({"nextToken":"t","nodeInfoList":[
    {"nodeType":"BROKER","brokerNodeInfo":{"brokerId":1,"clientVpcIpAddress":"10.0.0.1","endpoints":["b-1.x"]}},
    {"nodeType":"BROKER","brokerNodeInfo":{"brokerId":2.0,"clientVpcIpAddress":"10.0.0.2",
     "endpoints":["b-2.x","b-2.y"]}},
    {"nodeType":"CONTROLLER","controllerNodeInfo":{"endpoints":["c-1.x"]}}]})");
  ASSERT_TRUE(page) << page.error().message;
  EXPECT_EQ(page->next_token, "t");
  ASSERT_EQ(page->nodes.size(), 2u);
  EXPECT_EQ(page->nodes[1].id, 2);
  EXPECT_EQ(page->nodes[1].hosts, (std::vector<std::string>{"b-2.x", "b-2.y"}));
  for (const char* text : {"", "[]", "{}", R"({"nodeInfoList":{}})", R"({"nodeInfoList":[{"brokerNodeInfo":{}}]})",
                           R"({"nodeInfoList":[{"brokerNodeInfo":{"brokerId":1.5}}]})",
                           R"({"nodeInfoList":[{"brokerNodeInfo":{"brokerId":1e300}}]})",
                           R"({"nodeInfoList":[{"brokerNodeInfo":{"brokerId":"1"}}]})"}) {
    EXPECT_FALSE(parse_node_page(text)) << text;
  }
}

TEST(Brokers, AsTheInfrastructurePassesThem) {
  const auto brokers = parse_brokers(R"({"10":{"host":"b-10.x","port":9096,"target_group_arn":"tg10"},
                                         "2":{"host":"b-2.x","port":9096,"target_group_arn":"tg2"}})");
  ASSERT_TRUE(brokers) << brokers.error().message;
  ASSERT_EQ(brokers->size(), 2u);
  EXPECT_EQ((*brokers)[0].id, 2);
  EXPECT_EQ((*brokers)[1].target_group_arn, "tg10");
  for (const char* text :
       {"", "{}", "[1]", R"({"b-1":{"host":"h","port":1,"target_group_arn":"t"}})",
        R"({"1":{"port":1,"target_group_arn":"t"}})", R"({"1":{"host":"h","port":0,"target_group_arn":"t"}})",
        R"({"1":{"host":"h","port":1}})", R"({"1":"h"})"}) {
    const auto refused = parse_brokers(text);
    ASSERT_FALSE(refused) << text;
    EXPECT_EQ(refused.error().kind, ErrorKind::kConfiguration);
  }
}

class ReconcilerTest : public testing::Test {
 protected:
  ReconcilerTest() {
    options_.environment = [](const char* name) -> std::optional<std::string> {
      if (std::string_view{name} == "AWS_ACCESS_KEY_ID") return "AKIDEXAMPLE";
      if (std::string_view{name} == "AWS_SECRET_ACCESS_KEY") return "hidden";
      return std::nullopt;
    };
  }
  Result<Round> run() {
    aws::CredentialChain chain(client_, clock_, options_);
    const auto service = [&](const char* name, const char* signing) {
      return aws::ServiceOptions{name,    server_.endpoint(),           "eu-central-1",
                                 signing, std::chrono::milliseconds{1}, std::chrono::milliseconds{5}};
    };
    aws::Service kafka(client_, chain, clock_, service("Amazon MSK", "kafka"));
    aws::Service balancing(client_, chain, clock_, service("Elastic Load Balancing", "elasticloadbalancing"));
    Reconciler reconciler(kafka, balancing, "arn:aws:kafka:eu-central-1:1:cluster/x/1",
                          {{1, "b-1.x", 9096, "tg1"}, {2, "b-2.x", 9096, "tg2"}, {3, "b-3.x", 9096, "tg3"}});
    return reconciler.round(clock_.steady() + std::chrono::seconds{2});
  }
  FakeReply answer(const FakeRequest& request) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(request.method == "GET" ? request.target : request.body);
    if (request.method == "GET") {
      const bool second = request.target.find("nextToken=a%2Fb") != std::string::npos;
      return {.status = nodes_status_, .body = second ? second_page_ : first_page_};
    }
    for (const auto& [part, reply] : replies_) {
      if (request.body.find(part) != std::string::npos) return reply;
    }
    return {.status = 200, .body = "<RegisterTargetsResponse/>"};
  }
  std::vector<std::string> calls(const std::string& part) {
    const std::lock_guard lock(mutex_);
    std::vector<std::string> found;
    for (const std::string& call : calls_) {
      if (call.find(part) != std::string::npos) found.push_back(call);
    }
    return found;
  }

  std::mutex mutex_;
  int nodes_status_ = 200;
  std::string first_page_ = R"({"nextToken":"a/b","nodeInfoList":[
    {"brokerNodeInfo":{"brokerId":1,"clientVpcIpAddress":"10.0.0.1","endpoints":["b-1.x"]}},
    {"brokerNodeInfo":{"brokerId":2,"clientVpcIpAddress":"10.0.0.2","endpoints":["b-2.x"]}}]})";
  std::string second_page_ = R"({"nodeInfoList":[
    {"brokerNodeInfo":{"brokerId":3,"clientVpcIpAddress":"10.0.0.3","endpoints":["b-3.x"]}}]})";
  std::map<std::string, FakeReply> replies_;  // by a part of the request's body
  std::vector<std::string> calls_;
  aws::CredentialOptions options_;
  SystemClock clock_;
  HttpFakeServer server_{[this](const FakeRequest& request) { return answer(request); }};
  http::DnsResolver resolver_;
  http::Client client_{{}, resolver_};
};

TEST_F(ReconcilerTest, EachBrokerIsLookedAfterByItself) {
  replies_["DescribeTargetHealth&Version=2015-12-01&TargetGroupArn=tg1"] = {
      .status = 200, .body = health_xml(member_xml("10.0.0.7", "healthy"))};
  replies_["DescribeTargetHealth&Version=2015-12-01&TargetGroupArn=tg2"] = {
      .status = 400, .body = "<ErrorResponse><Error><Code>TargetGroupNotFound</Code></Error></ErrorResponse>"};
  replies_["DescribeTargetHealth&Version=2015-12-01&TargetGroupArn=tg3"] = {
      .status = 200, .body = health_xml(member_xml("10.0.0.3", "healthy") + member_xml("10.0.0.8", "healthy"))};
  const auto round = run();
  ASSERT_TRUE(round) << round.error().message;
  EXPECT_EQ(round->count(Step::kRegister), 1);
  EXPECT_EQ(round->count(Step::kRemove), 1);
  ASSERT_TRUE(round->error());
  EXPECT_EQ(round->error()->kind, ErrorKind::kConfiguration);
  EXPECT_TRUE(round->error()->message.starts_with("broker 2: DescribeTargetHealth of tg2: TargetGroupNotFound"))
      << round->error()->message;
  EXPECT_EQ(calls("egisterTargets"),
            (std::vector<std::string>{
                "Action=RegisterTargets&Version=2015-12-01&TargetGroupArn=tg1&Targets.member.1.Id=10.0.0.1"
                "&Targets.member.1.Port=9096",
                "Action=DeregisterTargets&Version=2015-12-01&TargetGroupArn=tg3&Targets.member.1.Id=10.0.0.8"
                "&Targets.member.1.Port=9096"}));
  EXPECT_NE(round->json().find(R"("1":"registered: it has moved from 10.0.0.7:9096 to 10.0.0.1:9096")"),
            std::string::npos)
      << round->json();
}

TEST_F(ReconcilerTest, WithoutKnowingWhereTheBrokersAreNothingIsTouched) {
  nodes_status_ = 403;
  first_page_ = R"({"message":"User is not authorized"})";
  const auto refused = run();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::kPermission);
  EXPECT_EQ(calls("Action=").size(), 0u);

  nodes_status_ = 200;
  first_page_ = second_page_ = R"({"nextToken":"a/b","nodeInfoList":[]})";
  const auto circle = run();
  ASSERT_FALSE(circle);
  EXPECT_NE(circle.error().message.find("leads back to itself"), std::string::npos);
  EXPECT_EQ(calls("Action=").size(), 0u);
}

TEST_F(ReconcilerTest, AChangedIdentityIsRefusedAndTold) {
  second_page_ = R"({"nodeInfoList":[
    {"brokerNodeInfo":{"brokerId":3,"clientVpcIpAddress":"10.0.0.3","endpoints":["b-3.other"]}}]})";
  replies_["Describe"] = {.status = 200, .body = health_xml(member_xml("10.0.0.1", "healthy"))};
  const auto round = run();
  ASSERT_TRUE(round);
  EXPECT_TRUE(round->brokers[2].identity_changed);
  EXPECT_EQ(round->error()->kind, ErrorKind::kData);
  EXPECT_NE(round->error()->message.find("broker 3: broker 3 is b-3.other now and no longer b-3.x"), std::string::npos)
      << round->error()->message;
  EXPECT_EQ(calls("TargetGroupArn=tg3").size(), 1u);  // it was looked at
}

}  // namespace
}  // namespace culvert::broker_addresses
