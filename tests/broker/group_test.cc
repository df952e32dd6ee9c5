// SPDX-License-Identifier: Apache-2.0
// Sharing a topic: who owns what, when it changes hands, and leaving.
//
// A group may go through more rounds than a test provokes: a member that is a moment late to join, on a busy machine,
// is taken in by another round. So tests say what holds in every round, never how many there are.
#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "broker_fixture.h"

namespace culvert::kafka {
namespace {

constexpr int kUnknownMember = 25;

class Group : public BrokerTest {
 protected:
  void SetUp() override {
    BrokerTest::SetUp();
    config.properties.push_back({"session.timeout.ms", "2000"});
  }

  // Polls both members in turn, as two processes would poll at the same time.
  void poll_both(Reader& a, Reader& b, const std::function<bool()>& done, const std::string& what) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!done()) {
      ASSERT_LT(std::chrono::steady_clock::now(), end) << "waited in vain until " << what;
      a.poll_once(Millis{10});
      b.poll_once(Millis{10});
    }
  }
};

// Told what it owns since it last had to give something back: nothing is pending.
bool settled(const Reader& member) { return member.assigned.size() > member.revoked.size(); }

std::set<std::int32_t> partitions_of(const std::vector<Claim>& claims) {
  std::set<std::int32_t> result;
  for (const Claim& claim : claims) result.insert(claim.partition.value());
  return result;
}

TEST_F(Group, SecondMemberTakesHalfAfterTheFirstHasDrained) {
  fill(config, 4, 1'000);
  std::map<std::int32_t, std::int64_t> position;
  Reader first(config);
  first.position = &position;
  first.poll_until([&] { return first.received() == 4'000; }, "the first read everything");
  Reader second(config);
  second.position = &position;
  poll_both(
      first, second, [&] { return first.owned.size() == 2 && second.owned.size() == 2; }, "both own two");
  ASSERT_FALSE(first.revoked.empty());
  for (std::size_t i = 0; i < first.revoked.size(); ++i) {
    EXPECT_EQ(first.revoked[i], first.assigned[i]) << "eager: all of them are given back";
  }
  EXPECT_FALSE(first.lost[0]);
  // The range assignor gives each member consecutive partitions.
  const std::set<std::int32_t> low{0, 1};
  const std::set<std::int32_t> high{2, 3};
  EXPECT_TRUE(partitions_of(first.owned) == low
                  ? partitions_of(second.owned) == high
                  : partitions_of(first.owned) == high && partitions_of(second.owned) == low);
  fill(config, 4, 500, 1'000);
  poll_both(
      first, second, [&] { return first.received() + second.received() == 6'000; }, "the rest came once");
  for (int p = 0; p < 4; ++p) {
    std::vector<std::int64_t> all = first.offsets[p];
    all.insert(all.end(), second.offsets[p].begin(), second.offsets[p].end());
    std::sort(all.begin(), all.end());
    EXPECT_EQ(all, sequence(1'500));
    EXPECT_TRUE(std::is_sorted(first.offsets[p].begin(), first.offsets[p].end()));
    EXPECT_TRUE(std::is_sorted(second.offsets[p].begin(), second.offsets[p].end()));
  }
  second.leave();
  first.leave();
}

TEST_F(Group, EveryAssignmentHasAnIdOfItsOwnAndTheyGrow) {
  Reader first(config);
  first.poll_until([&] { return first.owned.size() == 4; }, "the first owns all");
  {
    Reader second(config);
    poll_both(
        first, second, [&] { return second.owned.size() == 2 && first.owned.size() == 2; }, "both own two");
    second.leave();
  }
  first.poll_until([&] { return first.owned.size() == 4; }, "the first owns all again");
  std::vector<std::uint64_t> ids;
  std::vector<std::size_t> rounds;
  for (const std::vector<Claim>& claims : first.assigned) {
    for (const Claim& claim : claims) ids.push_back(claim.assignment.value());
    rounds.push_back(claims.size());
  }
  EXPECT_EQ(rounds.front(), 4u) << "all";
  EXPECT_NE(std::count(rounds.begin(), rounds.end(), 2u), 0) << "half, while there was another";
  EXPECT_EQ(rounds.back(), 4u) << "all again";
  EXPECT_GE(ids.size(), 4u + 2u + 4u);
  EXPECT_EQ(std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>{}), ids.end())
      << "each id is above the one before, so no two assignments share one";
}

// The client keeps a pause for as long as it knows the partition, over any number of assignments.
TEST_F(Group, APauseEndsWithItsAssignment) {
  fill(config, 4, 100);
  std::map<std::int32_t, std::int64_t> position;
  Reader first(config);
  first.position = &position;
  first.poll_until([&] { return first.received() == 400; }, "the first read everything");
  for (int p = 0; p < 4; ++p) first.consumer().pause(PartitionId{p});
  {
    Reader second(config);
    second.position = &position;
    poll_both(
        first, second, [&] { return second.owned.size() == 2 && first.owned.size() == 2; }, "both own two");
    second.leave();
  }
  first.poll_until([&] { return first.owned.size() == 4; }, "the first owns all again");
  fill(config, 4, 100, 100);
  first.poll_until([&] { return first.received() == 800; }, "what came later was read");
  first.leave();
}

TEST_F(Group, ARevocationWaitsForItsAnswerAndNothingIsDeliveredMeanwhile) {
  fill(config, 4, 10);
  // The broker waits for members to join again for a session time-out less a second, and longer than we hold ours back:
  // until then the other one has nothing to ask.
  config.properties.push_back({"session.timeout.ms", "5000"});
  std::map<std::int32_t, std::int64_t> position;
  Reader first(config);
  first.position = &position;
  first.poll_until([&] { return first.received() == 40; }, "the first read everything");
  first.hold_revocation = true;
  Reader second(config);
  second.position = &position;
  poll_both(
      first, second, [&] { return !first.revoked.empty(); }, "the first is asked to give back");
  fill(config, 4, 10, 10);
  const auto end = std::chrono::steady_clock::now() + Millis{1'000};
  while (std::chrono::steady_clock::now() < end) {
    first.poll_once(Millis{10});
    second.poll_once(Millis{10});
  }
  EXPECT_EQ(first.received(), 40u);
  EXPECT_TRUE(second.assigned.empty()) << "the partitions are still being drained";
  broker->watch_requests();
  first.hold_revocation = false;
  first.consumer().commit(PartitionId{0}, Offset{10});
  first.consumer().revoke_done();
  poll_both(
      first, second, [&] { return second.owned.size() == 2 && first.owned.size() == 2; }, "both own two");
  // The embedded broker refuses commits while a group rebalances, which real ones accept; what counts is the order.
  const std::vector<Request> seen = broker->requests_seen();
  const auto commit = std::find(seen.begin(), seen.end(), Request::kOffsetCommit);
  ASSERT_NE(commit, seen.end());
  EXPECT_EQ(std::count(seen.begin(), commit, Request::kJoinGroup), 0)
      << "the commit goes out before the group moves on";
}

TEST_F(Group, SlowLoadingOfCheckpointsDoesNotLoseTheAssignment) {
  fill(config, 4, 100);
  auto consumer = Consumer::open(config, {.topic = kTopic, .group = kGroup});
  ASSERT_TRUE(consumer.ok()) << consumer.error().message;
  std::vector<Claim> claims;
  while (claims.empty()) {
    const Polled polled = (*consumer)->poll(Millis{1'000});
    if (const auto* assigned = std::get_if<Assigned>(&polled)) claims = assigned->claims;
  }
  // One and a half session time-outs, polling all the while, with one answer given and the others not.
  (*consumer)->start(PartitionId{2}, Offset{90});
  const auto end = std::chrono::steady_clock::now() + Millis{3'000};
  while (std::chrono::steady_clock::now() < end) {
    EXPECT_TRUE(std::holds_alternative<Nothing>((*consumer)->poll(Millis{50})));
  }
  for (const int p : {0, 1, 3}) (*consumer)->start(PartitionId{p}, Offset{90});
  std::size_t received = 0;
  while (received < 40 && std::chrono::steady_clock::now() < end + kPatience) {
    const Polled polled = (*consumer)->poll(Millis{50});
    EXPECT_FALSE(std::holds_alternative<Revoked>(polled));
    if (const auto* records = std::get_if<Records>(&polled)) received += records->count;
  }
  EXPECT_EQ(received, 40u);
}

TEST_F(Group, CrashedMembersPartitionsAreTakenOver) {
  fill(config, 4, 100);
  Reader first(config);
  first.poll_until([&] { return first.received() == 400; }, "the first read everything");
  Reader second(config);
  poll_both(
      first, second, [&] { return second.owned.size() == 2 && first.owned.size() == 2; }, "both own two");
  const auto begin = std::chrono::steady_clock::now();
  first.crash();
  second.poll_until([&] { return second.owned.size() == 4; }, "the second owns all");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, Millis{2'000 + 13'000})
      << "the session time-out, the round, and what a busy machine takes";
}

TEST_F(Group, MoreMembersThanPartitionsLeaveOneWithNothingToDo) {
  ASSERT_TRUE(broker->create_topic("narrow", 1).ok());
  Reader first(config, {.topic = "narrow", .group = "narrow-readers"});
  first.poll_until([&] { return first.owned.size() == 1; }, "the first owns it");
  Reader second(config, {.topic = "narrow", .group = "narrow-readers"});
  poll_both(
      first, second,
      [&] {
        return !first.revoked.empty() && settled(first) && settled(second) &&
               first.owned.size() + second.owned.size() == 1;
      },
      "both are told what they own");
  EXPECT_TRUE(first.assigned.back().empty() != second.assigned.back().empty());
  second.leave();
  first.leave();
}

TEST_F(Group, AssignmentLostToTheGroupIsToldAsLostAndComesBackAsAnother) {
  fill(config, 4, 100);
  Reader reader(config);
  reader.poll_until([&] { return reader.received() == 400; }, "everything was read");
  const std::vector<Claim> before = reader.owned;
  broker->fail_requests(Request::kHeartbeat, kUnknownMember, 1);
  reader.poll_until([&] { return reader.assigned.size() >= 2 && settled(reader); }, "the partitions came again");
  ASSERT_FALSE(reader.lost.empty());
  EXPECT_TRUE(reader.lost[0]);
  EXPECT_EQ(reader.revoked[0], before);
  EXPECT_EQ(partitions_of(reader.owned), partitions_of(before));
  EXPECT_GT(reader.owned.front().assignment, before.back().assignment);
}

TEST_F(Group, ClosingIsBoundedWhenTheCoordinatorIsAway) {
  fill(config, 4, 10);
  Reader reader(config);
  reader.poll_until([&] { return reader.received() == 40; }, "everything was read");
  ASSERT_TRUE(broker->set_down(-1).ok());
  reader.consumer().commit(PartitionId{0}, Offset{10});
  const auto begin = std::chrono::steady_clock::now();
  const Result<void> closed = reader.consumer().close(Millis{1'000});
  reader.crash();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, Millis{15'000}) << "not the session time-out's 45 s";
  if (!closed.ok()) {
    EXPECT_EQ(closed.error().kind, ErrorKind::kUnavailable);
    EXPECT_NE(closed.error().message.find("nothing is lost"), std::string::npos) << closed.error().message;
  }
}

TEST_F(Group, LeavingInOrderCommitsAndTellsTheGroup) {
  fill(config, 4, 10);
  Reader first(config);
  first.poll_until([&] { return first.received() == 40; }, "everything was read");
  broker->watch_requests();
  for (int p = 0; p < 4; ++p) first.consumer().commit(PartitionId{p}, Offset{10});
  first.leave();
  const std::vector<Request> seen = broker->requests_seen();
  EXPECT_EQ(std::count(seen.begin(), seen.end(), Request::kLeaveGroup), 1);
  Reader second(config);
  second.poll_until([&] { return second.owned.size() == 4; }, "the second owns all");
  for (int p = 0; p < 4; ++p) {
    EXPECT_EQ(*second.consumer().committed(PartitionId{p}, kPatience), Offset{10}) << p;
  }
}

}  // namespace
}  // namespace culvert::kafka
