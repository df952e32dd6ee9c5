// SPDX-License-Identifier: Apache-2.0
// Help as text.
//
// Flow    CommandSpec and OptionSet -> text on stdout.
// Owner   free functions.
// Time    none.
// Bounds  lines of at most `columns`, except words that are longer.
// See     command.h.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "app/command.h"
#include "app/option_set.h"

namespace culvert {

// `culvert --help`: commands by group.
[[nodiscard]] std::string program_help(const std::vector<CommandSpec>& specs);

// `culvert COMMAND --help`: sentence, usage, options by group with defaults and units, examples, exit codes.
[[nodiscard]] std::string command_help(const CommandSpec& spec, const OptionSet& options, std::size_t columns);

}  // namespace culvert
