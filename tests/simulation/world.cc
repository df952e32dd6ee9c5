// SPDX-License-Identifier: Apache-2.0
#include "simulation/world.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "decode/json_decoder.h"
#include "fakes/older_decoder.h"
#include "model/check.h"

namespace culvert::simulation {

namespace {

constexpr std::string_view kTopic = "telemetry";

}  // namespace

std::size_t VirtualPartition::index_of(Offset offset) const {
  const auto all = readable();
  const auto at = std::lower_bound(all.begin(), all.end(), offset,
                                   [](const Record& record, Offset wanted) { return record.offset < wanted; });
  return static_cast<std::size_t>(at - all.begin());
}

Offset VirtualPartition::log_end() const {
  if (visible == 0) return log_start;
  return records[visible - 1].offset.next() + (visible == records.size() ? end_gap : 0);
}

World::World(Rng& rng) {
  incline(rng);
  define(rng);
  lay_out(rng);
}

void World::incline(Rng& rng) {
  Inclination& i = inclination_;
  i.late_readings = rng.chance(50);
  i.scattered_devices = rng.chance(50);
  const auto workers = rng.below(10);
  if (workers < 5) i.daemons = static_cast<int>(rng.between(1, 3));
  if (workers >= 4) i.function_workers = static_cast<int>(rng.between(1, 4));
  if (i.function_workers == 0 && rng.chance(40)) i.emission = Emission::kFinal;
  if (workers == 9) i.daemons = 1;
  i.mixed_emission = i.daemons > 0 && i.emission == Emission::kEarly && rng.chance(25);
  i.disordered_delivery = !i.late_readings && rng.chance(60);
  i.gaps_are_empty = !i.disordered_delivery && rng.chance(50);
  i.transactions = rng.chance(30);
  i.fault_percent = rng.chance(25) ? 0 : static_cast<int>(rng.between(1, 30));
  i.crash_permille = rng.chance(30) ? 0 : static_cast<int>(rng.between(1, 15));
  i.pause_permille = rng.chance(30) ? 0 : static_cast<int>(rng.between(1, 15));
  i.rebalance_permille = rng.chance(20) ? 0 : static_cast<int>(rng.between(1, 30));
  i.answer_at_once_percent = rng.chance(50) ? 0 : static_cast<int>(rng.between(1, 100));
  // With final emission open windows must fit, whatever it takes.
  if (rng.chance(20) && i.emission == Emission::kEarly && !i.mixed_emission) {
    i.memory_limit_bytes = static_cast<std::size_t>(rng.between(500, 6000));
  }
  if (rng.chance(20)) i.images_most = static_cast<std::size_t>(rng.between(0, 8));
  if (rng.chance(40)) i.unreadable_from = Micro{rng.one_of({20'000'000, 500'000'000'000'000})};
  if (i.daemons > 0 && rng.chance(20)) i.second_group = static_cast<int>(rng.between(1, 2));
  i.early_redrive = i.emission == Emission::kEarly && rng.chance(40);
}

std::unique_ptr<Decoder> World::decoder() const {
  if (!inclination_.unreadable_from) return std::make_unique<JsonDecoder>(definition_);
  return std::make_unique<fakes::OlderDecoder>(definition_, *inclination_.unreadable_from);
}

void World::define(Rng& rng) {
  Definition& d = definition_;
  const std::int64_t advance_ms = rng.one_of({1'000, 5'000, 10'000, 60'000});
  const std::int64_t panes = rng.chance(50) ? 1 : rng.between(2, 5);
  d.kind = panes == 1 ? WindowKind::kTumbling : WindowKind::kHopping;
  d.advance = Millis{advance_ms};
  d.size = Millis{advance_ms * panes};
  d.out_of_orderness = Millis{rng.one_of({0, 1, advance_ms / 2, advance_ms * 2})};
  d.allowed_lateness = Millis{rng.one_of({0, 1, advance_ms, advance_ms * panes * 2})};
  // Longer than any world lasts, so that nothing is late in whatever order it is delivered.
  if (!inclination_.late_readings) d.allowed_lateness = std::chrono::hours{24 * 300};
  d.key_type = rng.chance(80) ? KeyType::kNumber : KeyType::kString;
  if (rng.chance(30)) d.timestamp_unit = TimestampUnit::kMilliseconds;
  const auto sound = validate(d);
  CULVERT_CHECK(sound.ok(), sound.error().message);
}

void World::lay_out(Rng& rng) {
  const auto first_count = static_cast<std::size_t>(rng.between(1, 3));
  const auto last_count = first_count + (rng.chance(30) ? static_cast<std::size_t>(rng.between(1, 2)) : 0);
  const auto records = static_cast<std::size_t>(rng.between(10, 160));
  const auto grows_at = static_cast<std::size_t>(rng.between(1, static_cast<std::int64_t>(records)));
  devices_ = rng.between(1, 6);
  clock_ms_ = rng.chance(20) ? rng.between(0, 100'000) : 1'795'449'420'000 + rng.between(0, 1'000'000);
  for (std::size_t p = 0; p < last_count; ++p) {
    VirtualPartition partition;
    partition.where = StreamPartition{std::string(kTopic), 1, PartitionId{static_cast<std::int32_t>(p)}};
    partition.log_start = Offset{rng.chance(30) ? rng.between(1, 50) : 0};
    partition.end_gap = rng.chance(20) ? rng.between(1, 3) : 0;
    partition.appears_at = p < first_count ? 0 : grows_at;
    next_offset_.push_back(partition.log_start.value());
    partitions_.push_back(std::move(partition));
  }
  for (std::size_t i = 0; i < records; ++i) {
    const std::size_t count = i < grows_at ? first_count : last_count;
    count_now_ = static_cast<std::int64_t>(count);
    append(rng, static_cast<std::size_t>(rng.below(count)));
  }
}

void World::append(Rng& rng, std::size_t at) {
  VirtualPartition& partition = partitions_[at];
  if (rng.chance(10)) next_offset_[at] += rng.between(1, 6);
  clock_ms_ += rng.between(0, definition_.advance.count() / 3);
  const RecordTime now{clock_ms_};
  if (rng.chance(8)) {
    append_poison(rng, partition, now);
  } else {
    append_reading(rng, partition, now);
  }
  partition.records.back().offset = Offset{next_offset_[at]++};
  if (rng.chance(4) && partition.truths.back().poison != DeadLetterReason::kFutureEventTime) {
    partition.records.back().timestamp.reset();
  }
  order_.push_back(at);
}

DeviceId World::device(std::int64_t number) const {
  if (definition_.key_type == KeyType::kNumber) return DeviceId{number};
  return DeviceId{std::string_view{fmt::format("device-{}", number)}};
}

void World::append_reading(Rng& rng, VirtualPartition& partition, RecordTime now) {
  Truth truth;
  // Without scatter a device keeps to one partition of those there are, as a producer that keys by device does; when
  // partitions are added, devices move.
  const auto where = static_cast<std::int64_t>(partition.where.partition.value());
  const std::int64_t drawn = rng.between(0, devices_ - 1);
  const std::int64_t number = inclination_.scattered_devices ? drawn : where + count_now_ * drawn;
  truth.device = device(number);
  std::int64_t behind = rng.chance(60) ? 0 : rng.between(0, definition_.out_of_orderness.count() + 1);
  if (inclination_.late_readings && rng.chance(15)) {
    behind += rng.between(0, definition_.allowed_lateness.count() + definition_.size.count() * 3);
  } else if (rng.chance(10)) {
    behind += rng.between(0, definition_.size.count() * 2);
  }
  truth.event_time = EventTime{std::max<std::int64_t>(0, now.value() - behind)};
  truth.value = Micro{rng.chance(50) ? rng.between(-100, 100) * 1'000'000 / 4
                                     : rng.between(-kMicroMost.value(), kMicroMost.value())};
  if (inclination_.unreadable_from && truth.value >= *inclination_.unreadable_from) {
    truth.poison = DeadLetterReason::kWrongType;
    truth.readable_later = true;
  }
  const std::string device_text =
      definition_.key_type == KeyType::kNumber ? truth.device.to_text() : fmt::format("\"{}\"", truth.device.to_text());
  const std::string time_text = definition_.timestamp_unit == TimestampUnit::kText
                                    ? fmt::format("\"{}\"", format_utc(truth.event_time))
                                    : std::to_string(truth.event_time.value());
  const auto value = keep(fmt::format(R"({{"device_id": {}, "timestamp": {}, "temperature": {}}})", device_text,
                                      time_text, format_micro(truth.value)));
  partition.records.push_back(Record{Offset{0}, now, keep(truth.device.to_text()), value});
  partition.truths.push_back(std::move(truth));
}

void World::append_poison(Rng& rng, VirtualPartition& partition, RecordTime now) {
  Record record{Offset{0}, now, {}, {}};
  Truth truth;
  const bool number = definition_.key_type == KeyType::kNumber;
  const bool text = definition_.timestamp_unit == TimestampUnit::kText;
  switch (rng.below(6)) {
    case 0:
      truth.poison = DeadLetterReason::kTombstone;
      break;
    case 1:
      truth.poison = DeadLetterReason::kNotJson;
      record.value = "{\"device_id\": 1,";
      break;
    case 2:
      truth.poison = DeadLetterReason::kNotObject;
      record.value = "[1]";
      break;
    case 3:
      truth.poison = DeadLetterReason::kMissingField;
      record.value = R"({"device_id": 1, "timestamp": 5})";
      break;
    case 4:
      truth.poison = DeadLetterReason::kDeviceType;
      record.value = number ? R"({"device_id": "x", "timestamp": 0, "temperature": 1})"
                            : R"({"device_id": 7, "timestamp": 0, "temperature": 1})";
      break;
    default: {
      truth.poison = DeadLetterReason::kFutureEventTime;
      const EventTime ahead{now.value() + definition_.max_future.count() + rng.between(1, 10)};
      record.value =
          keep(fmt::format(R"({{"device_id": {}, "timestamp": {}, "temperature": 1}})", number ? "0" : "\"device-0\"",
                           text ? fmt::format("\"{}\"", format_utc(ahead)) : std::to_string(ahead.value())));
      break;
    }
  }
  partition.records.push_back(record);
  partition.truths.push_back(std::move(truth));
}

std::string_view World::keep(std::string text) { return texts_.emplace_back(std::move(text)); }

std::size_t World::partition_count() const {
  std::size_t count = 0;
  while (count < partitions_.size() && partitions_[count].appears_at <= produced_) ++count;
  return count;
}

void World::produce_one() {
  if (!all_produced()) ++partitions_[order_[produced_++]].visible;
}

void World::produce_all() {
  while (!all_produced()) produce_one();
}

}  // namespace culvert::simulation
