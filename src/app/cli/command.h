// SPDX-License-Identifier: Apache-2.0
// What a command is: its name and help, its options, and what it does.
//
// Flow    main.cc lists the specs -> program.cc picks one, reads its options and runs it.
// Owner   the program makes each Command once, before options are read.
// Time    run() ends soon after context.stop is requested.
// Bounds  the command's own.
// See     docs/ARCHITECTURE.md, "Commands".
//
// A command is one file, NAME_command.cc: a class derived from Command, and a function NAME_command() that returns its
// spec; the function is declared in commands.h and listed in main.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/clock/clock.h"
#include "app/cli/live_area.h"
#include "app/cli/log.h"
#include "app/cli/options.h"
#include "app/cli/output.h"
#include "app/cli/signals.h"
#include "app/options/option_set.h"
#include "model/result.h"

namespace culvert {

struct CommandSpec;

// A command and its declared options, for what is made of all commands: manual pages, completions.
struct CommandView {
  const CommandSpec& spec;
  const OptionSet& options;
};

// Everything a command gets from outside, besides its options.
struct CommandContext {
  Log& log;        // stderr
  Output& out;     // stdout: data only
  LiveArea& live;  // drawn in place, if there is a terminal
  StopFlag& stop;  // SIGTERM, SIGINT
  const Clock& clock;
  bool colour = false;  // on stdout and in the live area
  std::span<const CommandView> commands{};
  std::span<const Section> sections{};  // of every command, as a configuration file may have them
};

class Command {
 public:
  Command() = default;
  Command(const Command&) = delete;
  Command& operator=(const Command&) = delete;
  virtual ~Command() = default;

  // Called once; the set keeps pointers to this object's members.
  virtual void declare(OptionSet& options) = 0;
  // The exit code (0, or e.g. 65 for a comparison that found differences), or an error, which is logged and whose kind
  // is the exit code.
  [[nodiscard]] virtual Result<int> run(CommandContext& context) = 0;
  // What to print on stdout when a file or the environment held something that this command cannot run with; the error
  // itself goes to stderr in any case.
  [[nodiscard]] virtual std::string refused(const Error& /*error*/) const { return {}; }
};

// kHidden: for building and packaging culvert; not in help, manual or completions.
enum class CommandGroup : std::uint8_t { kRun, kLook, kCheck, kHidden };

struct Example {
  std::string_view purpose;
  std::string_view command_line;  // as typed, beginning with `culvert`
};

struct ExitMeaning {
  int code;
  std::string_view meaning;
};

struct CommandSpec {
  std::string_view name;  // `consume`, `dead-letters list`
  CommandGroup group;
  std::string_view summary;  // half a line, for `culvert --help`
  std::string_view about;    // a sentence or a paragraph, for `culvert COMMAND --help`
  std::vector<Example> examples;
  std::vector<ExitMeaning> exit_codes;  // besides those of every command (help.cc)
  std::unique_ptr<Command> (*make)();
};

}  // namespace culvert
