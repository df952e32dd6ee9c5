// SPDX-License-Identifier: Apache-2.0
#include "app/verify/verify_output.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "model/json_text.h"

namespace culvert::oracle {

namespace {

// `different`, `missing` and `extra` add up windows, dead letters and counters, so that three zeros mean an equal
// table.
std::vector<std::pair<std::string_view, std::int64_t>> figures(const VerifyReport& report) {
  return {{"windows", report.windows},
          {"equal", report.equal},
          {"different", report.different + report.dead_letters_different + report.counters_different},
          {"missing", report.missing + report.dead_letters_missing},
          {"extra", report.extra + report.dead_letters_extra},
          {"open", report.open},
          {"unverifiable", report.unverifiable},
          {"dead_letters", report.counts.dead_letters},
          {"late", report.counts.late},
          {"records", report.counts.records},
          {"partitions", report.partitions},
          {"repaired", report.repaired}};
}

std::string json_list(const std::vector<std::string>& texts) {
  std::string out = "[";
  for (const std::string& text : texts) {
    if (out.size() > 1) out += ',';
    append_json_string(out, text);
  }
  return out + ']';
}

}  // namespace

std::string report_summary(const VerifyReport& report) {
  std::string line = "verify:";
  for (const auto& [name, value] : figures(report)) line += fmt::format(" {}={}", name, value);
  return line;
}

std::string report_text(const VerifyReport& report) {
  std::string text;
  for (const std::string& partition : report.partly) text += fmt::format("not fully verifiable: {}\n", partition);
  for (const std::string& difference : report.differences) text += difference + "\n";
  const auto shown = static_cast<std::int64_t>(report.differences.size());
  if (report.differences_total > shown) text += fmt::format("and {} more\n", report.differences_total - shown);
  return text + report_summary(report) + "\n";
}

std::string report_json(const VerifyReport& report) {
  std::string object = "{";
  for (const auto& [name, value] : figures(report)) object += fmt::format("\"{}\":{},", name, value);
  return object + fmt::format(R"("good":{},"not_fully_verifiable":{},"differences":{}}})", report.good(),
                              json_list(report.partly), json_list(report.differences));
}

}  // namespace culvert::oracle
