// SPDX-License-Identifier: Apache-2.0
// The log: structured lines on stderr.
//
// Flow    commands and adapters' callbacks -> bounded queue -> one writer thread -> stderr.
// Owner   program.cc makes one and hands it down; its destructor writes what is queued.
// Time    a line carries the wall clock's time of the call; repeats are limited by the steady clock.
// Bounds  queue_lines_max lines; when full the oldest is dropped and counted, the caller never waits.  At most
//         repeats_max lines of one message each repeat_interval; the rest is counted and told with the next one.
// See     docs/operating.md: logs.
//
// A message is constant text, what varies goes into fields: `log.warning("flush failed", {{"table", name}})`.
// Text registered with redact() never appears, wherever it stands in a message or field.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "adapters/clock/clock.h"
#include "app/cli/live_area.h"
#include "model/time.h"

namespace culvert {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogFormat : std::uint8_t { kAuto, kText, kJson };  // kAuto: text on a terminal, else JSON lines

struct LogField {
  using Value = std::variant<std::monostate, std::int64_t, double, bool, std::string_view>;
  std::string_view name;
  Value value;

  LogField(std::string_view field, std::string_view text) : name(field), value(text) {}
  LogField(std::string_view field, const std::string& text) : name(field), value(std::string_view(text)) {}
  LogField(std::string_view field, const char* text) : name(field), value(std::string_view(text)) {}
  LogField(std::string_view field, bool truth) : name(field), value(truth) {}
  LogField(std::string_view field, double number) : name(field), value(number) {}
  template <std::integral Number>
  requires(!std::same_as<Number, bool>) LogField(std::string_view field, Number number)
      : name(field), value(static_cast<std::int64_t>(number)) {}
  // Without a number: null in JSON, `unknown` as text.
  LogField(std::string_view field, const std::optional<std::int64_t>& number) : name(field) {
    if (number) value = *number;
  }
};

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kAuto;
  bool colour = false;  // text format only
  int descriptor = 2;
  std::size_t queue_lines_max = 8192;
  std::int64_t repeats_max = 10;
  Millis repeat_interval{10'000};
};

class Log {
 public:
  using Fields = std::initializer_list<LogField>;

  // With a live area, lines go above it; it must outlive the log.
  Log(const LogOptions& options, const Clock& clock, LiveArea* live = nullptr);
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log();

  // Any thread.
  void debug(std::string_view message, Fields fields = {}) { write(LogLevel::kDebug, message, spanned(fields)); }
  void info(std::string_view message, Fields fields = {}) { write(LogLevel::kInfo, message, spanned(fields)); }
  void warning(std::string_view message, Fields fields = {}) { write(LogLevel::kWarning, message, spanned(fields)); }
  void error(std::string_view message, Fields fields = {}) { write(LogLevel::kError, message, spanned(fields)); }
  void write(LogLevel level, std::string_view message, std::span<const LogField> fields);
  [[nodiscard]] bool enabled(LogLevel level) const;

  // `secret` is replaced by `[redacted]` from now on.
  void redact(std::string secret);

  [[nodiscard]] std::int64_t dropped() const;

 private:
  static std::span<const LogField> spanned(Fields fields) { return {fields.begin(), fields.size()}; }

  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace culvert
