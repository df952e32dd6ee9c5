// SPDX-License-Identifier: Apache-2.0
#include "app/cli/help.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace culvert {

namespace {

constexpr std::size_t kHelpColumn = 30;

constexpr std::array<ExitMeaning, 8> kExitCodes{{{0, "done"},
                                                 {64, "the command line is wrong"},
                                                 {69, "a broker, table or other service cannot be reached"},
                                                 {70, "a bug in culvert"},
                                                 {74, "disk full, read-only file or I/O error"},
                                                 {75, "a passing condition: try again"},
                                                 {77, "authentication or authorisation was refused"},
                                                 {78, "options or configuration files cannot be used"}}};

// Appends `text` in lines of at most `columns`; all but the first begin at `indent`, where the cursor stands now.
void append_wrapped(std::string& out, std::string_view text, std::size_t indent, std::size_t columns) {
  std::size_t column = indent;
  bool first = true;
  while (!text.empty()) {
    const auto blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    text = blank == std::string_view::npos ? std::string_view{} : text.substr(blank + 1);
    if (!first && column + 1 + word.size() > columns) {
      out += '\n';
      out.append(indent, ' ');
      column = indent;
      first = true;
    }
    if (!first) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
    first = false;
  }
  out += '\n';
}

// A command line as a shell takes it, in lines of at most `columns` that are broken between options: an option and its
// value stay together.
void append_command(std::string& out, std::string_view command, std::size_t columns) {
  constexpr std::string_view kMore = " \\\n      ";
  constexpr std::size_t kIndent = 2;
  constexpr std::size_t kMoreIndent = 6;
  out.append(kIndent, ' ');
  std::size_t column = kIndent;
  while (!command.empty()) {
    const auto next = command.find(" -", 1);
    const std::string_view part = command.substr(0, next);
    command = next == std::string_view::npos ? std::string_view{} : command.substr(next);
    if (column > kIndent && column + part.size() + 2 > columns) {  // 2: the mark of a line that goes on
      out += kMore;
      out += part.substr(1);
      column = kMoreIndent + part.size() - 1;
    } else {
      out += part;
      column += part.size();
    }
  }
  out += '\n';
}

// `left` in the first column, wrapped `right` in the second.
void append_row(std::string& out, const std::string& left, std::string_view right, std::size_t indent,
                std::size_t columns) {
  out += left;
  if (left.size() + 2 > indent) {
    out += '\n';
    out.append(indent, ' ');
  } else {
    out.append(indent - left.size(), ' ');
  }
  append_wrapped(out, right, indent, columns);
}

std::string option_names(const Option& option) {
  std::string out = option.letter == 0 ? "      " : fmt::format("  -{}, ", option.letter);
  out += "--" + option.name;
  if (!option.value_name.empty()) out += " " + option.value_name;
  return out;
}

std::string usage_line(const CommandSpec& spec, const OptionSet& options) {
  std::string out = fmt::format("culvert {}", spec.name);
  for (const Option& option : options.options()) {
    if (option.positional) {
      const std::string words = option.value_name + (option.repeatable ? " .." : "");
      out += option.required ? " " + words : fmt::format(" [{}]", words);
    }
    if (!option.required || option.positional) continue;
    out += option.letter == 0 ? fmt::format(" --{} {}", option.name, option.value_name)
                              : fmt::format(" -{} {}", option.letter, option.value_name);
  }
  return out + " [options]";
}

void append_options(std::string& out, const OptionSet& options, std::size_t columns) {
  for (const std::string& heading : option_headings(options)) {
    out += fmt::format("\n{}\n", heading);
    for (const Option& option : options.options()) {
      if (option.heading != heading) continue;
      append_row(out, option_names(option), option_text(option), kHelpColumn, columns);
    }
  }
}

void append_exit_codes(std::string& out, const CommandSpec& spec, std::size_t columns) {
  out += "\nExit codes\n";
  for (const ExitMeaning& code : exit_meanings(spec)) {
    append_row(out, fmt::format("  {}", code.code), code.meaning, 9, columns);
  }
  append_row(out, "  128+n", kSignalExit, 9, columns);
}

}  // namespace

std::vector<std::string> option_headings(const OptionSet& options) {
  std::vector<std::string> headings;
  for (const Option& option : options.options()) {
    if (std::find(headings.begin(), headings.end(), option.heading) == headings.end()) {
      headings.push_back(option.heading);
    }
  }
  return headings;
}

std::string option_text(const Option& option) {
  std::string out = option.help;
  if (option.required) out += " (required)";
  if (option.repeatable) out += " (may be given several times)";
  if (!option.default_text.empty()) out += fmt::format(" (default {})", option.default_text);
  return out;
}

std::vector<ExitMeaning> exit_meanings(const CommandSpec& spec) {
  std::vector<ExitMeaning> codes = spec.exit_codes;
  for (const ExitMeaning& common : kExitCodes) {
    const bool named = std::any_of(codes.begin(), codes.end(), [&](const auto& c) { return c.code == common.code; });
    if (!named) codes.push_back(common);
  }
  std::sort(codes.begin(), codes.end(), [](const auto& a, const auto& b) { return a.code < b.code; });
  return codes;
}

std::string program_help(const std::vector<CommandSpec>& specs) {
  std::string out =
      "culvert carries a Kafka stream across an account boundary and turns it into exact per-device windows.\n"
      "\n"
      "Usage: culvert COMMAND [options]\n";
  std::size_t name_width = 0;
  for (const CommandSpec& spec : specs) {
    if (spec.group != CommandGroup::kHidden) name_width = std::max(name_width, spec.name.size());
  }
  for (const auto& [group, title] : kCommandGroups) {
    std::string rows;
    for (const CommandSpec& spec : specs) {
      if (spec.group == group) rows += fmt::format("  {:<{}}  {}\n", spec.name, name_width, spec.summary);
    }
    if (!rows.empty()) out += fmt::format("\n{}\n{}", title, rows);
  }
  out +=
      "\n"
      "`culvert COMMAND --help` explains a command.  Options may also stand in a file (--config FILE) or in the\n"
      "environment (CULVERT_SECTION__KEY); flags win over the environment, the environment over the file.\n";
  return out;
}

std::string command_help(const CommandSpec& spec, const OptionSet& options, std::size_t columns) {
  std::string out;
  append_wrapped(out, spec.about, 0, columns);
  out += fmt::format("\nUsage: {}\n", usage_line(spec, options));
  append_options(out, options, columns);
  if (!spec.examples.empty()) out += "\nExamples\n";
  for (const Example& example : spec.examples) {
    out += fmt::format("  # {}\n", example.purpose);
    append_command(out, example.command_line, columns);
  }
  append_exit_codes(out, spec, columns);
  return out;
}

}  // namespace culvert
