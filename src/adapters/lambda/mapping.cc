// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/mapping.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "model/check.h"
#include "model/json_text.h"

namespace culvert::lambda {

namespace {

// How often chaos strikes, one in so many.
constexpr unsigned kRecutOneIn = 2;
constexpr unsigned kReverseOneIn = 4;
constexpr unsigned kDuplicateOneIn = 6;
constexpr unsigned kDropOneIn = 6;

// The function answered, and its answer says that it failed.
const DeliveryFailure kAnswered{{}, 200, {}};

}  // namespace

Mapping::Mapping(const MappingOptions& options, const EventWriter& writer)
    : options_(options), writer_(writer), pollers_(static_cast<std::size_t>(options.pollers)), random_(options.seed) {
  CULVERT_CHECK(options.pollers > 0 && options.batch_records_most > 0, "a mapping without pollers or records");
}

// ------------------------------------------------------------------------------------------------------- partitions

Mapping::Poller& Mapping::poller_of(PartitionId partition) {
  return pollers_[static_cast<std::size_t>(partition.value()) % pollers_.size()];
}

const Mapping::Poller& Mapping::poller_of(PartitionId partition) const {
  return pollers_[static_cast<std::size_t>(partition.value()) % pollers_.size()];
}

void Mapping::assign(const Claim& claim, Offset next) {
  Partition partition;
  partition.claim = claim;
  partition.position = next;
  partitions_.insert_or_assign(claim.partition, std::move(partition));
}

bool Mapping::owns(const Claim& claim) const {
  const auto found = partitions_.find(claim.partition);
  return found != partitions_.end() && found->second.claim == claim;
}

void Mapping::revoke(const Claim& claim) {
  if (!owns(claim)) return;
  partitions_.erase(claim.partition);
  Poller& poller = poller_of(claim.partition);
  const auto gone = [&](const Held& held) { return held.record.claim == claim; };
  for (const Held& held : poller.waiting) poller.waiting_bytes -= gone(held) ? held.bytes : 0;
  std::erase_if(poller.waiting, gone);
  for (Work& work : poller.work) drop_unowned(work.records);
  std::erase_if(poller.work, [](const Work& work) { return work.records.empty(); });
}

void Mapping::drop_unowned(std::vector<Held>& records) const {
  std::erase_if(records, [&](const Held& held) { return !owns(held.record.claim); });
}

void Mapping::add(EventRecord record, SteadyTime now) {
  if (!owns(record.claim)) return;
  Partition& partition = partitions_.at(record.claim.partition);
  CULVERT_CHECK(partition.open.empty() || partition.open.back().offset < record.offset, "records out of order");
  partition.open.push_back(OpenRecord{record.offset, false});
  Poller& poller = poller_of(record.claim.partition);
  const std::size_t bytes = writer_.record_bytes(record);
  poller.waiting.push_back(Held{std::move(record), bytes, now});
  poller.waiting_bytes += bytes;
}

void Mapping::reach(const Claim& claim, Offset next) {
  if (!owns(claim)) return;
  Partition& partition = partitions_.at(claim.partition);
  partition.end = next;
  settle(partition);
}

void Mapping::deal_with(const std::vector<Held>& records) {
  for (const Held& held : records) {
    if (!owns(held.record.claim)) continue;
    Partition& partition = partitions_.at(held.record.claim.partition);
    const auto found = std::lower_bound(partition.open.begin(), partition.open.end(), held.record.offset,
                                        [](const OpenRecord& open, Offset offset) { return open.offset < offset; });
    CULVERT_CHECK(found != partition.open.end() && found->offset == held.record.offset && !found->done,
                  "a record was dealt with twice");
    found->done = true;
    ++counters_.records;
    settle(partition);
  }
}

void Mapping::settle(Partition& partition) {
  const Offset before = partition.position;
  while (!partition.open.empty() && partition.open.front().done) {
    partition.position = partition.open.front().offset.next();
    partition.open.pop_front();
  }
  if (partition.open.empty() && partition.end) partition.position = std::max(partition.position, *partition.end);
  partition.changed = partition.changed || partition.position != before;
}

std::vector<PositionToCommit> Mapping::take_commits() {
  std::vector<PositionToCommit> commits;
  for (auto& [id, partition] : partitions_) {
    if (std::exchange(partition.changed, false)) commits.push_back({partition.claim, partition.position});
  }
  return commits;
}

std::optional<Offset> Mapping::position(const Claim& claim) const {
  if (!owns(claim)) return std::nullopt;
  return partitions_.at(claim.partition).position;
}

Mapping::Backlog Mapping::backlog(const Claim& claim) const {
  const Poller& poller = poller_of(claim.partition);
  Backlog backlog{poller.waiting.size(), poller.waiting_bytes};
  for (const Work& work : poller.work) {
    backlog.records += work.records.size();
    for (const Held& held : work.records) backlog.bytes += held.bytes;
  }
  return backlog;
}

// ------------------------------------------------------------------------------------------------------------ cutting

std::vector<const EventRecord*> Mapping::pointers(const std::vector<Held>& records) {
  std::vector<const EventRecord*> result;
  result.reserve(records.size());
  for (const Held& held : records) result.push_back(&held.record);
  return result;
}

// Of records that are sorted by partition.
std::size_t Mapping::event_bytes(const std::vector<Held>& records) const {
  std::size_t bytes = writer_.frame_bytes();
  std::size_t partitions = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const PartitionId partition = records[i].record.claim.partition;
    bytes += records[i].bytes;
    if (i > 0 && partition == records[i - 1].record.claim.partition) continue;
    bytes += writer_.partition_bytes(partition);
    ++partitions;
  }
  return bytes - partitions - (partitions > 0 ? 1 : 0);  // no comma after the last of each list
}

// How many of those that wait make one event: at least one, even if it is too large by itself.
std::size_t Mapping::fitting(const Poller& poller) const {
  std::size_t bytes = writer_.frame_bytes();
  std::vector<PartitionId> partitions;
  std::size_t count = 0;
  for (const Held& held : poller.waiting) {
    if (count == options_.batch_records_most) break;
    const PartitionId partition = held.record.claim.partition;
    std::size_t more = held.bytes;
    if (std::find(partitions.begin(), partitions.end(), partition) == partitions.end()) {
      more += writer_.partition_bytes(partition);
      partitions.push_back(partition);
    }
    if (count > 0 && bytes + more - partitions.size() - 1 > options_.batch_bytes_most) break;
    bytes += more;
    ++count;
  }
  return count;
}

bool Mapping::cut(Poller& poller, SteadyTime now) {
  if (poller.waiting.empty()) return false;
  const bool full = poller.waiting.size() >= options_.batch_records_most ||
                    poller.waiting_bytes + writer_.frame_bytes() >= options_.batch_bytes_most;
  if (!full && now < poller.waiting.front().arrived + options_.window) return false;
  std::size_t count = fitting(poller);
  if (options_.chaos.recut && chance(kRecutOneIn)) count = random_from_one(count);
  Work work;
  work.records.reserve(count);
  const auto cut_at = poller.waiting.begin() + static_cast<std::ptrdiff_t>(count);
  std::move(poller.waiting.begin(), cut_at, std::back_inserter(work.records));
  poller.waiting.erase(poller.waiting.begin(), cut_at);
  for (const Held& held : work.records) poller.waiting_bytes -= held.bytes;
  std::stable_sort(work.records.begin(), work.records.end(),
                   [](const Held& a, const Held& b) { return a.record.claim.partition < b.record.claim.partition; });
  ++counters_.batches;
  if (options_.chaos.reverse_halves && count > 1 && chance(kReverseOneIn)) {
    Work second = split_off(work, count / 2);
    poller.work.push_back(std::move(second));
    ++counters_.reversed;
  }
  poller.work.push_back(std::move(work));
  return true;
}

// Leaves the first records in `work`, returns the others.
Mapping::Work Mapping::split_off(Work& work, std::size_t first_records) {
  Work rest;
  rest.failures = work.failures;
  rest.invocations = work.invocations;
  rest.last = work.last;
  const auto at = work.records.begin() + static_cast<std::ptrdiff_t>(first_records);
  std::move(at, work.records.end(), std::back_inserter(rest.records));
  work.records.erase(at, work.records.end());
  return rest;
}

Mapping::Work Mapping::take_expired(Work& work, RecordTime now) const {
  Work expired;
  if (!options_.record_age_most) return expired;
  const auto is_expired = [&](const Held& held) {
    return held.record.timestamp && now - *held.record.timestamp > *options_.record_age_most;
  };
  expired.invocations = work.invocations;
  expired.last = work.last;
  std::vector<Held> kept;
  for (Held& held : work.records) (is_expired(held) ? expired.records : kept).push_back(std::move(held));
  work.records = std::move(kept);
  return expired;
}

// ------------------------------------------------------------------------------------------------------------ sending

std::optional<Delivery> Mapping::next_delivery(const MappingTime& now) {
  if (held_) return std::nullopt;
  for (Poller& poller : pollers_) {
    if (poller.busy() || now.steady < poller.not_before) continue;
    if (poller.work.empty() && !cut(poller, now.steady)) continue;
    Work work = std::move(poller.work.front());
    poller.work.pop_front();
    Work expired = take_expired(work, now.wall);
    if (expired.records.empty()) return send(poller, std::move(work));
    if (!work.records.empty()) poller.work.push_front(std::move(work));
    poller.discarding = Discarding{new_id(), std::move(expired), DiscardReason::kRecordAge, false};
  }
  return std::nullopt;
}

Delivery Mapping::send(Poller& poller, Work work) {
  ++counters_.deliveries;
  if (work.last) ++counters_.retries;
  ++work.invocations;
  Delivery delivery;
  delivery.batch = new_id();
  delivery.twice = options_.chaos.duplicate && chance(kDuplicateOneIn);
  if (delivery.twice) ++counters_.duplicated;
  poller.flight = Flight{delivery.batch, std::move(work), delivery.twice ? 2 : 1};
  const std::vector<Held>& records = poller.flight->work.records;
  delivery.records = pointers(records);
  delivery.event_bytes = event_bytes(records);
  delivery.invocation = poller.flight->work.invocations;
  return delivery;
}

Mapping::Poller& Mapping::poller_of_flight(BatchId batch) {
  const auto found = std::find_if(pollers_.begin(), pollers_.end(), [&](const Poller& poller) {
    return (poller.flight && poller.flight->batch == batch) || (poller.discarding && poller.discarding->batch == batch);
  });
  CULVERT_CHECK(found != pollers_.end(), "an answer for a batch that is not under way");
  return *found;
}

// The batch, once its last answer is there, without what has been revoked meanwhile; nothing if nothing is left of it.
std::optional<Mapping::Work> Mapping::answered(Poller& poller) {
  CULVERT_CHECK(poller.flight.has_value(), "an outcome for a batch that is being discarded");
  if (--poller.flight->answers_awaited > 0) return std::nullopt;
  Work work = std::move(poller.flight->work);
  poller.flight.reset();
  drop_unowned(work.records);
  if (work.records.empty()) return std::nullopt;
  return work;
}

// ----------------------------------------------------------------------------------------------------------- outcomes

std::string Mapping::succeeded(BatchId batch, std::string_view response, const MappingTime& now) {
  Poller& poller = poller_of_flight(batch);
  std::optional<Work> work = answered(poller);
  if (!work) return {};
  BatchResponse parsed;
  if (options_.report_item_failures) parsed = parse_batch_response(response);
  if (!parsed.malformed.empty()) {
    fail(poller, *std::move(work), kAnswered, now.steady);
    return parsed.malformed;
  }
  if (!parsed.failures.empty()) return fail_partly(poller, *std::move(work), parsed, now.steady);
  succeed(poller, *std::move(work), now.steady);
  return {};
}

void Mapping::failed(BatchId batch, const DeliveryFailure& failure, const MappingTime& now) {
  Poller& poller = poller_of_flight(batch);
  if (std::optional<Work> work = answered(poller)) fail(poller, *std::move(work), failure, now.steady);
}

void Mapping::succeed(Poller& poller, Work work, SteadyTime now) {
  if (options_.chaos.drop_reply && chance(kDropOneIn)) {
    ++counters_.replies_dropped;
    back_off(poller, now);
    return send_again(poller, std::move(work));
  }
  poller.failures_in_row = 0;
  if (options_.chaos.duplicate && chance(kDuplicateOneIn)) {
    ++counters_.duplicated;
    return send_again(poller, std::move(work));
  }
  deal_with(work.records);
}

void Mapping::fail(Poller& poller, Work work, const DeliveryFailure& failure, SteadyTime now) {
  ++counters_.failures;
  work.last = failure;
  back_off(poller, now);
  if (options_.bisect && work.records.size() > 1) {
    // Cutting does not count as an attempt: the halves have as many left as the whole had.
    ++counters_.bisects;
    Work second = split_off(work, work.records.size() / 2);
    poller.work.push_front(std::move(second));
    poller.work.push_front(std::move(work));
    return;
  }
  ++work.failures;
  if (options_.retries_most < 0 || work.failures <= options_.retries_most) return send_again(poller, std::move(work));
  poller.discarding = Discarding{new_id(), std::move(work), DiscardReason::kRetriesExhausted, false};
}

std::string Mapping::fail_partly(Poller& poller, Work work, const BatchResponse& response, SteadyTime now) {
  std::map<std::string, Offset> failed_from;
  for (const ItemFailure& item : response.failures) {
    const Offset offset{item.offset};
    const bool known = std::any_of(work.records.begin(), work.records.end(), [&](const Held& held) {
      return held.record.offset == offset && writer_.partition_key(held.record.claim.partition) == item.partition_key;
    });
    if (!known) {
      fail(poller, std::move(work), kAnswered, now);
      return fmt::format("no record of the batch is {{\"partition\":{},\"offset\":{}}}",
                         json_string(item.partition_key), item.offset);
    }
    const auto [entry, is_new] = failed_from.try_emplace(item.partition_key, offset);
    if (!is_new) entry->second = std::min(entry->second, offset);
  }
  std::vector<Held> done;
  std::vector<Held> rest;
  for (Held& held : work.records) {
    const auto from = failed_from.find(writer_.partition_key(held.record.claim.partition));
    const bool succeeded = from == failed_from.end() || held.record.offset < from->second;
    (succeeded ? done : rest).push_back(std::move(held));
  }
  work.records = std::move(rest);
  if (done.empty()) {
    fail(poller, std::move(work), kAnswered, now);
    return "the function names the batch's first record";
  }
  // It moved on, so the record that stands in the way now has all its attempts before it.
  ++counters_.partial_failures;
  deal_with(done);
  work.failures = 0;
  work.last = kAnswered;
  back_off(poller, now);
  send_again(poller, std::move(work));
  return {};
}

void Mapping::send_again(Poller& poller, Work work) {
  const bool may_merge = work.failures == 0 || options_.retries_most < 0;  // else its failures would be forgotten
  if (options_.chaos.recut && may_merge && poller.work.empty() && chance(kRecutOneIn)) {
    // Together with what comes after it, as if it were read again.
    for (const Held& held : work.records) poller.waiting_bytes += held.bytes;
    poller.waiting.insert(poller.waiting.begin(), std::make_move_iterator(work.records.begin()),
                          std::make_move_iterator(work.records.end()));
    return;
  }
  if (options_.chaos.recut && work.records.size() > 1) {
    Work rest = split_off(work, random_from_one(work.records.size() - 1));
    poller.work.push_front(std::move(rest));
  }
  poller.work.push_front(std::move(work));
}

void Mapping::back_off(Poller& poller, SteadyTime now) {
  const std::int64_t first = options_.backoff_first.count();
  const std::int64_t ceiling = std::min(options_.backoff_most.count(), first << std::min(poller.failures_in_row, 20));
  ++poller.failures_in_row;
  poller.not_before = now + std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(0, ceiling)(random_));
}

// ----------------------------------------------------------------------------------------------------------- discards

std::optional<Discard> Mapping::next_discard() {
  for (Poller& poller : pollers_) {
    if (!poller.discarding || std::exchange(poller.discarding->told, true)) continue;
    const Discarding& it = *poller.discarding;
    return Discard{it.batch, pointers(it.work.records), it.reason, it.work.invocations, it.work.last};
  }
  return std::nullopt;
}

void Mapping::discarded(BatchId batch) {
  Poller& poller = poller_of_flight(batch);
  CULVERT_CHECK(poller.discarding.has_value(), "a batch that is under way was called discarded");
  const Work work = std::move(poller.discarding->work);
  poller.discarding.reset();
  poller.failures_in_row = 0;
  poller.not_before = {};
  ++counters_.discarded_batches;
  counters_.discarded_records += static_cast<std::int64_t>(work.records.size());
  deal_with(work.records);
}

// --------------------------------------------------------------------------------------------------------- under way

std::size_t Mapping::under_way() const {
  return static_cast<std::size_t>(
      std::count_if(pollers_.begin(), pollers_.end(), [](const Poller& poller) { return poller.busy(); }));
}

bool Mapping::under_way(const Claim& claim) const {
  const Poller& poller = poller_of(claim.partition);
  const auto has = [&](const Work& work) {
    return std::any_of(work.records.begin(), work.records.end(),
                       [&](const Held& held) { return held.record.claim == claim; });
  };
  return (poller.flight && has(poller.flight->work)) || (poller.discarding && has(poller.discarding->work));
}

std::optional<Mapping::SteadyTime> Mapping::due() const {
  std::optional<SteadyTime> earliest;
  if (held_) return earliest;
  for (const Poller& poller : pollers_) {
    if (poller.busy() || (poller.work.empty() && poller.waiting.empty())) continue;
    SteadyTime at = poller.not_before;
    if (poller.work.empty()) at = std::max(at, poller.waiting.front().arrived + options_.window);
    if (!earliest || at < *earliest) earliest = at;
  }
  return earliest;
}

bool Mapping::chance(unsigned one_in) { return std::uniform_int_distribution<unsigned>(1, one_in)(random_) == 1; }

std::size_t Mapping::random_from_one(std::size_t most) {
  return std::uniform_int_distribution<std::size_t>(1, most)(random_);
}

}  // namespace culvert::lambda
