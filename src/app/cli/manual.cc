// SPDX-License-Identifier: Apache-2.0
#include "app/cli/manual.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/cli/help.h"

namespace culvert {

namespace {

// Text that roff shows as it stands: no line begins a request, hyphens are minus signs, so that they can be copied.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool line_start = out.empty() || out.back() == '\n';
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (line_start && (c == '.' || c == '\'')) {
      out += "\\&";
      out += c;
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(std::string_view text) { return "\\fB" + roff(text) + "\\fR"; }
std::string italic(std::string_view text) { return "\\fI" + roff(text) + "\\fR"; }

std::string title(const std::string& name, const std::string& version) {
  std::string upper = name;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  // Lines are neither stretched nor hyphenated: much of the text is options and commands.
  return fmt::format(".TH {} 1 \"\" \"culvert {}\" \"User Commands\"\n.nh\n.ad l\n", roff(upper), version);
}

std::string section(std::string_view heading) { return fmt::format(".SH \"{}\"\n", roff(heading)); }
std::string subsection(std::string_view heading) { return fmt::format(".SS \"{}\"\n", roff(heading)); }

// A tagged paragraph: what it is called, and what it is.  Both are roff already.
std::string entry(const std::string& tag, const std::string& text) { return fmt::format(".TP\n{}\n{}\n", tag, text); }

std::string verbatim(std::string_view line) { return fmt::format(".PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", roff(line)); }

std::string option_tag(const Option& option) {
  std::string tag = option.letter == 0 ? "" : bold(fmt::format("-{}", option.letter)) + ", ";
  tag += bold("--" + option.name);
  if (!option.value_name.empty()) tag += " " + italic(option.value_name);
  return tag;
}

std::string synopsis(const CommandView& command) {
  std::string out = section("SYNOPSIS") + bold(fmt::format("culvert {}", command.spec.name));
  for (const Option& option : command.options.options()) {
    if (!option.required) continue;
    const std::string flag = option.letter == 0 ? "--" + option.name : fmt::format("-{}", option.letter);
    out += fmt::format("\n{} {}", bold(flag), italic(option.value_name));
  }
  return out + fmt::format("\n[{}]\n", italic("options"));
}

std::string options_section(const OptionSet& options) {
  std::string out = section("OPTIONS");
  for (const std::string& heading : option_headings(options)) {
    out += subsection(heading);
    for (const Option& option : options.options()) {
      if (option.heading == heading) out += entry(option_tag(option), roff(option_text(option)));
    }
  }
  return out;
}

std::string exit_section(const CommandSpec& spec) {
  std::string out = section("EXIT STATUS");
  for (const ExitMeaning& code : exit_meanings(spec)) out += entry(bold(std::to_string(code.code)), roff(code.meaning));
  return out + entry(bold("128+n"), roff(kSignalExit));
}

std::string section_of(const CommandSpec& spec) {
  std::string name(spec.name);
  std::replace(name.begin(), name.end(), ' ', '-');
  return name;
}

std::string see_also(const std::vector<std::string>& names) {
  std::string out = section("SEE ALSO");
  for (std::size_t i = 0; i < names.size(); ++i) {
    out += fmt::format("{}(1){}\n", bold(names[i]), i + 1 == names.size() ? "" : ",");
  }
  return out;
}

}  // namespace

std::string manual_name(const CommandSpec& spec) { return "culvert-" + section_of(spec); }

std::string program_manual(std::span<const CommandView> commands, const std::string& version) {
  std::string out = title("culvert", version) + section("NAME") +
                    "culvert \\- a Kafka stream as exact per\\-device windows in a table\n" + section("SYNOPSIS") +
                    fmt::format("{}\n{}\n[{}]\n", bold("culvert"), italic("COMMAND"), italic("options")) +
                    section("DESCRIPTION");
  out += roff(
             "culvert carries a Kafka stream from one AWS account into another and turns it into exact per-device "
             "windowed aggregates in a table. Each record counts once, whatever batches, retries, restarts and "
             "rebalances do; a record that cannot be used becomes a dead letter with its position, bytes and reason.") +
         "\n" + section("COMMANDS");
  std::vector<std::string> pages;
  for (const auto& [group, title_text] : kCommandGroups) {
    const auto wanted = group;
    const auto in_group = [&](const CommandView& view) { return view.spec.group == wanted; };
    if (std::none_of(commands.begin(), commands.end(), in_group)) continue;
    out += subsection(title_text);
    for (const CommandView& view : commands) {
      if (!in_group(view)) continue;
      out += entry(bold(view.spec.name), roff(view.spec.summary) + ";\nsee " + bold(manual_name(view.spec)) + "(1)");
      pages.push_back(manual_name(view.spec));
    }
  }
  out += section("CONFIGURATION");
  out += roff(
             "Every option may also stand in a TOML file, named by --config, or in the environment. Flags win over "
             "the environment, the environment over the file, the file over defaults. In the file, [common] holds "
             "options of whichever command has them, [consume] and the like those of one command, [kafka] properties "
             "of the Kafka client. An unknown section or key is an error.") +
         "\n" + section("ENVIRONMENT");
  out += entry(bold("CULVERT_COMMON__") + italic("OPTION"),
               roff("An option of whichever command has it: --table is CULVERT_COMMON__TABLE."));
  out += entry(bold("CULVERT_") + italic("COMMAND") + bold("__") + italic("OPTION"),
               roff("An option of one command: CULVERT_CONSUME__FLUSH_INTERVAL."));
  out += entry(bold("CULVERT_KAFKA__") + italic("PROPERTY"),
               roff("A property of the Kafka client: CULVERT_KAFKA__SASL_USERNAME is sasl.username."));
  out += entry(bold("NO_COLOR"), roff("No colours, whatever its value."));
  return out + see_also(pages);
}

std::string command_manual(const CommandView& command, std::span<const CommandView> commands,
                           const std::string& version) {
  const CommandSpec& spec = command.spec;
  std::string out = title(manual_name(spec), version) + section("NAME") +
                    fmt::format("{} \\- {}\n", roff(manual_name(spec)), roff(spec.summary)) + synopsis(command) +
                    section("DESCRIPTION") + roff(spec.about) + "\n" + options_section(command.options);
  if (!spec.examples.empty()) out += section("EXAMPLES");
  for (const Example& example : spec.examples) {
    if (&example != &spec.examples.front()) out += ".PP\n";
    out += roff(example.purpose) + ":\n" + verbatim(example.command_line);
  }
  out += exit_section(spec) + section("CONFIGURATION");
  out += fmt::format("{}\n{}\n{}\n", roff("In a file given by --config these options stand in the section"),
                     bold(fmt::format("[{}]", section_of(spec))), roff("or in [common]; see culvert(1)."));
  std::vector<std::string> pages{"culvert"};
  for (const CommandView& other : commands) {
    if (other.spec.group == spec.group && other.spec.name != spec.name) pages.push_back(manual_name(other.spec));
  }
  return out + see_also(pages);
}

}  // namespace culvert
