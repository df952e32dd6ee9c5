// SPDX-License-Identifier: Apache-2.0
#include "adapters/broker_addresses/plan.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace culvert::broker_addresses {
namespace {

const Broker kBroker{2, "b-2.x", 9096, "tg-2"};

Node node(std::int32_t id, const std::string& address) { return {id, address, {"b-" + std::to_string(id) + ".x"}}; }
Target target(const std::string& address, Health health, std::uint16_t port = 9096) { return {address, port, health}; }

std::vector<std::string> addresses(const Decision& decision) {
  std::vector<std::string> all;
  for (const Target& each : decision.targets) all.push_back(each.text());
  return all;
}

TEST(Plan, InPlace) {
  const auto decision = decide(kBroker, std::vector{node(1, "10.0.0.1"), node(2, "10.0.0.2")},
                               std::vector{target("10.0.0.2", Health::kHealthy)});
  EXPECT_EQ(decision.step, Step::kNone);
  EXPECT_FALSE(decision.behind);
}

TEST(Plan, AMovedBrokerIsRegisteredThenWaitedForThenTheOldOneGoes) {
  const std::vector nodes{node(2, "10.0.0.9")};
  const auto first = decide(kBroker, nodes, std::vector{target("10.0.0.2", Health::kUnhealthy)});
  EXPECT_EQ(first.step, Step::kRegister);
  EXPECT_EQ(addresses(first), std::vector<std::string>{"10.0.0.9:9096"});
  EXPECT_EQ(first.why, "it has moved from 10.0.0.2:9096 to 10.0.0.9:9096");
  EXPECT_TRUE(first.behind);
  for (const Health health : {Health::kStarting, Health::kUnhealthy}) {
    const auto second =
        decide(kBroker, nodes, std::vector{target("10.0.0.2", Health::kHealthy), target("10.0.0.9", health)});
    EXPECT_EQ(second.step, Step::kWait);
    EXPECT_TRUE(second.targets.empty());
    EXPECT_TRUE(second.behind);
  }
  const auto third = decide(kBroker, nodes,
                            std::vector{target("10.0.0.2", Health::kHealthy), target("10.0.0.7", Health::kUnhealthy),
                                        target("10.0.0.9", Health::kHealthy)});
  EXPECT_EQ(third.step, Step::kRemove);
  EXPECT_EQ(addresses(third), (std::vector<std::string>{"10.0.0.2:9096", "10.0.0.7:9096"}));
  const auto last =
      decide(kBroker, nodes, std::vector{target("10.0.0.2", Health::kLeaving), target("10.0.0.9", Health::kHealthy)});
  EXPECT_EQ(last.step, Step::kNone);
}

TEST(Plan, AnotherPortIsAnotherTarget) {
  const auto decision =
      decide(kBroker, std::vector{node(2, "10.0.0.2")}, std::vector{target("10.0.0.2", Health::kHealthy, 9094)});
  EXPECT_EQ(decision.step, Step::kRegister);
}

TEST(Plan, ATargetThatIsLeavingIsRegisteredAgain) {
  const auto decision =
      decide(kBroker, std::vector{node(2, "10.0.0.2")}, std::vector{target("10.0.0.2", Health::kLeaving)});
  EXPECT_EQ(decision.step, Step::kRegister);
}

TEST(Plan, ADownBrokerThatDidNotMoveIsLeftAlone) {
  const auto decision =
      decide(kBroker, std::vector{node(2, "10.0.0.2")}, std::vector{target("10.0.0.2", Health::kUnhealthy)});
  EXPECT_EQ(decision.step, Step::kWait);
  EXPECT_FALSE(decision.behind);
}

TEST(Plan, WhatIsNotCertainIsRefused) {
  const std::vector old{target("10.0.0.2", Health::kHealthy)};
  const auto why = [&](const std::vector<Node>& nodes) {
    const auto decision = decide(kBroker, nodes, old);
    EXPECT_EQ(decision.step, Step::kRefuse);
    EXPECT_TRUE(decision.targets.empty());
    return decision.why;
  };
  EXPECT_NE(why({}).find("lists no broker 2"), std::string::npos);
  EXPECT_NE(why({node(1, "10.0.0.2")}).find("lists no broker 2"), std::string::npos);
  EXPECT_NE(why({node(2, "10.0.0.2"), node(2, "10.0.0.3")}).find("more than once"), std::string::npos);
  EXPECT_NE(why({node(2, "10.0.0.3"), node(1, "10.0.0.3")}).find("both at 10.0.0.3"), std::string::npos);
  EXPECT_NE(why({node(2, "")}).find("no IPv4 address"), std::string::npos);
  EXPECT_NE(why({node(2, "fe80::1")}).find("no IPv4 address"), std::string::npos);
  const Node renamed{2, "10.0.0.3", {"b-2.other"}};
  EXPECT_NE(why({renamed}).find("its identity has changed"), std::string::npos);
  EXPECT_TRUE(decide(kBroker, std::vector{renamed}, old).identity_changed);
  EXPECT_TRUE(decide(kBroker, std::vector{Node{2, "10.0.0.3", {}}}, old).identity_changed);
}

// A load balancer's target group as time passes.
class Group {
 public:
  void add(const Target& target) { health_[target.text()] = {target, Health::kStarting}; }
  void drain(const Target& target) { health_[target.text()].second = Health::kLeaving; }
  void set(const std::string& key, Health health) {
    const auto found = health_.find(key);
    if (found != health_.end() && found->second.second != Health::kLeaving) found->second.second = health;
  }
  std::vector<Target> targets() const {
    std::vector<Target> all;
    for (const auto& [key, entry] : health_) {
      all.push_back(entry.first);
      all.back().health = entry.second;
    }
    return all;
  }
  std::int64_t healthy() const {
    return std::count_if(health_.begin(), health_.end(),
                         [](const auto& entry) { return entry.second.second == Health::kHealthy; });
  }

 private:
  std::map<std::string, std::pair<Target, Health>> health_;
};

Health any_health() { return *rc::gen::element(Health::kHealthy, Health::kStarting, Health::kUnhealthy); }
std::string any_address() { return "10.0.0." + std::to_string(*rc::gen::inRange(1, 6)); }

RC_GTEST_PROP(PlanProperties, NeverTheLastHealthyTargetAndInTheEndTheBrokerAlone, ()) {
  Group group;
  std::string address = any_address();
  const int rounds = *rc::gen::inRange(1, 30);
  for (int i = 0; i < rounds; ++i) {
    if (*rc::gen::inRange(0, 4) == 0) address = any_address();
    if (*rc::gen::inRange(0, 6) == 0) group.add({any_address(), 9096});  // somebody else's doing
    for (const Target& each : group.targets()) group.set(each.text(), any_health());
    Node there = node(2, address);
    const bool identity = *rc::gen::inRange(0, 8) != 0;
    if (!identity) there.hosts = {"b-2.other"};

    const auto decision = decide(kBroker, std::vector{there}, group.targets());
    const auto before = group.healthy();
    if (!identity) RC_ASSERT(decision.targets.empty());
    if (*rc::gen::inRange(0, 5) == 0) continue;  // the call failed, or the round was lost
    for (const Target& each : decision.targets) {
      if (decision.step == Step::kRegister) {
        RC_ASSERT(each.address == address);
        group.add(each);
      } else {
        RC_ASSERT(decision.step == Step::kRemove);
        RC_ASSERT(each.address != address);
        group.drain(each);
      }
    }
    if (before > 0) RC_ASSERT(group.healthy() > 0);
  }
  // The broker stays, and whoever is registered becomes healthy: three rounds are enough.
  for (int i = 0; i < 3; ++i) {
    for (const Target& each : group.targets()) group.set(each.text(), Health::kHealthy);
    const auto decision = decide(kBroker, std::vector{node(2, address)}, group.targets());
    for (const Target& each : decision.targets) {
      decision.step == Step::kRegister ? group.add(each) : group.drain(each);
    }
  }
  for (const Target& each : group.targets()) RC_ASSERT(each.health == Health::kLeaving || each.address == address);
  RC_ASSERT(decide(kBroker, std::vector{node(2, address)}, group.targets()).step == Step::kNone);
}

}  // namespace
}  // namespace culvert::broker_addresses
