// SPDX-License-Identifier: Apache-2.0
// Command line completion for bash, zsh and fish, made of what --help is made of.
//
// Flow    CommandSpec and OptionSet -> a shell's completion file -> the generate command -> packages.
// Owner   free functions.
// Time    none.
// Bounds  none.
// See     help.h; packaging/CMakeLists.txt.  Descriptions are the first sentence of an option's help.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "app/cli/command.h"

namespace culvert {

[[nodiscard]] std::string bash_completion(std::span<const CommandView> commands);
[[nodiscard]] std::string zsh_completion(std::span<const CommandView> commands);
[[nodiscard]] std::string fish_completion(std::span<const CommandView> commands);

// What may follow an option, read from its value's name: `early|final`, `FILE`, `sqlite:FILE|dynamodb:NAME`.
struct ValueHint {
  bool expected = false;           // false: a flag
  std::vector<std::string> words;  // `early`, `final`; `sqlite:`, `dynamodb:`
  std::string file_prefix;         // `sqlite:` when a file may stand behind it
  bool file = false;               // a file name by itself
};
[[nodiscard]] ValueHint value_hint(const Option& option);

}  // namespace culvert
