// SPDX-License-Identifier: Apache-2.0
#include "app/fleet/sensor_fleet.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "decode/json_decoder.h"
#include "decode/timestamp.h"

namespace culvert {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

// 2023-05-01T12:00:00Z
constexpr SensorTime kStart{seconds{1'682'942'400}};

FleetOptions fleet_of(std::int64_t devices) {
  FleetOptions options;
  options.devices = devices;
  options.start = kStart;
  return options;
}

std::string value_text(const SensorRecord& record) { return record.value ? std::string(*record.value) : "(null)"; }

// The decoder's verdict on a record as a broker would deliver it.
DeadLetterReason decoded(JsonDecoder& decoder, const SensorRecord& record, Reading& reading) {
  const RecordTime stamp{std::chrono::floor<milliseconds>(record.sent).time_since_epoch().count()};
  return decoder.decode(Record{Offset{0}, stamp, record.key, record.value}, reading);
}

TEST(SensorFleet, RecordsHaveTheReferencesShape) {
  FleetOptions options = fleet_of(1);
  options.records_per_cycle = 10;
  SensorFleet fleet(options);
  const auto expect_shape = [](const SensorRecord& record, const std::string& time) {
    const std::string text = value_text(record);
    const std::string head = "{\"device_id\": 1, \"timestamp\": \"" + time + "\", \"temperature\": ";
    ASSERT_EQ(text.substr(0, head.size()), head);
    const std::string degrees = text.substr(head.size());
    ASSERT_GE(degrees.size(), 4U);
    EXPECT_EQ(degrees.back(), '}');
    const auto point = degrees.find('.');
    ASSERT_NE(point, std::string::npos) << text;
    EXPECT_LE(degrees.size() - 1 - point, 3U) << "at most two fraction digits: " << text;
    EXPECT_EQ(record.key, "1");
  };
  expect_shape(fleet.next(), "2023-05-01T12:00:00");  // no fraction where it is zero, as isoformat() does
  expect_shape(fleet.next(), "2023-05-01T12:00:00.100000");
  expect_shape(fleet.next(), "2023-05-01T12:00:00.200000");
}

TEST(SensorFleet, TheFirstRecordsOfASeedAreFixed) {
  // Written down, not computed: other machines and later versions must produce the same bytes.
  FleetOptions options = fleet_of(1000);
  options.seed = 7;
  options.disorder = seconds{5};
  SensorFleet fleet(options);
  const std::vector<std::string> expected{
      R"({"device_id": 568, "timestamp": "2023-05-01T11:59:59.176442", "temperature": 22.26})",
      R"({"device_id": 959, "timestamp": "2023-05-01T11:59:58.479534", "temperature": 16.59})",
      R"({"device_id": 363, "timestamp": "2023-05-01T11:59:55.843746", "temperature": 15.86})",
  };
  for (const std::string& text : expected) EXPECT_EQ(value_text(fleet.next()), text);
}

TEST(SensorFleet, EqualOptionsGiveEqualBytesAndOtherSeedsOtherBytes) {
  FleetOptions options = fleet_of(50);
  options.disorder = seconds{5};
  options.late_share_ppm = 10'000;
  options.bad_share_ppm = 10'000;
  SensorFleet one(options);
  SensorFleet two(options);
  options.seed = 2;
  SensorFleet other(options);
  int equal_to_other = 0;
  for (int i = 0; i < 10'000; ++i) {
    const SensorRecord& a = one.next();
    const SensorRecord& b = two.next();
    ASSERT_EQ(value_text(a), value_text(b));
    ASSERT_EQ(a.key, b.key);
    equal_to_other += value_text(a) == value_text(other.next()) ? 1 : 0;
  }
  EXPECT_LT(equal_to_other, 100) << "tombstones and empty records only";
}

TEST(SensorFleet, TheDecoderAgreesWithEveryFlaw) {
  FleetOptions options = fleet_of(1000);
  options.bad_share_ppm = 300'000;
  SensorFleet fleet(options);
  JsonDecoder decoder(Definition{});
  std::map<DeadLetterReason, int> seen;
  for (int i = 0; i < 20'000; ++i) {
    const SensorRecord& record = fleet.next();
    Reading reading;
    const auto verdict = decoded(decoder, record, reading);
    ASSERT_EQ(reason_name(verdict), reason_name(record.flaw)) << value_text(record) << "\n" << decoder.detail();
    ++seen[verdict];
    if (verdict != DeadLetterReason::kNone) continue;
    ASSERT_EQ(reading.device.to_text(), record.key);
    ASSERT_GE(reading.value.value(), -20 * kMicroPerUnit);
    ASSERT_LE(reading.value.value(), 60 * kMicroPerUnit);
  }
  EXPECT_NEAR(seen[DeadLetterReason::kNone], 14'000, 400);
  for (const auto reason :
       {DeadLetterReason::kNotJson, DeadLetterReason::kNotObject, DeadLetterReason::kMissingField,
        DeadLetterReason::kWrongType, DeadLetterReason::kBadTimestamp, DeadLetterReason::kOutOfRange,
        DeadLetterReason::kDeviceType, DeadLetterReason::kDuplicateField, DeadLetterReason::kTombstone,
        DeadLetterReason::kFutureEventTime}) {
    EXPECT_GT(seen[reason], 100) << reason_name(reason);
  }
}

TEST(SensorFleet, DisorderAndLatenessStayWithinTheirBounds) {
  FleetOptions options = fleet_of(10);
  options.disorder = seconds{5};
  options.late_share_ppm = 100'000;
  SensorFleet fleet(options);
  JsonDecoder decoder(Definition{});
  int late = 0;
  int out_of_order = 0;
  EventTime newest{0};
  for (int i = 0; i < 20'000; ++i) {
    const SensorRecord& record = fleet.next();
    EXPECT_EQ(record.sent, kStart + microseconds{5'000} * i);
    Reading reading;
    ASSERT_EQ(decoded(decoder, record, reading), DeadLetterReason::kNone);
    const auto behind = record.sent - SensorTime{milliseconds{reading.event_time.value()}};
    if (record.late) {
      ++late;
      EXPECT_GE(behind, hours{2});
      EXPECT_LE(behind, hours{4} + seconds{5} + milliseconds{1});
    } else {
      EXPECT_GE(behind, microseconds{0});
      EXPECT_LE(behind, seconds{5} + milliseconds{1});
      out_of_order += reading.event_time < newest ? 1 : 0;
      newest = std::max(newest, reading.event_time);
    }
  }
  EXPECT_NEAR(late, 2'000, 200);
  EXPECT_GT(out_of_order, 10'000);
}

TEST(SensorFleet, NoPaceIsRounded) {
  FleetOptions options = fleet_of(1);
  options.records_per_cycle = 3;
  SensorFleet fleet(options);
  std::vector<std::int64_t> micros;
  for (int i = 0; i < 7; ++i) micros.push_back((fleet.next().sent - kStart).count());
  EXPECT_EQ(micros, (std::vector<std::int64_t>{0, 333'333, 666'666, 1'000'000, 1'333'333, 1'666'666, 2'000'000}));
}

TEST(SensorFleet, DevicesTakePartEvenlyAndMoveLittle) {
  SensorFleet fleet(fleet_of(100));
  JsonDecoder decoder(Definition{});
  std::map<std::int64_t, int> records;
  std::map<std::int64_t, std::int64_t> last;
  for (int i = 0; i < 100'000; ++i) {
    Reading reading;
    ASSERT_EQ(decoded(decoder, fleet.next(), reading), DeadLetterReason::kNone);
    const std::int64_t device = reading.device.number();
    if (records[device]++ > 0) {
      ASSERT_LE(std::abs(reading.value.value() - last[device]), kMicroPerUnit / 2);
    }
    last[device] = reading.value.value();
  }
  ASSERT_EQ(records.size(), 100U);
  for (const auto& [device, count] : records) EXPECT_NEAR(count, 1'000, 200) << device;
  EXPECT_EQ(records.begin()->first, 1);
  EXPECT_EQ(records.rbegin()->first, 100);
}

}  // namespace
}  // namespace culvert
