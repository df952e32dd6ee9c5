// SPDX-License-Identifier: Apache-2.0
// Writing JSON objects and arrays, commas included.
//
// Flow    board_json -> [JsonOut] -> the text of an answer.
// Owner   the function that writes one answer.
// Time    none.
// Bounds  the text grows as it is written; nesting is the caller's.
// See     json_text.h, which writes the strings.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/json_text.h"
#include "model/micro.h"

namespace culvert {

class JsonOut {
 public:
  JsonOut& object() { return open('{'); }
  JsonOut& object(std::string_view name) { return key(name).open('{'); }
  JsonOut& array() { return open('['); }
  JsonOut& array(std::string_view name) { return key(name).open('['); }
  JsonOut& end_object() { return close('}'); }
  JsonOut& end_array() { return close(']'); }

  JsonOut& text(std::string_view name, std::string_view value) { return key(name).text(value); }
  JsonOut& text(std::string_view value) {
    separate();
    append_json_string(out_, value);
    return *this;
  }
  JsonOut& integer(std::string_view name, std::int64_t value) { return key(name).raw(std::to_string(value)); }
  JsonOut& integer(std::string_view name, const std::optional<std::int64_t>& value) {
    return value ? integer(name, *value) : null(name);
  }
  // Decimals with up to three places: figures for people, never a stored value.
  JsonOut& real(std::string_view name, double value) { return key(name).raw(fmt::format("{:.3f}", value)); }
  JsonOut& real(std::string_view name, const std::optional<double>& value) {
    return value ? real(name, *value) : null(name);
  }
  JsonOut& micro(std::string_view name, Micro value) { return key(name).raw(format_micro(value)); }
  JsonOut& micro(Micro value) { return raw(format_micro(value)); }
  JsonOut& flag(std::string_view name, bool value) { return key(name).raw(value ? "true" : "false"); }
  JsonOut& null(std::string_view name) { return key(name).raw("null"); }
  JsonOut& raw(std::string_view value) {
    separate();
    out_ += value;
    return *this;
  }

  [[nodiscard]] std::string take() { return std::move(out_); }

 private:
  JsonOut& key(std::string_view name) {
    text(name);
    out_ += ':';
    return *this;
  }
  void separate() {
    if (!out_.empty() && out_.back() != '{' && out_.back() != '[' && out_.back() != ':') out_ += ',';
  }
  JsonOut& open(char bracket) {
    separate();
    out_ += bracket;
    return *this;
  }
  JsonOut& close(char bracket) {
    out_ += bracket;
    return *this;
  }

  std::string out_;
};

}  // namespace culvert
