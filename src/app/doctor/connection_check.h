// SPDX-License-Identifier: Apache-2.0
// Everything that is wrong with a connection document at once, by line, for whoever writes one by hand.
//
// Flow    `culvert validate FILE` -> [check_connection] -> problems.
// Owner   free function, pure.
// Time    none.
// Bounds  a document of kConnectionTextMost bytes; deeper nesting than the form has is a problem, not followed.
// See     infra/connection.schema.json, which says the same.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "app/cli/config_file.h"

namespace culvert {

[[nodiscard]] std::vector<LineProblem> check_connection(std::string_view text, const std::string& file_name);

}  // namespace culvert
