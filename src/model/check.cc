// SPDX-License-Identifier: Apache-2.0
#include "model/check.h"

#include <cstdio>  // tidy: allow(pure-core): the last words of a process that ends by a bug
#include <cstdlib>

namespace culvert {

void check_failed(const char* file, int line, const char* condition, std::string_view message) noexcept {
  // tidy: allow(pure-core): there is no layer left to hand this to
  std::fprintf(stderr, "culvert: bug: %s:%d: (%s) does not hold: %.*s\n", file, line, condition,
               static_cast<int>(message.size()), message.data());
  std::abort();
}

}  // namespace culvert
