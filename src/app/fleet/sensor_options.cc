// SPDX-License-Identifier: Apache-2.0
#include "app/fleet/sensor_options.h"

#include <limits>

#include "app/options/values.h"
#include "model/micro.h"

namespace culvert {

namespace {

constexpr std::int64_t kRateMost = 100'000'000;
constexpr std::int64_t kNanosPerSecond = 1'000'000'000;

// value * factor / divisor without overflow in between.
std::int64_t scaled(std::int64_t value, std::int64_t factor, std::int64_t divisor) {
  return static_cast<std::int64_t>(static_cast<Int128>(value) * factor / divisor);
}

}  // namespace

void SensorOptions::declare(OptionSet& options, const SensorDefaults& defaults) {
  duration_ = defaults.duration;
  disorder_ = defaults.disorder;
  late_share_ppm_ = defaults.late_share_ppm;
  bad_share_ppm_ = defaults.bad_share_ppm;
  options.heading("Sensors");
  options.integer("devices", {1, kDevicesMost + 1}, &devices_, "Number of devices; their ids are 1, 2, ..");
  Option rate;
  rate.name = "rate";
  rate.value_name = "N|max";
  rate.help = "Records a second, of all devices together.";
  rate.default_text = std::to_string(*rate_);
  rate.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
    const auto value = parse_count(text.ends_with("/s") ? text.substr(0, text.size() - 2) : text);
    if (text != "max" && (!value || *value < 1 || *value > kRateMost)) {
      return refuse_value(text, "is neither max nor a number of records a second such as 200, 50k or 1.5M");
    }
    rate_ = text == "max" ? std::nullopt : value;
    return {};
  };
  options.add(std::move(rate));
  options.count("count", &count_, "End after this many records.");
  Option& duration = options.duration("duration", &duration_, "End after this time.");
  if (duration_) duration.default_text = format_duration(*duration_);
  options.integer("seed", {0, std::numeric_limits<std::int64_t>::max()}, &seed_,
                  "Equal seeds (with equal --start-time) make equal records.");
  options.duration("disorder", &disorder_, "Event times lie up to this long before the record is sent, evenly spread.");
  options.share("late-share", &late_share_ppm_, "Share of records that are much too late.");
  options.duration("late-by", &late_by_, "How late those are, at least; at most twice as much.");
  options.share("bad-share", &bad_share_ppm_, "Share of records that are wrong, in twenty different ways.");
  options.time("start-time", &start_time_, "Event time of the first record.").default_text =
      "now; with --rate max as long ago as it takes to end now, or a day";
  options.duration("interval", &interval_, "With --rate max: event time between two records of a device, on average.");
  options.finish([this] { return check(); });
}

Result<void> SensorOptions::check() const {
  if (count_ && *count_ < 1) return Error::fatal(ErrorKind::kUsage, "--count must be at least 1");
  if (interval_.count() < 1 || interval_ > std::chrono::hours{24}) {
    return Error::fatal(ErrorKind::kUsage, "--interval must be from 1ms to 1d");
  }
  if (late_share_ppm_ > 0 && late_by_.count() == 0) {
    return Error::fatal(ErrorKind::kUsage, "--late-by must be longer than 0s if there is a --late-share");
  }
  return {};
}

SensorPlan SensorOptions::plan(WallTime now) const {
  SensorPlan plan;
  plan.rate_per_second = rate_;
  plan.total = count_;
  if (duration_ && rate_) {
    const std::int64_t by_duration = scaled(duration_->count(), *rate_, 1'000);
    plan.total = std::min(by_duration, count_.value_or(by_duration));
  } else {
    plan.duration = duration_;
  }
  FleetOptions& fleet = plan.fleet;
  fleet.devices = devices_;
  fleet.seed = static_cast<std::uint64_t>(seed_);
  fleet.disorder = disorder_;
  fleet.late_share_ppm = late_share_ppm_;
  fleet.late_by = late_by_;
  fleet.bad_share_ppm = bad_share_ppm_;
  fleet.cycle = rate_ ? Millis{1'000} : interval_;
  fleet.records_per_cycle = rate_.value_or(devices_);
  fleet.start = now;
  if (start_time_) {
    fleet.start = SensorTime{Millis{start_time_->value()}};
  } else if (!rate_) {
    // Simulated time runs faster than the clock, and event times must not lie in the future.
    constexpr std::int64_t kDayMicros = 86'400'000'000;
    const std::int64_t micros =
        plan.total ? scaled(*plan.total, fleet.cycle.count(), fleet.records_per_cycle) : kDayMicros;
    fleet.start = now - std::chrono::microseconds{std::min(micros, now.time_since_epoch().count())};
  }
  return plan;
}

std::optional<std::int64_t> Pacer::due(SteadyTime now) const {
  if (!rate_) return std::nullopt;
  const auto elapsed = std::chrono::duration_cast<std::chrono::nanoseconds>(now - start_);
  return scaled(elapsed.count(), *rate_, kNanosPerSecond) + 1;  // record 0 is due at once
}

SteadyTime Pacer::due_time(std::int64_t n) const {
  if (!rate_) return start_;
  return start_ + std::chrono::nanoseconds{scaled(n, kNanosPerSecond, *rate_)};
}

}  // namespace culvert
