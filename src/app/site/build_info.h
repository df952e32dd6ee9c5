// SPDX-License-Identifier: Apache-2.0
// What this program was built from, and what it runs with.
//
// Flow    CMake's configuration and the libraries' own answers -> version command, start of logs.
// Owner   values.
// Time    none.
// Bounds  a handful of pairs.
// See     src/app/CMakeLists.txt.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace culvert {

// `culvert`, `git` (if it was built in a checkout), `build`, `compiler`, and one pair per library.  Values need no
// escaping in JSON.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> build_info();

}  // namespace culvert
