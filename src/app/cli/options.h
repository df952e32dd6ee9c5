// SPDX-License-Identifier: Apache-2.0
// Reads a command's options from all sources.
//
// Flow    defaults < configuration file < environment < command line, each value through the same parser.
// Owner   program.cc, once per run.
// Time    none.
// Bounds  the command line's and the environment's own.
// See     docs/formats.md: configuration file.
//
// In a file, `[common]` holds options of whichever command has them, `[consume]` those of one command, `[kafka]`
// properties of the Kafka client.  The environment says the same as CULVERT_COMMON__TABLE, CULVERT_CONSUME__WINDOW,
// CULVERT_KAFKA__SASL_USERNAME (`_` stands for `-`, in [kafka] for `.`).  Within one source the command's own section
// wins.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "app/cli/config_file.h"
#include "app/options/option_set.h"
#include "model/result.h"

namespace culvert {

// What a section of the file may hold: the options of one command.
struct Section {
  std::string name;  // `consume`, `dead-letters-list`
  OptionSet* options;
};

struct OptionInputs {
  std::vector<std::string> arguments;                            // after the command's name
  std::vector<std::pair<std::string, std::string>> environment;  // NAME, value: only CULVERT_.. ones count
};

inline constexpr std::string_view kCommonSection = "common";

// True if the arguments ask for help; everything else about them may be wrong.
[[nodiscard]] bool asks_for_help(const OptionInputs& inputs);

// Fills `command`'s options.  `sections` names every section that exists (with the command's own), so that a misspelt
// one is found whichever command runs.  `config_path` is what --config says (also in CULVERT_COMMON__CONFIG).
// Errors: kUsage for the command line, kConfiguration for file and environment.
[[nodiscard]] Result<void> read_options(const Section& command, std::span<const Section> sections,
                                        const OptionInputs& inputs);

// Every problem of a configuration file, by line: what no command could read, and what does not fit together where a
// command's required options are all there.  Values are applied to the sections' options on the way.
[[nodiscard]] std::vector<LineProblem> check_config(std::string_view text, const std::string& file_name,
                                                    std::span<const Section> sections);

}  // namespace culvert
