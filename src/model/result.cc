// SPDX-License-Identifier: Apache-2.0
#include "model/result.h"

#include <fmt/format.h>

namespace culvert {

Error Error::within(std::string_view context) const {
  return Error{kind, retriable, fmt::format("{}: {}", context, message)};
}

}  // namespace culvert
