// SPDX-License-Identifier: Apache-2.0
// The assertion for bugs: on in every build, ends the process.
//
// Flow    any layer.  A bad record is a value and a failing environment is a Result; neither ever comes here.
// Owner   none: free function and macro.
// Time    none.
// Bounds  one comparison when the condition holds.
// See     docs/ARCHITECTURE.md, "Three kinds of failure".
#pragma once

#include <string_view>

namespace culvert {

// Writes `file:line: condition: message` to stderr and aborts, so that a supervisor restarts the process: going on with
// a broken invariant could write a wrong number, and restarting never can.
[[noreturn]] void check_failed(const char* file, int line, const char* condition, std::string_view message) noexcept;

}  // namespace culvert

#define CULVERT_CHECK(condition, message)                                 \
  do {                                                                    \
    if (!(condition)) [[unlikely]] {                                      \
      ::culvert::check_failed(__FILE__, __LINE__, #condition, (message)); \
    }                                                                     \
  } while (false)
