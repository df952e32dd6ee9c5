// SPDX-License-Identifier: Apache-2.0
// Every command of the program, one line each.
//
// Flow    *_command.cc -> main.cc.
// Owner   none.
// Time    none.
// Bounds  none.
// See     command.h for how to add one.
#pragma once

#include "app/cli/command.h"

namespace culvert {

[[nodiscard]] CommandSpec bridge_command();
[[nodiscard]] CommandSpec consume_command();
[[nodiscard]] CommandSpec dashboard_command();
[[nodiscard]] CommandSpec dead_letters_list_command();
[[nodiscard]] CommandSpec dead_letters_redrive_command();
[[nodiscard]] CommandSpec demo_command();
[[nodiscard]] CommandSpec doctor_command();
[[nodiscard]] CommandSpec generate_command();
[[nodiscard]] CommandSpec produce_command();
[[nodiscard]] CommandSpec query_command();
[[nodiscard]] CommandSpec tail_command();
[[nodiscard]] CommandSpec validate_command();
[[nodiscard]] CommandSpec verify_command();
[[nodiscard]] CommandSpec version_command();

}  // namespace culvert
