// SPDX-License-Identifier: Apache-2.0
// The function's options, read from its environment.
//
// Flow    a role declares its options -> [read_environment] -> CULVERT_WINDOW is --window of the commands.
// Owner   main(), once.
// Time    none.
// Bounds  Lambda's environment has 4 KB.
// See     docs/operating.md: function; infra/modules/stream_function sets them.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/options/option_set.h"
#include "model/result.h"

namespace culvert::function {

inline constexpr std::string_view kRoleVariable = "CULVERT_ROLE";

using Entries = std::vector<std::pair<std::string, std::string>>;

// What of the process's environment is ours: every CULVERT_..
[[nodiscard]] Entries culvert_variables();

// `checkpoint-table` -> `CULVERT_CHECKPOINT_TABLE`
[[nodiscard]] std::string variable_name(std::string_view option);

// An empty value is as good as none: templates write one where there is nothing to say.
// Error (kConfiguration, fatal): a variable that no option has, a value that its option refuses, a required one that is
// missing.
[[nodiscard]] Result<void> read_environment(OptionSet& options, const Entries& entries);

}  // namespace culvert::function
