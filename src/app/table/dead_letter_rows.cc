// SPDX-License-Identifier: Apache-2.0
#include "app/table/dead_letter_rows.h"

#include <fmt/format.h>

#include "app/cli/visible_text.h"
#include "model/json_text.h"

namespace culvert {

namespace {

constexpr std::size_t kKeyColumnsMost = 20;
constexpr std::size_t kValueColumnsMost = 60;

std::string base64_or_null(const std::optional<std::string>& bytes) {
  return bytes ? fmt::format("\"{}\"", base64(*bytes)) : "null";
}

std::string cell(const std::optional<std::string>& bytes, std::size_t columns, const char* absent) {
  return bytes ? visible_start(*bytes, columns) : absent;
}

}  // namespace

std::string dead_letter_json(const DeadLetter& letter) {
  return fmt::format(
      R"({{"topic":{},"generation":{},"partition":{},"offset":{},"timestamp":{},"reason":"{}","detail":{},)"
      R"("key_base64":{},"value_base64":{}}})",
      json_string(letter.where.topic), letter.where.generation, letter.where.partition.value(), letter.offset.value(),
      letter.timestamp ? std::to_string(letter.timestamp->value()) : "null", reason_name(letter.reason),
      json_string(letter.detail), base64_or_null(letter.key), base64_or_null(letter.value));
}

std::vector<std::string> dead_letter_cells(const DeadLetter& letter) {
  return {visible_text(fmt::format("{}:{}", letter.where.name(), letter.offset.value())),
          letter.timestamp ? format_utc(EventTime{letter.timestamp->value()}) : "-",
          std::string(reason_name(letter.reason)),
          visible_text(letter.detail),
          cell(letter.key, kKeyColumnsMost, "(no key)"),
          cell(letter.value, kValueColumnsMost, "(tombstone)")};
}

}  // namespace culvert
