// SPDX-License-Identifier: Apache-2.0
#include "app/cli/program.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <deque>
#include <exception>
#include <string>

#include "app/cli/help.h"
#include "app/cli/options.h"
#include "app/cli/terminal.h"
#include "app/options/did_you_mean.h"

namespace culvert {

namespace {

// Options that every command has.
struct CommonOptions {
  std::string config;
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kAuto;
  ColourChoice colour = ColourChoice::kAuto;
  bool help = false;

  void declare(OptionSet& options) {
    options.heading("Common");
    options.text("config", "FILE", &config, "Read options from this TOML file.");
    options.choice<LogLevel>("log-level",
                             {{"debug", LogLevel::kDebug},
                              {"info", LogLevel::kInfo},
                              {"warning", LogLevel::kWarning},
                              {"error", LogLevel::kError}},
                             &log_level, "How much is logged on stderr.");
    options.choice<LogFormat>("log-format",
                              {{"auto", LogFormat::kAuto}, {"text", LogFormat::kText}, {"json", LogFormat::kJson}},
                              &log_format, "Form of the log; auto is text on a terminal and JSON lines elsewhere.");
    options.choice<ColourChoice>(
        "color", {{"auto", ColourChoice::kAuto}, {"always", ColourChoice::kAlways}, {"never", ColourChoice::kNever}},
        &colour, "Colours; auto is on a terminal unless NO_COLOR is set.");
    options.flag({"help", 'h'}, &help, "Print this and end.");
  }
};

struct DeclaredCommand {
  const CommandSpec* spec;
  std::unique_ptr<Command> command;
  OptionSet options;
  CommonOptions common;
};

void complain(const std::string& message) { fmt::print(stderr, "culvert: {}\n", message); }

// The environment's part that may be ours.
std::vector<std::pair<std::string, std::string>> culvert_environment() {
  std::vector<std::pair<std::string, std::string>> found;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const auto equals = text.find('=');
    if (!text.starts_with("CULVERT_") || equals == std::string::npos) continue;
    found.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return found;
}

std::vector<std::string> words_of(std::string_view name) {
  std::vector<std::string> words;
  for (std::size_t first = 0; first <= name.size();) {
    const auto blank = std::min(name.find(' ', first), name.size());
    words.emplace_back(name.substr(first, blank - first));
    first = blank + 1;
  }
  return words;
}

// The command whose name's words begin `arguments`, which loses them.
const CommandSpec* take_command(const std::vector<CommandSpec>& specs, std::vector<std::string>& arguments) {
  for (const CommandSpec& spec : specs) {
    const auto words = words_of(spec.name);
    if (words.size() > arguments.size() || !std::equal(words.begin(), words.end(), arguments.begin())) continue;
    arguments.erase(arguments.begin(), arguments.begin() + static_cast<std::ptrdiff_t>(words.size()));
    return &spec;
  }
  return nullptr;
}

int print_text(const std::string& text) {
  Output out(STDOUT_FILENO);
  out.write(text);
  if (auto result = out.flush(); !result && !out.reader_gone()) {
    complain(result.error().message);
    return exit_code(result.error().kind);
  }
  return 0;
}

// `culvert dead-letters`: what there is below it.
int command_family(const std::vector<const CommandSpec*>& below, const std::vector<std::string>& arguments, bool help) {
  std::string list;
  std::vector<std::string> names;
  for (const CommandSpec* spec : below) {
    list += fmt::format("  culvert {:<22}  {}\n", spec->name, spec->summary);
    names.emplace_back(spec->name.substr(arguments.front().size() + 1));
  }
  if (help) return print_text(list);
  if (arguments.size() > 1) {
    complain(fmt::format("unknown command '{} {}'{}", arguments[0], arguments[1], did_you_mean(arguments[1], names)));
  } else {
    complain(fmt::format("'{}' is the first word of:", arguments.front()));
  }
  std::fputs(list.c_str(), stderr);
  return exit_code(ErrorKind::kUsage);
}

int unknown_command(const std::vector<CommandSpec>& specs, const std::vector<std::string>& arguments, bool help) {
  std::vector<std::string> names;
  std::vector<const CommandSpec*> below;
  for (const CommandSpec& spec : specs) {
    if (spec.group != CommandGroup::kHidden) names.emplace_back(spec.name);
    if (spec.name.starts_with(arguments.front() + " ")) below.push_back(&spec);
  }
  if (!below.empty()) return command_family(below, arguments, help);
  if (arguments.front().starts_with("-")) {
    complain(fmt::format("unknown option '{}' before a command (see culvert --help)", arguments.front()));
  } else {
    const std::string two = arguments.size() > 1 ? arguments[0] + " " + arguments[1] : arguments[0];
    std::string hint = did_you_mean(arguments.front(), names);
    if (hint.empty()) hint = did_you_mean(two, names);
    complain(fmt::format("unknown command '{}'{} (see culvert --help)", arguments.front(), hint));
  }
  return exit_code(ErrorKind::kUsage);
}

std::string section_name(const CommandSpec& spec) {
  std::string name(spec.name);
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

// The last step: what the command made of it, and whether its data reached stdout.
int conclude(const Result<int>& result, Output& out, Log& log) {
  constexpr int kSigpipeExit = 128 + 13;
  const auto flushed = out.flush();
  if (out.reader_gone()) return kSigpipeExit;
  if (!result) {
    log.error(result.error().message);
    return exit_code(result.error().kind);
  }
  if (!flushed) {
    log.error(flushed.error().message);
    return exit_code(flushed.error().kind);
  }
  return *result;
}

int run_command(DeclaredCommand& chosen, const std::vector<Section>& sections, const OptionInputs& inputs,
                std::span<const CommandView> commands) {
  const Section own{section_name(*chosen.spec), &chosen.options};
  if (auto result = read_options(own, sections, inputs); !result) {
    complain(
        fmt::format("{}: {} (see culvert {} --help)", chosen.spec->name, result.error().message, chosen.spec->name));
    if (result.error().kind == ErrorKind::kConfiguration) {
      if (const std::string text = chosen.command->refused(result.error()); !text.empty()) print_text(text);
    }
    return exit_code(result.error().kind);
  }
  const CommonOptions& common = chosen.common;
  StopSignals stop;
  SystemClock clock;
  Output out(STDOUT_FILENO);
  LogOptions log_options;
  log_options.level = common.log_level;
  log_options.format = common.log_format;
  log_options.colour = use_colour(common.colour, STDERR_FILENO);
  // Where both are terminals they are taken to be the same one, so that log lines and live lines do not mix.
  LiveArea live(can_draw(STDERR_FILENO) ? STDERR_FILENO : STDOUT_FILENO);
  Log log(log_options, clock, &live);
  CommandContext context{log, out, live, stop, clock, use_colour(common.colour, STDOUT_FILENO), commands, sections};
  const Result<int> result = chosen.command->run(context);
  live.clear();
  return conclude(result, out, log);
}

int dispatch(const std::vector<CommandSpec>& specs, std::vector<std::string> arguments) {
  if (arguments.empty()) {
    fmt::print(stderr, "{}", program_help(specs));
    return exit_code(ErrorKind::kUsage);
  }
  if (arguments.front() == "--help" || arguments.front() == "-h") return print_text(program_help(specs));
  if (arguments.front() == "--version") arguments.front() = "version";
  const bool help_word = arguments.front() == "help";
  if (help_word) arguments.erase(arguments.begin());
  if (help_word && arguments.empty()) return print_text(program_help(specs));

  OptionInputs inputs;
  inputs.environment = culvert_environment();
  inputs.arguments = arguments;
  const CommandSpec* spec = take_command(specs, inputs.arguments);
  if (spec == nullptr) return unknown_command(specs, arguments, help_word || asks_for_help(inputs));

  // Every command declares its options, so that a key misspelt in any section of a file is found by every command.
  std::deque<DeclaredCommand> declared;
  std::vector<Section> sections;
  std::vector<CommandView> views;
  DeclaredCommand* chosen = nullptr;
  for (const CommandSpec& each : specs) {
    DeclaredCommand& command = declared.emplace_back();
    command.spec = &each;
    command.command = each.make();
    command.command->declare(command.options);
    command.common.declare(command.options);
    sections.push_back(Section{section_name(each), &command.options});
    views.push_back(CommandView{each, command.options});
    if (&each == spec) chosen = &command;
  }
  if (help_word || asks_for_help(inputs)) {
    const auto columns = is_terminal(STDOUT_FILENO) ? std::min(terminal_size(STDOUT_FILENO).columns, 110) : 100;
    return print_text(command_help(*spec, chosen->options, static_cast<std::size_t>(std::max(columns, 60))));
  }
  return run_command(*chosen, sections, inputs, views);
}

}  // namespace

int run_program(const std::vector<CommandSpec>& specs, int argc, char** argv) {
  // Memory may hold secrets, and core files are copied around.
  constexpr rlimit kNoCore{0, 0};
  ::setrlimit(RLIMIT_CORE, &kNoCore);
  try {
    return dispatch(specs, std::vector<std::string>(argv + 1, argv + argc));
  } catch (const std::exception& exception) {
    // Out of memory, or a library that throws where its documentation says that it does not.
    complain(fmt::format("internal error: {}", exception.what()));
    return exit_code(ErrorKind::kInternal);
  }
}

}  // namespace culvert
