// SPDX-License-Identifier: Apache-2.0
#include "model/check.h"

#include <cstdio>
#include <cstdlib>

namespace culvert {

void check_failed(const char* file, int line, const char* condition, std::string_view message) noexcept {
  std::fprintf(stderr, "culvert: bug: %s:%d: (%s) does not hold: %.*s\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace culvert
