// SPDX-License-Identifier: Apache-2.0
#include "app/cli/completion.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace culvert {

namespace {

constexpr std::string_view kMade = "made by `culvert generate` from the options that --help shows";

std::string first_sentence(std::string_view text) {
  const auto end = text.find(". ");
  std::string out(text.substr(0, end));
  if (!out.empty() && out.back() == '.') out.pop_back();
  return out;
}

std::string joined(const std::vector<std::string>& words, std::string_view separator = " ") {
  return fmt::format("{}", fmt::join(words, separator));
}

// `dead_letters_list`: a word that a shell takes as the end of a function's name.
std::string identifier(std::string_view name) {
  std::string out(name);
  std::replace_if(
      out.begin(), out.end(), [](char c) { return c == ' ' || c == '-'; }, '_');
  return out;
}

std::string quoted(std::string_view text) {  // for all three shells: '..'
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

std::vector<CommandView> shown(std::span<const CommandView> commands) {
  std::vector<CommandView> out;
  for (const CommandView& view : commands) {
    if (view.spec.group != CommandGroup::kHidden) out.push_back(view);
  }
  return out;
}

// A command's name is one word, or two: `dead-letters list`.
std::pair<std::string, std::string> words_of(const CommandSpec& spec) {
  const auto blank = spec.name.find(' ');
  if (blank == std::string_view::npos) return {std::string(spec.name), ""};
  return {std::string(spec.name.substr(0, blank)), std::string(spec.name.substr(blank + 1))};
}

struct SecondWord {
  std::string word;
  const CommandView* command;
};

// First words in their order, each with its second words, if it has any.
struct FirstWord {
  std::string word;
  std::string summary;
  const CommandView* command = nullptr;  // null: one of `second` must follow
  std::vector<SecondWord> second;
};

std::vector<FirstWord> first_words(const std::vector<CommandView>& commands) {
  std::vector<FirstWord> out;
  for (const CommandView& view : commands) {
    const auto [first, second] = words_of(view.spec);
    auto found =
        std::find_if(out.begin(), out.end(), [&, &word = first](const FirstWord& f) { return f.word == word; });
    if (found == out.end())
      found = out.insert(out.end(), FirstWord{first, std::string(view.spec.summary), nullptr, {}});
    if (second.empty()) {
      found->command = &view;
    } else {
      found->second.push_back({second, &view});
    }
  }
  return out;
}

std::vector<std::string> flags_of(const Option& option) {
  std::vector<std::string> out;
  if (option.letter != 0) out.push_back(fmt::format("-{}", option.letter));
  out.push_back("--" + option.name);
  return out;
}

}  // namespace

ValueHint value_hint(const Option& option) {
  ValueHint hint;
  if (option.value_name.empty()) return hint;
  hint.expected = true;
  std::string_view rest = option.value_name;
  while (!rest.empty()) {
    const auto bar = rest.find('|');
    const std::string_view part = rest.substr(0, bar);
    rest = bar == std::string_view::npos ? std::string_view{} : rest.substr(bar + 1);
    const auto colon = part.find(':');
    const std::string_view word = part.substr(0, colon == std::string_view::npos ? part.size() : colon + 1);
    const bool literal = std::all_of(word.begin(), word.end(), [](unsigned char c) {
      return std::islower(c) != 0 || std::isdigit(c) != 0 || c == '-' || c == ':';
    });
    const bool file = part.ends_with("FILE") || part.ends_with("FOLDER") || part.ends_with("DIR");
    if (literal && !word.empty()) {
      hint.words.emplace_back(word);
      if (file) hint.file_prefix = word;
    } else if (file && colon == std::string_view::npos) {
      hint.file = true;
    }
  }
  return hint;
}

// ------------------------------------------------------------------------------------------------------------- bash

namespace {

std::string bash_value(const ValueHint& hint) {
  if (!hint.file_prefix.empty()) {
    return fmt::format("_culvert_place {} {}", quoted(hint.file_prefix), quoted(joined(hint.words)));
  }
  if (hint.file) return "_filedir";
  if (!hint.words.empty()) return fmt::format("_culvert_words {}", quoted(joined(hint.words)));
  return ":";
}

std::string bash_command(const CommandView& view) {
  std::string out = fmt::format("_culvert_{}() {{\n  case $prev in\n", identifier(view.spec.name));
  std::map<std::string, std::vector<std::string>> by_action;
  std::vector<std::string> all;
  for (const Option& option : view.options.options()) {
    const auto flags = flags_of(option);
    all.insert(all.end(), flags.begin(), flags.end());
    const ValueHint hint = value_hint(option);
    if (!hint.expected) continue;
    auto& same = by_action[bash_value(hint)];
    same.insert(same.end(), flags.begin(), flags.end());
  }
  for (const auto& [action, flags] : by_action) {
    out += fmt::format("    {})\n      {}\n      return\n      ;;\n", joined(flags, "|"), action);
  }
  return out + fmt::format("  esac\n  _culvert_words {}\n}}\n\n", quoted(joined(all)));
}

constexpr std::string_view kBashHelpers = R"(# Offers the words that begin with what is typed.
_culvert_words() {
  mapfile -t COMPREPLY < <(compgen -W "$1" -- "$cur")
  __ltrim_colon_completions "$cur"
}

# Offers a prefix (sqlite:), a file name behind it, and other words.
_culvert_place() {
  if [[ $cur == "$1"* ]]; then
    mapfile -t COMPREPLY < <(compgen -f -P "$1" -- "${cur#"$1"}")
    compopt -o nospace
  else
    mapfile -t COMPREPLY < <(compgen -W "$2" -- "$cur")
    compopt -o nospace
  fi
  __ltrim_colon_completions "$cur"
}

)";

}  // namespace

std::string bash_completion(std::span<const CommandView> commands) {
  const auto all = shown(commands);
  const auto firsts = first_words(all);
  std::string out = fmt::format("# bash completion for culvert, {}    -*- shell-script -*-\n\n", kMade);
  out += kBashHelpers;
  for (const CommandView& view : all) out += bash_command(view);
  std::vector<std::string> names;
  std::string cases;
  for (const FirstWord& first : firsts) {
    names.push_back(first.word);
    if (first.second.empty()) {
      cases += fmt::format("    {}) _culvert_{} ;;\n", first.word, identifier(first.word));
      continue;
    }
    std::vector<std::string> seconds;
    std::string inner;
    for (const SecondWord& second : first.second) {
      seconds.push_back(second.word);
      inner += fmt::format("        {}) _culvert_{} ;;\n", second.word, identifier(second.command->spec.name));
    }
    cases += fmt::format(
        "    {})\n      if ((cword == 2)); then\n        _culvert_words {}\n        return\n      fi\n"
        "      case ${{words[2]}} in\n{}      esac\n      ;;\n",
        first.word, quoted(joined(seconds)), inner);
  }
  out += fmt::format(
      "_culvert() {{\n  local cur prev words cword\n  _init_completion -n : || return\n"
      "  if ((cword == 1)); then\n    _culvert_words {}\n    return\n  fi\n"
      "  case ${{words[1]}} in\n{}  esac\n}}\n\ncomplete -F _culvert culvert\n",
      quoted(joined(names) + " --help --version"), cases);
  return out;
}

// -------------------------------------------------------------------------------------------------------------- zsh

namespace {

// Inside of an _arguments specification brackets and colons mean something.
std::string zsh_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '[' || c == ']' || c == ':' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

// The function that offers a prefix (sqlite:), a file name behind it, and other words.
std::string zsh_place(const ValueHint& hint) {
  return "_culvert_" + identifier(hint.file_prefix.substr(0, hint.file_prefix.size() - 1));
}

std::string zsh_value(const Option& option, const ValueHint& hint) {
  if (!hint.expected) return "";
  const std::string name = zsh_escaped(option.value_name);
  if (!hint.file_prefix.empty()) return fmt::format(":{}:{}", name, zsh_place(hint));
  if (hint.file) return fmt::format(":{}:_files", name);
  if (!hint.words.empty()) return fmt::format(":{}:({})", name, joined(hint.words));
  return fmt::format(":{}: ", name);
}

std::string zsh_places(const std::vector<CommandView>& commands) {
  std::map<std::string, std::string> by_name;
  for (const CommandView& view : commands) {
    for (const Option& option : view.options.options()) {
      const ValueHint hint = value_hint(option);
      if (hint.file_prefix.empty()) continue;
      by_name[zsh_place(hint)] =
          fmt::format("  if compset -P {}; then\n    _files\n  else\n    compadd -S '' -- {}\n  fi\n",
                      quoted(hint.file_prefix), joined(hint.words));
    }
  }
  std::string out;
  for (const auto& [name, body] : by_name) out += fmt::format("{}() {{\n{}}}\n\n", name, body);
  return out;
}

std::string zsh_command(const CommandView& view) {
  std::string out = fmt::format("_culvert_{}() {{\n  _arguments -s", identifier(view.spec.name));
  for (const Option& option : view.options.options()) {
    const ValueHint hint = value_hint(option);
    const std::string rest =
        quoted(fmt::format("[{}]{}", zsh_escaped(first_sentence(option.help)), zsh_value(option, hint)));
    const auto flags = flags_of(option);
    const std::string once = option.repeatable ? quoted("*") : quoted("(" + joined(flags) + ")");
    for (const std::string& flag : flags) out += fmt::format(" \\\n    {}{}{}", once, flag, rest);
  }
  return out + "\n}\n\n";
}

std::string zsh_described(const std::vector<std::pair<std::string, std::string>>& rows, std::string_view indent) {
  std::string out;
  for (const auto& [word, summary] : rows)
    out += fmt::format("{}{}\n", indent, quoted(zsh_escaped(word) + ":" + summary));
  return out;
}

}  // namespace

std::string zsh_completion(std::span<const CommandView> commands) {
  const auto all = shown(commands);
  std::string out = fmt::format("#compdef culvert\n# {}\n\n", kMade) + zsh_places(all);
  for (const CommandView& view : all) out += zsh_command(view);
  std::vector<std::pair<std::string, std::string>> rows;
  std::string cases;
  for (const FirstWord& first : first_words(all)) {
    if (first.second.empty()) {
      rows.emplace_back(first.word, first.summary);
      cases += fmt::format("        {}) _culvert_{} ;;\n", first.word, identifier(first.word));
      continue;
    }
    std::vector<std::pair<std::string, std::string>> inner_rows;
    std::vector<std::string> seconds;
    std::string inner;
    for (const SecondWord& second : first.second) {
      seconds.push_back(second.word);
      inner_rows.emplace_back(second.word, std::string(second.command->spec.summary));
      inner += fmt::format("            {}) shift words; ((CURRENT--)); _culvert_{} ;;\n", second.word,
                           identifier(second.command->spec.name));
    }
    rows.emplace_back(first.word, joined(seconds, ", "));
    cases += fmt::format(
        "        {})\n          if ((CURRENT == 2)); then\n            local -a below=(\n{}            )\n"
        "            _describe 'command' below\n            return\n          fi\n          case $words[2] in\n{}"
        "          esac\n          ;;\n",
        first.word, zsh_described(inner_rows, "              "), inner);
  }
  out += fmt::format(
      "_culvert() {{\n  local curcontext=\"$curcontext\" state\n  local -a commands=(\n{}  )\n"
      "  _arguments -C '1: :->command' '*:: :->rest'\n  case $state in\n"
      "    command) _describe 'command' commands ;;\n    rest)\n      case $words[1] in\n{}      esac\n      ;;\n"
      "  esac\n}}\n\n_culvert \"$@\"\n",
      zsh_described(rows, "    "), cases);
  return out;
}

// ------------------------------------------------------------------------------------------------------------- fish

namespace {

std::string fish_options(const CommandView& view, const std::string& condition) {
  std::string out;
  for (const Option& option : view.options.options()) {
    const ValueHint hint = value_hint(option);
    out += fmt::format("complete -c culvert -n {} -l {}", quoted(condition), option.name);
    if (option.letter != 0) out += fmt::format(" -s {}", option.letter);
    if (!hint.file_prefix.empty()) {
      out += fmt::format(" -x -a {}",
                         quoted(fmt::format("{} (__culvert_files {})", joined(hint.words), hint.file_prefix)));
    } else if (hint.file) {
      out += " -r -F";
    } else if (!hint.words.empty()) {
      out += fmt::format(" -x -a {}", quoted(joined(hint.words)));
    } else if (hint.expected) {
      out += " -x";
    }
    out += fmt::format(" -d {}\n", quoted(first_sentence(option.help)));
  }
  return out;
}

}  // namespace

std::string fish_completion(std::span<const CommandView> commands) {
  const auto all = shown(commands);
  std::string out = fmt::format("# fish completion for culvert, {}\n\n", kMade);
  out +=
      "function __culvert_files\n  set -l typed (string replace -- $argv[1] '' (commandline -ct))\n"
      "  for path in (__fish_complete_path $typed)\n    echo $argv[1]$path\n  end\nend\n\n"
      "complete -c culvert -f\n";
  for (const FirstWord& first : first_words(all)) {
    const std::string seen = fmt::format("__fish_seen_subcommand_from {}", first.word);
    if (first.second.empty()) {
      out +=
          fmt::format("complete -c culvert -n __fish_use_subcommand -a {} -d {}\n", first.word, quoted(first.summary));
      out += fish_options(*first.command, seen);
      continue;
    }
    std::vector<std::string> seconds;
    for (const SecondWord& second : first.second) seconds.push_back(second.word);
    out += fmt::format("complete -c culvert -n __fish_use_subcommand -a {} -d {}\n", first.word,
                       quoted(joined(seconds, ", ")));
    for (const SecondWord& second : first.second) {
      out += fmt::format("complete -c culvert -n {} -a {} -d {}\n",
                         quoted(fmt::format("{}; and not __fish_seen_subcommand_from {}", seen, joined(seconds))),
                         second.word, quoted(second.command->spec.summary));
      out += fish_options(*second.command, fmt::format("{}; and __fish_seen_subcommand_from {}", seen, second.word));
    }
  }
  return out;
}

}  // namespace culvert
