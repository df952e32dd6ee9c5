// SPDX-License-Identifier: Apache-2.0
#include "app/doctor/hops.h"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <utility>

#include "model/check.h"

namespace culvert {

Finding Finding::passed(std::string found) { return {HopState::kPassed, std::move(found)}; }

Finding Finding::failed(ErrorKind kind, std::string found, std::vector<Cause> causes) {
  return {HopState::kFailed, std::move(found), kind, std::move(causes)};
}

Finding Finding::skipped(std::string reason) { return {HopState::kSkipped, std::move(reason)}; }

Finding Finding::of(const Error& error, std::vector<Cause> causes) {
  std::string found = error.message;
  const auto open = found.rfind(" (");
  if (open != std::string::npos && found.ends_with(')')) {
    if (causes.empty()) causes.push_back({"", found.substr(open + 2, found.size() - open - 3)});
    found.resize(open);
  }
  return failed(error.kind, std::move(found), std::move(causes));
}

WalkResult walk(std::span<const Hop> hops, const StopFlag& stop, const Clock& clock, const WalkObserver& observer) {
  WalkResult result;
  std::map<std::string_view, std::string_view> blocked_by;  // hop -> the hop that failed
  for (const Hop& hop : hops) {
    HopReport report{hop.name, {}, Millis{0}};
    std::string_view missing;
    for (const std::string_view need : hop.needs) {
      if (const auto found = blocked_by.find(need); found != blocked_by.end() && missing.empty())
        missing = found->second;
    }
    if (!missing.empty()) {
      blocked_by[hop.name] = missing;
      report.finding = Finding::skipped(fmt::format("needs {}", missing));
    } else if (stop.requested()) {
      report.finding = Finding::skipped("interrupted");
    } else {
      observer.on_begin(hop.name);
      const auto begin = clock.steady();
      report.finding = hop.run();
      report.took = std::chrono::duration_cast<Millis>(clock.steady() - begin);
    }
    switch (report.finding.state) {
      case HopState::kPassed:
        ++result.passed;
        break;
      case HopState::kSkipped:
        ++result.skipped;
        break;
      case HopState::kFailed:
        if (result.failed.empty()) result.exit_code = exit_code(report.finding.kind);
        result.failed.push_back(hop.name);
        blocked_by[hop.name] = hop.name;
        break;
    }
    observer.on_done(report);
  }
  return result;
}

}  // namespace culvert
