// SPDX-License-Identifier: Apache-2.0
// Manual pages, made of what --help is made of.
//
// Flow    CommandSpec and OptionSet -> man(7) text -> the generate command -> packages.
// Owner   free functions.
// Time    none: pages carry the version and no date, so that the same sources make the same bytes.
// Bounds  none.
// See     help.h; packaging/CMakeLists.txt.
#pragma once

#include <span>
#include <string>

#include "app/cli/command.h"

namespace culvert {

// culvert(1): commands, configuration, environment.
[[nodiscard]] std::string program_manual(std::span<const CommandView> commands, const std::string& version);

// culvert-COMMAND(1).
[[nodiscard]] std::string command_manual(const CommandView& command, std::span<const CommandView> commands,
                                         const std::string& version);

// `culvert-dead-letters-list`: the page's name without its section.
[[nodiscard]] std::string manual_name(const CommandSpec& spec);

}  // namespace culvert
