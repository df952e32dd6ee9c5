// SPDX-License-Identifier: Apache-2.0
// What holds for every mapping, whatever its options, its function and its chaos.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "adapters/lambda/mapping.h"

namespace culvert::lambda {
namespace {

using std::chrono::milliseconds;
using Position = std::pair<int, std::int64_t>;  // partition, offset

const EventWriter kWriter({EventSourceKind::kSelfManaged, "t", "b:9092", {}});

Position position_of(const EventRecord& record) { return {record.claim.partition.value(), record.offset.value()}; }

// A random log, a random mapping, and a function that fails in every way a function can.
class RandomWorld {
 public:
  explicit RandomWorld(std::uint64_t seed) : random_(seed), options_(make_options()), mapping_(options_, kWriter) {
    const int partitions = 1 + upto(4);
    for (int p = 0; p < partitions; ++p) {
      std::int64_t offset = upto(9);
      mapping_.assign(claim(p), Offset{offset});
      committed_[p] = offset;
      for (int n = upto(60); n > 0; --n, offset += 1 + (upto(3) == 0 ? upto(5) : 0)) to_come_[p].push_back(offset);
      end_[p] = offset + upto(3);
    }
    poison_ = upto(2) == 0 ? Position{0, upto(40)} : Position{-1, 0};
  }

  void run() {
    for (int step = 0; step < 200'000 && !finished(); ++step) {
      arrive();
      answer_discards();
      send();
      if (!flights_.empty() && (upto(1) == 0 || flights_.size() == static_cast<std::size_t>(options_.pollers)))
        answer();
      check_commits();
      if (flights_.empty()) pass_time();
    }
    ASSERT_TRUE(finished()) << "it never ends";
    for (const auto& [partition, end] : end_) EXPECT_EQ(committed_[partition], end) << "partition " << partition;
    if (options_.retries_most < 0) {
      EXPECT_TRUE(discarded_.empty());
    }
    if (options_.bisect && poison_.first >= 0) {
      for (const Position& it : discarded_) {
        EXPECT_TRUE(it == poison_ || options_.retries_most < kFlakyFailuresMost) << it.second;
      }
    }
    const MappingCounters& counters = mapping_.counters();
    EXPECT_EQ(counters.records, static_cast<std::int64_t>(all_.size()));
    EXPECT_EQ(counters.discarded_records, static_cast<std::int64_t>(discarded_.size()));
  }

 private:
  static constexpr int kFlakyFailuresMost = 4;

  struct Flight {
    BatchId batch;
    std::vector<Position> records;
    int answers = 1;
  };

  int upto(int most) { return std::uniform_int_distribution<int>(0, most)(random_); }
  static Claim claim(int partition) { return Claim{PartitionId{partition}, AssignmentId{1}}; }

  MappingOptions make_options() {
    MappingOptions options;
    options.pollers = 1 + upto(3);
    options.batch_records_most = 1 + static_cast<std::size_t>(upto(12));
    options.batch_bytes_most = 400 + static_cast<std::size_t>(upto(2'000));
    options.window = milliseconds(upto(2) == 0 ? 0 : upto(500));
    if (upto(1) == 0) {
      options.retries_most = upto(6);
      options.bisect = upto(1) == 0;
    }
    options.report_item_failures = upto(1) == 0;
    if (upto(1) == 0) options.chaos = {upto(1) == 0, upto(1) == 0, upto(1) == 0, upto(1) == 0};
    options.seed = random_();
    return options;
  }

  bool finished() {
    return to_come_.empty() && flights_.empty() && mapping_.under_way() == 0 && !mapping_.due() &&
           reached_.size() == end_.size();
  }

  void arrive() {
    for (auto it = to_come_.begin(); it != to_come_.end();) {
      for (int n = upto(4); n > 0 && !it->second.empty(); --n) {
        EventRecord record;
        record.claim = claim(it->first);
        record.offset = Offset{it->second.front()};
        record.value = std::string(static_cast<std::size_t>(upto(300)), 'x');
        it->second.pop_front();
        all_.insert(position_of(record));
        mapping_.add(std::move(record), now_.steady);
      }
      it = it->second.empty() ? to_come_.erase(it) : std::next(it);
    }
    for (const auto& [partition, end] : end_) {
      if (to_come_.count(partition) == 0 && reached_.insert(partition).second)
        mapping_.reach(claim(partition), Offset{end});
    }
  }

  void send() {
    while (auto delivery = mapping_.next_delivery(now_)) {
      Flight flight{delivery->batch, {}, delivery->twice ? 2 : 1};
      std::map<int, std::int64_t> last;
      for (const EventRecord* record : delivery->records) {
        const Position it = position_of(*record);
        ASSERT_TRUE(last.count(it.first) == 0 || last[it.first] < it.second) << "order inside a batch";
        last[it.first] = it.second;
        for (const Flight& other : flights_) {
          for (const Position& there : other.records) ASSERT_NE(there.first, it.first) << "two batches of a partition";
        }
        ASSERT_EQ(done_.count(it), 0u) << "sent again after it was dealt with";
        flight.records.push_back(it);
      }
      ASSERT_EQ(delivery->event_bytes, kWriter.write(delivery->records).size());
      ASSERT_TRUE(delivery->event_bytes <= options_.batch_bytes_most || delivery->records.size() == 1);
      ASSERT_LE(delivery->records.size(), options_.batch_records_most);
      if (!options_.chaos.reverse_halves) check_first_come(flight);
      flights_.push_back(flight);
    }
  }

  // Whatever stands before a record in its partition is dealt with, or comes with it.
  void check_first_come(const Flight& flight) {
    for (const Position& it : flight.records) {
      for (const Position& earlier : all_) {
        if (earlier.first != it.first || earlier.second >= it.second || done_.count(earlier) > 0) continue;
        ASSERT_NE(std::find(flight.records.begin(), flight.records.end(), earlier), flight.records.end())
            << fmt::format("{}:{} came before {}:{}", it.first, it.second, earlier.first, earlier.second);
      }
    }
  }

  void answer() {
    Flight& flight = flights_[static_cast<std::size_t>(upto(static_cast<int>(flights_.size()) - 1))];
    const auto before = mapping_.counters().records;
    const bool poisoned = std::find(flight.records.begin(), flight.records.end(), poison_) != flight.records.end();
    const bool flaky = flaky_left_[flight.records.front()]++ < kFlakyFailuresMost && upto(2) == 0;
    std::set<Position> may_be_done(flight.records.begin(), flight.records.end());
    if (flaky || (poisoned && options_.retries_most >= 0)) {
      mapping_.failed(flight.batch, {"id", 200, "Unhandled"}, now_);
      may_be_done.clear();
    } else if (options_.report_item_failures && upto(2) == 0 &&
               flaky_left_[flight.records.back()]++ < kFlakyFailuresMost) {
      const Position from = flight.records[static_cast<std::size_t>(upto(static_cast<int>(flight.records.size()) - 1))];
      const std::string response =
          fmt::format(R"({{"batchItemFailures":[{{"itemIdentifier":{{"partition":"t-{}","offset":{}}}}}]}})",
                      from.first, from.second);
      (void)mapping_.succeeded(flight.batch, response, now_);
      std::erase_if(may_be_done,
                    [&](const Position& it) { return it.first == from.first && it.second >= from.second; });
    } else {
      ASSERT_EQ(mapping_.succeeded(flight.batch, "{}", now_), "");
    }
    if (--flight.answers > 0) return;
    if (mapping_.counters().records != before) {
      ASSERT_EQ(mapping_.counters().records - before, static_cast<std::int64_t>(may_be_done.size()));
      done_.insert(may_be_done.begin(), may_be_done.end());
    }
    flights_.erase(flights_.begin() + (&flight - flights_.data()));
  }

  void answer_discards() {
    while (auto discard = mapping_.next_discard()) {
      ASSERT_GE(options_.retries_most, 0);
      ASSERT_GT(discard->invocations, options_.retries_most);
      for (const EventRecord* record : discard->records) {
        ASSERT_EQ(done_.count(position_of(*record)), 0u);
        discarded_.insert(position_of(*record));
        done_.insert(position_of(*record));
      }
      mapping_.discarded(discard->batch);
    }
  }

  void check_commits() {
    for (const PositionToCommit& it : mapping_.take_commits()) {
      std::int64_t& committed = committed_[it.claim.partition.value()];
      ASSERT_GT(it.next.value(), committed) << "a position went backwards";
      committed = it.next.value();
      for (const Position& record : all_) {
        if (record.first != it.claim.partition.value() || record.second >= committed) continue;
        ASSERT_EQ(done_.count(record), 1u) << "committed above a record that is not dealt with";
      }
    }
  }

  void pass_time() {
    const auto due = mapping_.due();
    milliseconds by{upto(20)};
    if (due && *due > now_.steady && upto(1) == 0) by = std::chrono::ceil<milliseconds>(*due - now_.steady);
    now_.steady += by;
    now_.wall = now_.wall + by;
  }

  std::mt19937_64 random_;
  MappingOptions options_;
  Mapping mapping_;
  MappingTime now_{std::chrono::steady_clock::time_point{} + std::chrono::hours(1), RecordTime{1'700'000'000'000}};
  std::map<int, std::deque<std::int64_t>> to_come_;
  std::map<int, std::int64_t> end_;
  std::set<int> reached_;
  std::map<int, std::int64_t> committed_;
  std::set<Position> all_;
  std::set<Position> done_;
  std::set<Position> discarded_;
  std::map<Position, int> flaky_left_;
  Position poison_;
  std::vector<Flight> flights_;
};

TEST(MappingProperty, AtLeastOnceInOrderAndNeverCommittedTooEarly) {
  std::random_device device;
  const std::uint64_t first = device();
  for (std::uint64_t seed = first; seed < first + 1'500; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    RandomWorld world(seed);
    world.run();
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

}  // namespace
}  // namespace culvert::lambda
