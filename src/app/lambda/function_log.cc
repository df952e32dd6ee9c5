// SPDX-License-Identifier: Apache-2.0
#include "app/lambda/function_log.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "model/json_text.h"

namespace culvert::function {

namespace {

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "DEBUG";
    case LogLevel::kInfo:
      return "INFO";
    case LogLevel::kWarning:
      return "WARN";
    case LogLevel::kError:
      return "ERROR";
  }
  return "";
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

LogLevel level_of(const std::string& word) {
  if (word == "TRACE" || word == "DEBUG") return LogLevel::kDebug;
  if (word == "WARN") return LogLevel::kWarning;
  if (word == "ERROR" || word == "FATAL") return LogLevel::kError;
  return LogLevel::kInfo;
}

std::int64_t wall_ms(const Clock& clock) { return std::chrono::floor<Millis>(clock.wall()).time_since_epoch().count(); }

void append_member(std::string& out, std::string_view name, std::string_view text) {
  out.append(",\"").append(name).append("\":");
  append_json_string(out, text);
}

std::string value_text(const LogField::Value& value, bool json) {
  if (const auto* text = std::get_if<std::string_view>(&value)) return json ? json_string(*text) : std::string(*text);
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{:.6g}", *number);
  return std::to_string(std::get<std::int64_t>(value));
}

// A log that cannot be written must not fail a batch; there is nowhere to tell it either.
void write_line(int descriptor, std::string line) {
  // Whatever a message holds, it stays one line.
  for (const char end : {'\n', '\r'}) {
    for (auto at = line.find(end); at != std::string::npos; at = line.find(end, at)) line[at] = ' ';
  }
  line += '\n';
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t written = ::write(descriptor, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

FunctionLog::Options FunctionLog::Options::from(const aws::Environment& environment) {
  Options options;
  options.level = level_of(upper(environment("AWS_LAMBDA_LOG_LEVEL").value_or("INFO")));
  options.json = upper(environment("AWS_LAMBDA_LOG_FORMAT").value_or("JSON")) != "TEXT";
  options.service = environment("AWS_LAMBDA_FUNCTION_NAME").value_or(options.service);
  return options;
}

std::string_view trace_root(std::string_view trace_id) {
  constexpr std::string_view kRoot = "Root=";
  const auto at = trace_id.find(kRoot);
  if (at == std::string_view::npos) return {};
  trace_id.remove_prefix(at + kRoot.size());
  return trace_id.substr(0, trace_id.find(';'));
}

void FunctionLog::debug(std::string_view message, const lambda::Invocation* invocation, Fields fields) {
  write(LogLevel::kDebug, message, invocation, fields);
}

void FunctionLog::info(std::string_view message, const lambda::Invocation* invocation, Fields fields) {
  write(LogLevel::kInfo, message, invocation, fields);
}

void FunctionLog::error(std::string_view message, const lambda::Invocation* invocation, Fields fields) {
  write(LogLevel::kError, message, invocation, fields);
}

void FunctionLog::write(LogLevel level, std::string_view message, const lambda::Invocation* invocation, Fields fields) {
  if (!enabled(level)) return;
  const std::string time = format_utc(EventTime{wall_ms(clock_)});
  std::string line;
  if (options_.json) {
    line = fmt::format(R"({{"timestamp":"{}","level":"{}","message":)", time, level_name(level));
    append_json_string(line, message);
    append_member(line, "service", options_.service);
    if (invocation != nullptr) {
      append_member(line, "function_request_id", invocation->request_id);
      if (const auto root = trace_root(invocation->trace_id); !root.empty()) append_member(line, "xray_trace_id", root);
      line += invocation->cold_start ? R"(,"cold_start":true)" : R"(,"cold_start":false)";
    }
    for (const LogField& field : fields) {
      fmt::format_to(std::back_inserter(line), ",\"{}\":{}", field.name, value_text(field.value, true));
    }
    line += '}';
  } else {
    line = fmt::format("{} {} {} {}", time, level_name(level), invocation == nullptr ? "-" : invocation->request_id,
                       message);
    for (const LogField& field : fields) {
      fmt::format_to(std::back_inserter(line), " {}={}", field.name, value_text(field.value, false));
    }
  }
  write_line(options_.log_descriptor, std::move(line));
}

void FunctionLog::metrics(std::span<const Metric> metrics, const lambda::Invocation& invocation) {
  // Every invocation ends with this line: a format string for each of its pieces would be a sixth of what the smallest
  // invocation computes.
  std::string line;
  line.reserve(1'024);
  line.append(R"({"_aws":{"Timestamp":)").append(fmt::format_int(wall_ms(clock_)).c_str());
  line.append(R"(,"CloudWatchMetrics":[{"Namespace":"culvert","Dimensions":[["service"]],"Metrics":[)");
  for (const Metric& metric : metrics) {
    if (line.back() != '[') line += ',';
    line.append(R"({"Name":")").append(metric.name).append(R"(","Unit":")").append(metric.unit).append(R"("})");
  }
  line += "]}]}";
  append_member(line, "service", options_.service);
  append_member(line, "function_request_id", invocation.request_id);
  for (const Metric& metric : metrics) {
    line.append(",\"").append(metric.name).append("\":").append(fmt::format_int(metric.value).c_str());
  }
  line += '}';
  write_line(options_.metrics_descriptor, std::move(line));
}

}  // namespace culvert::function
