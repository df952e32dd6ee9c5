// SPDX-License-Identifier: Apache-2.0
#include "app/lambda/function_environment.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>

#include "app/options/did_you_mean.h"

namespace culvert::function {

namespace {

Error configuration(std::string message) { return Error::fatal(ErrorKind::kConfiguration, std::move(message)); }

Option* find_option(OptionSet& options, std::string_view variable) {
  for (Option& option : options.options()) {
    if (variable_name(option.name) == variable) return &option;
  }
  return nullptr;
}

Error unknown(const OptionSet& options, const std::string& variable) {
  std::vector<std::string> known{std::string(kRoleVariable)};
  for (const std::string& name : options.names()) known.push_back(variable_name(name));
  return configuration(fmt::format("{}: the function has no such option{}", variable, did_you_mean(variable, known)));
}

}  // namespace

Entries culvert_variables() {
  Entries found;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const auto equals = text.find('=');
    if (!text.starts_with("CULVERT_") || equals == std::string_view::npos) continue;
    found.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return found;
}

std::string variable_name(std::string_view option) {
  std::string name = "CULVERT_";
  for (const char c : option) name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

Result<void> read_environment(OptionSet& options, const Entries& entries) {
  for (const auto& [variable, value] : entries) {
    if (variable == kRoleVariable) continue;
    Option* option = find_option(options, variable);
    if (option == nullptr) return unknown(options, variable);
    if (value.empty()) continue;
    if (auto applied = option->apply(value, {SourceKind::kEnvironment, variable}); !applied) {
      return configuration(applied.error().within(variable).message);
    }
    option->given = true;
  }
  for (const Option& option : options.options()) {
    if (option.required && !option.given) {
      return configuration(fmt::format("{} is not set: {}", variable_name(option.name), option.help));
    }
  }
  if (auto checked = options.run_checks(); !checked) return configuration(checked.error().message);
  return {};
}

}  // namespace culvert::function
