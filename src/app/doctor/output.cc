// SPDX-License-Identifier: Apache-2.0
#include "app/doctor/output.h"

#include <fmt/format.h>

#include "app/cli/visible_text.h"
#include "model/json_text.h"

namespace culvert {

namespace {

constexpr std::string_view kGreen = "\x1b[32m";
constexpr std::string_view kRed = "\x1b[1;31m";
constexpr std::string_view kDim = "\x1b[2m";
constexpr std::string_view kPlain = "\x1b[0m";

struct Mark {
  std::string_view sign;
  std::string_view colour;
  std::string_view word;
};

Mark mark_of(HopState state) {
  switch (state) {
    case HopState::kPassed:
      return {"✓", kGreen, "passed"};
    case HopState::kFailed:
      return {"✗", kRed, "failed"};
    case HopState::kSkipped:
      break;
  }
  return {"–", kDim, "skipped"};
}

// Backslashes of visible_text() would double those of nothing that stands here but text from outside.
std::string shown(std::string_view text) { return visible_text(text); }

}  // namespace

std::string hop_text(const HopReport& report, const DoctorStyle& style) {
  const Mark mark = mark_of(report.finding.state);
  const std::string indent(style.name_columns + 4, ' ');
  const bool skipped = report.finding.state == HopState::kSkipped;
  std::string out;
  if (style.colour) out += mark.colour;
  out += mark.sign;
  if (style.colour && !skipped) out += kPlain;
  out += fmt::format(" {:<{}}  {}{}", report.name, style.name_columns, skipped ? "skipped: " : "",
                     shown(report.finding.found));
  if (style.colour && skipped) out += kPlain;
  out += '\n';
  for (const std::string& detail : report.finding.details) out += fmt::format("{}{}\n", indent, shown(detail));
  if (report.finding.causes.empty()) return out;
  int number = 0;
  for (const Cause& cause : report.finding.causes) {
    const std::string before = report.finding.causes.size() == 1 ? "" : fmt::format("{}. ", ++number);
    const std::string hanging(before.size(), ' ');
    if (!cause.cause.empty()) out += fmt::format("{}{}{}\n", indent, before, shown(cause.cause));
    out += fmt::format("{}{}→ {}\n", indent, cause.cause.empty() ? before : hanging, shown(cause.remedy));
  }
  return out;
}

std::string hop_json(const HopReport& report) {
  std::string out = R"({"hop":)";
  append_json_string(out, report.name);
  out += R"(,"state":)";
  append_json_string(out, mark_of(report.finding.state).word);
  out += R"(,"found":)";
  append_json_string(out, report.finding.found);
  if (report.finding.state == HopState::kFailed) {
    out += fmt::format(R"(,"exit_code":{},"causes":[)", exit_code(report.finding.kind));
    bool first = true;
    for (const Cause& cause : report.finding.causes) {
      out += first ? "{" : ",{";
      if (!cause.cause.empty()) out += fmt::format(R"("cause":{},)", json_string(cause.cause));
      out += fmt::format(R"("remedy":{}}})", json_string(cause.remedy));
      first = false;
    }
    out += ']';
  }
  if (!report.finding.details.empty()) {
    out += R"(,"details":[)";
    bool first = true;
    for (const std::string& detail : report.finding.details) {
      if (!first) out += ',';
      append_json_string(out, detail);
      first = false;
    }
    out += ']';
  }
  out += fmt::format(R"(,"took_ms":{}}})", report.took.count());
  return out;
}

std::string walk_text(const WalkResult& result) {
  const std::string rest = fmt::format("{} in order, {} skipped", result.passed, result.skipped);
  if (result.failed.empty()) return fmt::format("No hop is broken: {}.", rest);
  std::string names;
  for (const std::string_view name : result.failed) names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  return fmt::format("{} broken: {}; {}.",
                     result.failed.size() == 1 ? "1 hop is" : fmt::format("{} hops are", result.failed.size()), names,
                     rest);
}

}  // namespace culvert
