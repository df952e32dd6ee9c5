// SPDX-License-Identifier: Apache-2.0
// An example of a configuration file, made of what --help is made of.
//
// Flow    OptionSet of `consume` -> TOML text -> the generate command -> packages.
// Owner   a free function.
// Time    none.
// Bounds  none.
// See     docs/formats.md: configuration file.
#pragma once

#include <span>
#include <string>

#include "app/cli/command.h"

namespace culvert {

// Every option of the command `consume` with what it does; those that are required have a value, the others are
// comments with their defaults.
[[nodiscard]] std::string sample_config(std::span<const CommandView> commands);

}  // namespace culvert
