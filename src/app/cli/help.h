// SPDX-License-Identifier: Apache-2.0
// Help as text.
//
// Flow    CommandSpec and OptionSet -> text on stdout; manual.h and completion.h say the same in other forms.
// Owner   free functions.
// Time    none.
// Bounds  lines of at most `columns`, except words that are longer.
// See     command.h.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/cli/command.h"
#include "app/options/option_set.h"

namespace culvert {

// `culvert --help`: commands by group.
[[nodiscard]] std::string program_help(const std::vector<CommandSpec>& specs);

// `culvert COMMAND --help`: sentence, usage, options by group with defaults and units, examples, exit codes.
[[nodiscard]] std::string command_help(const CommandSpec& spec, const OptionSet& options, std::size_t columns);

// The groups that are shown, in order, with their titles.
inline constexpr std::array<std::pair<CommandGroup, std::string_view>, 3> kCommandGroups{
    {{CommandGroup::kRun, "run"}, {CommandGroup::kLook, "look"}, {CommandGroup::kCheck, "check"}}};

// The titles under which a command's options are shown, in order.
[[nodiscard]] std::vector<std::string> option_headings(const OptionSet& options);
// What the option does, whether it is required or repeatable, and its default.
[[nodiscard]] std::string option_text(const Option& option);
// Those of every command and the command's own, ascending; without 128+n.
[[nodiscard]] std::vector<ExitMeaning> exit_meanings(const CommandSpec& spec);
inline constexpr std::string_view kSignalExit = "ended by a second signal n (the first one stops in order)";

}  // namespace culvert
