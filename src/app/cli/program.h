// SPDX-License-Identifier: Apache-2.0
// From argc and argv to an exit code.
//
// Flow    argv -> command -> options -> log, signals, output -> Command::run -> exit code.
// Owner   main().
// Time    none of its own.
// Bounds  none.
// See     help.h, options.h, signals.h.
#pragma once

#include <vector>

#include "app/cli/command.h"

namespace culvert {

[[nodiscard]] int run_program(const std::vector<CommandSpec>& specs, int argc, char** argv);

}  // namespace culvert
