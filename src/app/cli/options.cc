// SPDX-License-Identifier: Apache-2.0
#include "app/cli/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <limits>

#include "app/cli/config_file.h"
#include "app/options/did_you_mean.h"

namespace culvert {

namespace {

constexpr std::string_view kEnvironmentPrefix = "CULVERT_";
constexpr std::string_view kConfigOption = "config";

Error usage(std::string message) { return Error::fatal(ErrorKind::kUsage, std::move(message)); }
Error configuration(std::string message) { return Error::fatal(ErrorKind::kConfiguration, std::move(message)); }

// What a value's refusal looks like depends on where it came from: `--window: '10 s' is not a duration ..`.
Result<void> apply_value(Option& option, const std::string& value, const OptionSource& source) {
  auto result = option.apply(value, source);
  if (result) {
    option.given = true;
    return {};
  }
  Error error = result.error().within(source.name);
  if (error.kind == ErrorKind::kUsage && source.kind != SourceKind::kCommandLine)
    error.kind = ErrorKind::kConfiguration;
  return error;
}

Result<void> apply_values(Option& option, const std::vector<std::string>& values, const OptionSource& source) {
  if (values.size() > 1 && !option.repeatable) {
    const auto message = fmt::format("{}: given {} times, takes one value", source.name, values.size());
    return source.kind == SourceKind::kCommandLine ? usage(message) : configuration(message);
  }
  for (const std::string& value : values) {
    if (auto result = apply_value(option, value, source); !result) return result;
  }
  return {};
}

// ---- Command line ---------------------------------------------------------------------------------------------------

// CLI11 splits the words; meaning, defaults and help stay here, where file and environment share them.
class CommandLine {
 public:
  explicit CommandLine(const OptionSet& options) {
    app_.set_help_flag();
    app_.allow_extras();
    for (const Option& option : options.options()) {
      const std::string names =
          option.letter == 0 ? "--" + option.name : fmt::format("-{},--{}", option.letter, option.name);
      std::vector<std::string>& values = found_.emplace_back();
      if (option.positional) {
        word_option_ = parsed_.size();
        words_most_ = option.repeatable ? std::numeric_limits<std::size_t>::max() : 1;
      }
      if (option.value_name.empty()) {
        CLI::Option* added = app_.add_flag(names);
        added->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
        parsed_.push_back(added);
      } else {
        CLI::Option* added = app_.add_option(names, values);
        added->allow_extra_args(false)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
        parsed_.push_back(added);
      }
    }
    known_ = options.names();
  }

  Result<void> parse(const std::vector<std::string>& arguments) {
    std::vector<std::string> reversed(arguments.rbegin(), arguments.rend());
    try {
      app_.parse(std::move(reversed));
    } catch (const CLI::ArgumentMismatch&) {
      return usage(fmt::format("'{}' needs a value", arguments.empty() ? "" : arguments.back()));
    } catch (const CLI::ParseError& error) {
      return usage(error.what());
    }
    return check_extras();
  }

  // Values of the i-th option; a flag that is there has the value `true`.
  [[nodiscard]] std::vector<std::string> values(std::size_t i) const {
    std::vector<std::string> found = parsed_[i]->count() == 0 ? std::vector<std::string>() : parsed_[i]->results();
    if (i == word_option_) found.insert(found.end(), words_.begin(), words_.end());
    return found;
  }

 private:
  Result<void> check_extras() {
    for (const std::string& extra : app_.remaining()) {
      if (extra == "--") continue;
      if (words_.size() < words_most_ && !extra.empty() && extra.front() != '-') {
        words_.push_back(extra);
        continue;
      }
      if (extra.size() < 2 || extra.front() != '-') {
        return usage(fmt::format("unexpected argument '{}' (options begin with --)", extra));
      }
      const std::string name = extra.substr(0, extra.find('='));
      if (!name.starts_with("--")) return usage(fmt::format("unknown option '{}'", name));
      std::string nearest = nearest_word(std::string_view(name).substr(2), known_);
      if (!nearest.empty()) nearest = fmt::format(" (did you mean '--{}'?)", nearest);
      return usage(fmt::format("unknown option '{}'{}", name, nearest));
    }
    return {};
  }

  CLI::App app_;
  std::deque<std::vector<std::string>> found_;  // CLI11 keeps pointers into it
  std::vector<CLI::Option*> parsed_;
  std::vector<std::string> known_;
  std::optional<std::size_t> word_option_;  // that a bare word is the value of
  std::size_t words_most_ = 0;
  std::vector<std::string> words_;
};

// ---- Configuration file ---------------------------------------------------------------------------------------------

bool any_has(std::span<const Section> sections, const std::string& key) {
  return std::any_of(sections.begin(), sections.end(),
                     [&](const Section& section) { return section.options->find(key) != nullptr; });
}

std::vector<std::string> all_names(std::span<const Section> sections) {
  std::vector<std::string> names;
  for (const Section& section : sections) {
    for (std::string& name : section.options->names()) names.push_back(std::move(name));
  }
  return names;
}

const Section* find_section(std::span<const Section> sections, std::string_view name) {
  const auto found = std::find_if(sections.begin(), sections.end(), [&](const Section& s) { return s.name == name; });
  return found == sections.end() ? nullptr : &*found;
}

std::vector<std::string> property_section_names(std::span<const Section> sections) {
  std::vector<std::string> names;
  for (const Section& section : sections) {
    for (const auto& properties : section.options->property_sections()) {
      if (std::find(names.begin(), names.end(), properties.section) == names.end()) names.push_back(properties.section);
    }
  }
  return names;
}

std::vector<std::string> section_names(std::span<const Section> sections) {
  std::vector<std::string> names = property_section_names(sections);
  names.emplace_back(kCommonSection);
  for (const Section& section : sections) names.push_back(section.name);
  return names;
}

// One `[section] key = values` of either source.
struct Setting {
  std::string section;
  std::string key;  // empty: the section is there without keys
  std::vector<std::string> values;
  OptionSource source;
};

// Refuses sections and keys that no command knows.
Result<void> check_known(const Setting& setting, std::span<const Section> sections) {
  const auto properties = property_section_names(sections);
  if (std::find(properties.begin(), properties.end(), setting.section) != properties.end()) return {};
  const bool common = setting.section == kCommonSection;
  const Section* section = find_section(sections, setting.section);
  if (!common && section == nullptr) {
    return configuration(fmt::format("{}: unknown section [{}]{}", setting.source.name, setting.section,
                                     did_you_mean(setting.section, section_names(sections))));
  }
  if (setting.key.empty()) return {};
  const bool known = common ? any_has(sections, setting.key) : section->options->find(setting.key) != nullptr;
  if (known && setting.key != kConfigOption) return {};
  if (known && setting.source.kind == SourceKind::kEnvironment) return {};
  const auto names = common ? all_names(sections) : section->options->names();
  return configuration(fmt::format("{}: unknown key '{}' in [{}]{}", setting.source.name, setting.key, setting.section,
                                   did_you_mean(setting.key, names)));
}

Result<void> apply_properties(const Section& command, const Setting& setting) {
  for (const auto& properties : command.options->property_sections()) {
    if (properties.section != setting.section) continue;
    if (setting.values.size() != 1) return configuration(fmt::format("{}: takes one value", setting.source.name));
    if (auto result = properties.apply(setting.key, setting.values.front(), setting.source); !result) {
      Error error = result.error().within(setting.source.name);
      if (error.kind == ErrorKind::kUsage) error.kind = ErrorKind::kConfiguration;
      return error;
    }
  }
  return {};
}

// All settings of one source: everything is checked, and what concerns `command` applied, [common] first.
Result<void> apply_settings(const Section& command, std::span<const Section> sections,
                            const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    if (auto result = check_known(setting, sections); !result) return result;
    if (setting.key.empty()) continue;
    if (auto result = apply_properties(command, setting); !result) return result;
  }
  for (const std::string_view section : {kCommonSection, std::string_view(command.name)}) {
    for (const Setting& setting : settings) {
      if (setting.section != section || setting.key.empty()) continue;
      Option* option = command.options->find(setting.key);
      if (option == nullptr) continue;  // in [common], for other commands
      if (auto result = apply_values(*option, setting.values, setting.source); !result) return result;
    }
  }
  return {};
}

Result<std::vector<Setting>> file_settings(const std::string& path) {
  auto text = read_small_file(path);
  if (!text) return text.error();
  auto entries = parse_config(*text, path);
  if (!entries) return entries.error();
  std::vector<Setting> settings;
  for (ConfigEntry& entry : *entries) {
    OptionSource source{SourceKind::kFile, fmt::format("{}: line {}: {}", path, entry.line, entry.key)};
    settings.push_back(Setting{std::move(entry.section), std::move(entry.key), std::move(entry.values), source});
  }
  return settings;
}

// ---- Environment ----------------------------------------------------------------------------------------------------

std::string lowered(std::string_view text, char underscore) {
  std::string out;
  for (const char c : text) {
    out += c == '_' ? underscore : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return out;
}

// CULVERT_SECTION__KEY; variables without the double underscore are not ours to judge.
std::vector<Setting> environment_settings(const OptionInputs& inputs, std::span<const Section> sections) {
  const auto properties = property_section_names(sections);
  std::vector<Setting> settings;
  for (const auto& [name, value] : inputs.environment) {
    const std::string_view text = name;
    const auto separator = text.find("__");
    if (!text.starts_with(kEnvironmentPrefix) || separator == std::string_view::npos) continue;
    if (separator < kEnvironmentPrefix.size()) continue;
    Setting setting;
    setting.section = lowered(text.substr(kEnvironmentPrefix.size(), separator - kEnvironmentPrefix.size()), '-');
    const bool free_form = std::find(properties.begin(), properties.end(), setting.section) != properties.end();
    setting.key = lowered(text.substr(separator + 2), free_form ? '.' : '-');
    setting.values = {value};
    setting.source = OptionSource{SourceKind::kEnvironment, name};
    settings.push_back(std::move(setting));
  }
  return settings;
}

// ---- All of it ------------------------------------------------------------------------------------------------------

Result<void> apply_command_line(const Section& command, const CommandLine& line) {
  std::size_t i = 0;
  for (Option& option : command.options->options()) {
    const auto values = line.values(i++);
    if (values.empty()) continue;
    const OptionSource source{SourceKind::kCommandLine, option.positional ? option.value_name : "--" + option.name};
    if (auto result = apply_values(option, values, source); !result) return result;
  }
  return {};
}

std::string environment_name(std::string_view section, std::string_view key) {
  std::string out(kEnvironmentPrefix);
  for (const char c : fmt::format("{}__{}", section, key)) {
    out += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return out;
}

Result<void> check_required(const Section& command) {
  std::vector<const Option*> missing;
  std::string names;
  for (const Option& option : command.options->options()) {
    if (!option.required || option.given) continue;
    if (option.positional) return usage(fmt::format("{} is missing", option.value_name));
    missing.push_back(&option);
    const std::string letter = option.letter == 0 ? "" : fmt::format("-{}, ", option.letter);
    names += fmt::format("{}{}--{} {}", names.empty() ? "" : "; ", letter, option.name, option.value_name);
  }
  if (missing.empty()) return {};
  const std::string& first = missing.front()->name;
  if (missing.size() == 1) {
    return usage(fmt::format("{} is missing (or `{}` in [{}] of the configuration file, or {})", names, first,
                             command.name, environment_name(command.name, first)));
  }
  return usage(fmt::format("missing: {} (or by their long names in [{}] of the configuration file, or {} and so on)",
                           names, command.name, environment_name(command.name, first)));
}

// The configuration file has to be known before it can be read: the command line's --config, else the environment's.
std::string config_path(const Section& command, const CommandLine& line, const std::vector<Setting>& environment) {
  std::string path;
  for (const std::string_view section : {kCommonSection, std::string_view(command.name)}) {
    for (const Setting& setting : environment) {
      if (setting.section == section && setting.key == kConfigOption) path = setting.values.front();
    }
  }
  std::size_t i = 0;
  for (const Option& option : command.options->options()) {
    const auto values = line.values(i++);
    if (option.name == kConfigOption && !values.empty()) path = values.back();
  }
  return path;
}

}  // namespace

std::vector<LineProblem> check_config(std::string_view text, const std::string& file_name,
                                      std::span<const Section> sections) {
  ConfigReading reading = read_config(text, file_name);
  std::vector<LineProblem> problems = std::move(reading.problems);
  const auto add = [&](std::size_t line, const std::string& message) {
    const auto same = [&](const LineProblem& problem) { return problem.message == message; };
    if (std::none_of(problems.begin(), problems.end(), same)) problems.push_back({line, message});
  };
  std::vector<std::size_t> last_line(sections.size(), 0);  // 0: nothing of the file concerns the section
  std::vector<bool> wrong(sections.size(), false);
  for (ConfigEntry& entry : reading.entries) {
    const OptionSource source{SourceKind::kFile, fmt::format("{}: line {}: {}", file_name, entry.line, entry.key)};
    const Setting setting{std::move(entry.section), std::move(entry.key), std::move(entry.values), source};
    if (auto known = check_known(setting, sections); !known) {
      add(entry.line, known.error().message);
      continue;
    }
    for (std::size_t i = 0; i < sections.size() && !setting.key.empty(); ++i) {
      if (auto applied = apply_properties(sections[i], setting); !applied) add(entry.line, applied.error().message);
      if (setting.section != kCommonSection && setting.section != sections[i].name) continue;
      Option* option = sections[i].options->find(setting.key);
      if (option == nullptr) continue;
      last_line[i] = entry.line;
      auto applied = apply_values(*option, setting.values, setting.source);
      if (applied) continue;
      wrong[i] = true;
      add(entry.line, applied.error().message);
    }
  }
  for (std::size_t i = 0; i < sections.size(); ++i) {
    const auto& options = sections[i].options->options();
    const auto required = [](const Option& option) { return option.required; };
    const auto missing = [](const Option& option) { return option.required && !option.given; };
    // Where a command's options are not all in the file, the rest decides whether they fit together.
    if (last_line[i] == 0 || wrong[i] || std::none_of(options.begin(), options.end(), required) ||
        std::any_of(options.begin(), options.end(), missing)) {
      continue;
    }
    for (const Error& error : sections[i].options->failed_checks()) {
      add(last_line[i], fmt::format("{}: {}", file_name, error.message));
    }
  }
  std::stable_sort(problems.begin(), problems.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
  return problems;
}

bool asks_for_help(const OptionInputs& inputs) {
  for (const std::string& argument : inputs.arguments) {
    if (argument == "--") return false;
    if (argument == "-h" || argument == "--help") return true;
  }
  return false;
}

Result<void> read_options(const Section& command, std::span<const Section> sections, const OptionInputs& inputs) {
  CommandLine line(*command.options);
  if (auto result = line.parse(inputs.arguments); !result) return result;
  const auto environment = environment_settings(inputs, sections);
  if (const std::string path = config_path(command, line, environment); !path.empty()) {
    auto settings = file_settings(path);
    if (!settings) return settings.error();
    if (auto result = apply_settings(command, sections, *settings); !result) return result;
  }
  if (auto result = apply_settings(command, sections, environment); !result) return result;
  if (auto result = apply_command_line(command, line); !result) return result;
  if (auto result = check_required(command); !result) return result;
  return command.options->run_checks();
}

}  // namespace culvert
