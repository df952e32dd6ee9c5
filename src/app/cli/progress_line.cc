// SPDX-License-Identifier: Apache-2.0
#include "app/cli/progress_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "app/options/values.h"

namespace culvert {

namespace {

using Seconds = std::chrono::duration<double>;

constexpr Millis kDrawInterval{200};
constexpr Millis kLogInterval{10'000};
constexpr double kRateMemorySeconds = 3.0;

// Whole seconds are enough for a person; a rounding error of the rate is not another second.
Millis rounded_up(double seconds) { return Millis{static_cast<std::int64_t>(std::ceil(seconds - 1e-6)) * 1000}; }

std::string field_text(const LogField& field) {
  if (const auto* text = std::get_if<std::string_view>(&field.value)) return fmt::format("{}={}", field.name, *text);
  if (const auto* truth = std::get_if<bool>(&field.value)) return fmt::format("{}={}", field.name, *truth);
  if (const auto* number = std::get_if<double>(&field.value)) return fmt::format("{}={:.3g}", field.name, *number);
  return fmt::format("{}={}", field.name, format_count(std::get<std::int64_t>(field.value)));
}

}  // namespace

std::string progress_text(std::string_view what, const ProgressFigures& figures, const ProgressGoal& goal,
                          Log::Fields fields, std::size_t columns) {
  std::string out = fmt::format("{}  {}", what, format_count(figures.done));
  if (goal.total) out += fmt::format(" of {}", format_count(*goal.total));
  if (figures.percent) out += fmt::format(" ({:.0f} %)", std::floor(*figures.percent));
  out += fmt::format("  {}", format_rate(figures.rate));
  if (figures.time_left) out += fmt::format("  {} left", format_duration(*figures.time_left));
  for (const LogField& field : fields) out += "  " + field_text(field);
  if (out.size() >= columns) out.resize(columns - 1);  // the last column would wrap on some terminals
  return out;
}

ProgressLine::ProgressLine(std::string what, ProgressGoal goal, Log& log, LiveArea& live, const Clock& clock)
    : what_(std::move(what)),
      goal_(goal),
      log_(log),
      live_(live),
      clock_(clock),
      start_(clock.steady()),
      shown_(start_) {}

void ProgressLine::update(std::int64_t done, Log::Fields fields) {
  const Millis interval = live_.active() ? kDrawInterval : kLogInterval;
  const SteadyTime now = clock_.steady();
  if (now - shown_ < interval) return;
  const double seconds = Seconds(now - shown_).count();
  const double current = static_cast<double>(done - shown_done_) / seconds;
  // Exponential forgetting by time, so that the interval's length does not matter.
  const double keep = shown_ == start_ ? 0.0 : std::exp(-seconds / kRateMemorySeconds);
  rate_ = keep * rate_ + (1.0 - keep) * current;
  shown_ = now;
  shown_done_ = done;
  show(done, fields);
}

ProgressFigures ProgressLine::figures(std::int64_t done) const {
  ProgressFigures figures{done, rate_, std::nullopt, std::nullopt};
  if (goal_.total && *goal_.total > 0) {
    figures.percent = 100.0 * static_cast<double>(done) / static_cast<double>(*goal_.total);
    if (rate_ > 0) figures.time_left = rounded_up(static_cast<double>(*goal_.total - done) / rate_);
  }
  if (goal_.duration && goal_.duration->count() > 0) {
    const Millis gone = elapsed();
    const double share = 100.0 * Seconds(gone).count() / Seconds(*goal_.duration).count();
    const Millis left = rounded_up(Seconds(std::max(Millis{0}, *goal_.duration - gone)).count());
    figures.percent = std::min(100.0, std::max(share, figures.percent.value_or(0.0)));
    figures.time_left = std::min(left, figures.time_left.value_or(left));
  }
  return figures;
}

void ProgressLine::show(std::int64_t done, Log::Fields fields) {
  const ProgressFigures now = figures(done);
  if (live_.active()) {
    const auto columns = static_cast<std::size_t>(live_.size().columns);
    live_.show({progress_text(what_, now, goal_, fields, columns)});
    return;
  }
  std::vector<LogField> all{{"command", what_}, {"done", now.done}, {"rate", std::round(now.rate)}};
  if (goal_.total) all.emplace_back("total", *goal_.total);
  if (now.percent) all.emplace_back("percent", std::floor(*now.percent));
  if (now.time_left) all.emplace_back("seconds_left", now.time_left->count() / 1000);
  all.insert(all.end(), fields.begin(), fields.end());
  log_.write(LogLevel::kInfo, "progress", all);
}

void ProgressLine::finish() { live_.clear(); }

double ProgressLine::overall_rate(std::int64_t done) const {
  const double seconds = Seconds(clock_.steady() - start_).count();
  return seconds > 0 ? static_cast<double>(done) / seconds : 0;
}

Millis ProgressLine::elapsed() const { return std::chrono::duration_cast<Millis>(clock_.steady() - start_); }

}  // namespace culvert
