// SPDX-License-Identifier: Apache-2.0
// Files that hold options: the TOML configuration file, and Kafka property files.
//
// Flow    file -> [entries with line numbers] -> options.h.
// Owner   values.
// Time    read once, at start.
// Bounds  a file of at most kConfigBytesMost; larger ones are refused.
// See     docs/formats.md: configuration file.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "model/result.h"

namespace culvert {

inline constexpr std::size_t kConfigBytesMost = 1 << 20;

// `[section] key = values`.  Dotted keys inside a section stay dotted: `[kafka] sasl.username = "x"` has the key
// `sasl.username`.  An array has several values, everything else has one.
struct ConfigEntry {
  std::string section;
  std::string key;
  std::vector<std::string> values;
  std::size_t line = 0;
};

struct LineProblem {
  std::size_t line = 0;
  std::string message;  // `FILE: line 3: what is wrong`
};

// What can be read, and everything that cannot; after a syntax error there is nothing more to read.
struct ConfigReading {
  std::vector<ConfigEntry> entries;
  std::vector<LineProblem> problems;
};
[[nodiscard]] ConfigReading read_config(std::string_view text, const std::string& file_name);

// The first problem as an error, kConfiguration.
[[nodiscard]] Result<std::vector<ConfigEntry>> parse_config(std::string_view text, const std::string& file_name);

struct Property {
  std::string key;
  std::string value;
  std::size_t line = 0;
};

// `key=value` lines as in Kafka's own client files: `#` and `!` begin comments, blanks around key and value do not
// count.
[[nodiscard]] Result<std::vector<Property>> parse_properties(std::string_view text, const std::string& file_name);

// The whole file.  kConfiguration if it cannot be read or is too large.
[[nodiscard]] Result<std::string> read_small_file(const std::string& path);
// A secret: the file's text without one trailing newline.  `reference` is `@file:PATH` or `@fd:N`.
[[nodiscard]] Result<std::string> read_secret(std::string_view reference);
[[nodiscard]] bool is_secret_reference(std::string_view value);

}  // namespace culvert
