// SPDX-License-Identifier: Apache-2.0
#include "app/cli/log.h"

#include <fmt/format.h>
#include <spdlog/async.h>
#include <spdlog/async_logger.h>
#include <spdlog/sinks/base_sink.h>

#include <array>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "app/cli/terminal.h"
#include "model/json_text.h"

namespace culvert {

namespace {

constexpr std::size_t kRepeatKeysMost = 256;
constexpr std::string_view kRedacted = "[redacted]";

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarning:
      return "warning";
    case LogLevel::kError:
      return "error";
  }
  return "";
}

std::string_view level_colour(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "\x1b[2m";
    case LogLevel::kInfo:
      return "";
    case LogLevel::kWarning:
      return "\x1b[33m";
    case LogLevel::kError:
      return "\x1b[31m";
  }
  return "";
}

class LineSink final : public spdlog::sinks::sink {
 public:
  LineSink(int descriptor, LiveArea* live) : descriptor_(descriptor), live_(live == nullptr ? own_ : *live) {}

  void log(const spdlog::details::log_msg& message) override {
    line(std::string(message.payload.data(), message.payload.size()));
  }
  void line(const std::string& text) { live_.write_above(descriptor_, text + "\n"); }
  void flush() override {}
  void set_pattern(const std::string&) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter>) override {}

 private:
  const int descriptor_;
  LiveArea own_{-1};
  LiveArea& live_;
};

std::string format_wall(WallTime time) {
  return format_utc(EventTime{std::chrono::floor<Millis>(time).time_since_epoch().count()});
}

// Of a value that is not text.
std::string plain_text(const LogField::Value& value, std::string_view absent) {
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{:.6g}", *number);
  if (const auto* number = std::get_if<std::int64_t>(&value)) return std::to_string(*number);
  return std::string(absent);
}

struct Repeats {
  SteadyTime since;
  std::int64_t count = 0;
};

}  // namespace

struct Log::State {
  State(const LogOptions& log_options, const Clock& log_clock, LiveArea* live)
      : options(log_options),
        clock(log_clock),
        sink(std::make_shared<LineSink>(log_options.descriptor, live)),
        pool(std::make_shared<spdlog::details::thread_pool>(log_options.queue_lines_max, 1)),
        logger(std::make_shared<spdlog::async_logger>("culvert", sink, pool,
                                                      spdlog::async_overflow_policy::overrun_oldest)) {
    json =
        options.format == LogFormat::kJson || (options.format == LogFormat::kAuto && !is_terminal(options.descriptor));
  }

  // How many lines of this message were left out before this one; nullopt: leave out this one, too.
  std::optional<std::int64_t> admit(LogLevel level, std::string_view message) {
    const std::scoped_lock lock(mutex);
    const SteadyTime now = clock.steady();
    if (repeats.size() >= kRepeatKeysMost) repeats.clear();
    const auto [entry, fresh] = repeats.try_emplace({level, std::string(message)}, Repeats{now, 0});
    Repeats& seen = entry->second;
    if (now - seen.since < options.repeat_interval) {
      return ++seen.count <= options.repeats_max ? std::optional<std::int64_t>(0) : std::nullopt;
    }
    const std::int64_t left_out = std::max<std::int64_t>(0, seen.count - options.repeats_max);
    seen = Repeats{now, 1};
    return left_out;
  }

  std::string redacted(std::string_view text) {
    std::string out(text);
    const std::scoped_lock lock(mutex);
    for (const std::string& secret : secrets) {
      for (auto at = out.find(secret); at != std::string::npos; at = out.find(secret, at + kRedacted.size())) {
        out.replace(at, secret.size(), kRedacted);
      }
    }
    return out;
  }

  std::string json_line(LogLevel level, std::string_view message, std::span<const LogField> fields,
                        std::int64_t left_out);
  std::string text_line(LogLevel level, std::string_view message, std::span<const LogField> fields,
                        std::int64_t left_out);

  const LogOptions options;
  const Clock& clock;
  std::shared_ptr<LineSink> sink;
  std::shared_ptr<spdlog::details::thread_pool> pool;
  std::shared_ptr<spdlog::async_logger> logger;
  bool json = true;
  std::mutex mutex;  // secrets, repeats
  std::vector<std::string> secrets;
  std::map<std::pair<LogLevel, std::string>, Repeats> repeats;
};

std::string Log::State::json_line(LogLevel level, std::string_view message, std::span<const LogField> fields,
                                  std::int64_t left_out) {
  std::string out =
      fmt::format(R"({{"timestamp":"{}","level":"{}","message":)", format_wall(clock.wall()), level_name(level));
  append_json_string(out, redacted(message));
  for (const LogField& field : fields) {
    out += ',';
    append_json_string(out, field.name);
    out += ':';
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      append_json_string(out, redacted(*text));
    } else {
      out += plain_text(field.value, "null");
    }
  }
  if (left_out > 0) out += fmt::format(R"(,"left_out":{})", left_out);
  out += '}';
  return out;
}

std::string Log::State::text_line(LogLevel level, std::string_view message, std::span<const LogField> fields,
                                  std::int64_t left_out) {
  const std::string time = format_wall(clock.wall()).substr(11, 12);
  std::string out = fmt::format("{} {:<7} {}", time, level_name(level), printable(redacted(message)));
  for (const LogField& field : fields) {
    out += fmt::format(" {}=", field.name);
    if (const auto* text = std::get_if<std::string_view>(&field.value)) {
      out += printable(redacted(*text));
    } else {
      out += plain_text(field.value, "unknown");
    }
  }
  if (left_out > 0) out += fmt::format(" (and {} more like it)", left_out);
  const std::string_view colour = options.colour ? level_colour(level) : "";
  return colour.empty() ? out : fmt::format("{}{}\x1b[0m", colour, out);
}

Log::Log(const LogOptions& options, const Clock& clock, LiveArea* live)
    : state_(std::make_unique<State>(options, clock, live)) {}

Log::~Log() {
  // The pool's destructor writes what is queued, then joins its thread.
  state_->logger.reset();
  const auto dropped_lines = dropped();
  state_->pool.reset();
  if (dropped_lines == 0) return;
  const std::string_view message = "log lines were dropped because the queue was full";
  const std::array<LogField, 1> fields{{{"dropped", dropped_lines}}};
  const std::string line = state_->json ? state_->json_line(LogLevel::kWarning, message, fields, 0)
                                        : state_->text_line(LogLevel::kWarning, message, fields, 0);
  state_->sink->line(line);
}

void Log::write(LogLevel level, std::string_view message, std::span<const LogField> fields) {
  if (!enabled(level)) return;
  const auto left_out = state_->admit(level, message);
  if (!left_out) return;
  // The level is filtered above, so spdlog's own is not used.
  state_->logger->log(spdlog::level::critical, state_->json ? state_->json_line(level, message, fields, *left_out)
                                                            : state_->text_line(level, message, fields, *left_out));
}

bool Log::enabled(LogLevel level) const { return level >= state_->options.level; }

void Log::redact(std::string secret) {
  if (secret.empty()) return;
  const std::scoped_lock lock(state_->mutex);
  state_->secrets.push_back(std::move(secret));
}

std::int64_t Log::dropped() const { return static_cast<std::int64_t>(state_->pool->overrun_counter()); }

}  // namespace culvert
