// SPDX-License-Identifier: Apache-2.0
// The table of commands, in the order help shows them.
#include "app/cli/commands.h"
#include "app/cli/program.h"

int main(int argc, char** argv) {
  return culvert::run_program(
      {
          culvert::demo_command(),
          culvert::produce_command(),
          culvert::consume_command(),
          culvert::bridge_command(),
          culvert::query_command(),
          culvert::tail_command(),
          culvert::dead_letters_list_command(),
          culvert::dead_letters_redrive_command(),
          culvert::dashboard_command(),
          culvert::doctor_command(),
          culvert::verify_command(),
          culvert::validate_command(),
          culvert::version_command(),
          culvert::generate_command(),
      },
      argc, argv);
}
