// SPDX-License-Identifier: Apache-2.0
// The files of the page, as they were when the program was built.
//
// Flow    src/dashboard/page/*, docs/openapi.yaml -> cmake/embed.cmake -> [find_asset] -> HTTP.
// Owner   constants of the program.
// Time    none.
// Bounds  150 KiB together (a test says so).
// See     page/vendor/README.md for what is not ours.
#pragma once

#include <span>
#include <string_view>

namespace culvert::dashboard {

struct Asset {
  std::string_view path;  // `/app.js`
  std::string_view type;
  std::string_view bytes;
  std::string_view tag;  // changes with the bytes
};

// Null: there is no such file.
[[nodiscard]] const Asset* find_asset(std::string_view path);
[[nodiscard]] std::span<const Asset> assets();

}  // namespace culvert::dashboard
