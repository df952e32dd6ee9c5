// SPDX-License-Identifier: Apache-2.0
#include "app/cli/sample_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "app/cli/help.h"

namespace culvert {

namespace {

// What the required options hold in the example.
constexpr std::array<std::pair<std::string_view, std::string_view>, 4> kRequired{
    {{"bootstrap-server", "localhost:9092"},
     {"topic", "sensors"},
     {"group", "windows"},
     {"table", "sqlite:windows.db"}}};

constexpr std::string_view kKafkaSection = R"(
# ------------------------------------------------------------------------------------------------ the Kafka client
# Properties as librdkafka's CONFIGURATION.md lists them. A secret is read from a file: @file:PATH.
[kafka]
# security.protocol = "SASL_SSL"
# sasl.mechanism = "SCRAM-SHA-512"
# sasl.username = "windows"
# sasl.password = "@file:/run/credentials/culvert-consume@windows.service/password"
# ssl.ca.location = "/etc/ssl/certs/ca-certificates.crt"
)";

std::string comment(std::string_view text) {
  constexpr std::size_t kColumns = 100;
  std::string out;
  std::size_t column = 0;
  while (!text.empty()) {
    const auto blank = text.find(' ');
    const std::string_view word = text.substr(0, blank);
    text = blank == std::string_view::npos ? std::string_view{} : text.substr(blank + 1);
    if (column == 0 || column + 1 + word.size() > kColumns) {
      out += column == 0 ? "#" : "\n#";
      column = 1;
    }
    out += ' ';
    out += word;
    column += 1 + word.size();
  }
  return out + "\n";
}

// `# window = "1m"`: as it is without the line.  A default that is a description ("as --window") is no value: then what
// the value is called stands there.
std::string default_line(const Option& option) {
  if (option.value_name.empty()) return fmt::format("# {} = false\n", option.name);
  const bool value = !option.default_text.empty() && option.default_text.find(' ') == std::string::npos &&
                     option.apply(option.default_text, OptionSource{SourceKind::kFile, option.name}).ok();
  return fmt::format("# {} = \"{}\"\n", option.name, value ? option.default_text : option.value_name);
}

}  // namespace

std::string sample_config(std::span<const CommandView> commands) {
  std::string out =
      "# Configuration of culvert: an example with every option of `culvert consume`.\n"
      "# Flags win over the environment (CULVERT_CONSUME__WINDOW), the environment over this file. An unknown key is "
      "an\n"
      "# error. [common] instead of [consume] would set an option for every command that has it.\n"
      "#\n"
      "#   culvert consume --config culvert.toml\n"
      "#   systemctl start culvert-consume@windows      reads /etc/culvert/windows.toml\n"
      "\n[consume]\n";
  const auto consume = std::find_if(commands.begin(), commands.end(),
                                    [](const CommandView& view) { return view.spec.name == "consume"; });
  if (consume == commands.end()) return out;
  for (const std::string& heading : option_headings(consume->options)) {
    std::string block;
    for (const Option& option : consume->options.options()) {
      // A file cannot name itself, nor ask for help.
      if (option.heading != heading || option.name == "config" || option.name == "help") continue;
      block += comment(option_text(option));
      const auto* const required =
          std::find_if(kRequired.begin(), kRequired.end(), [&](const auto& pair) { return pair.first == option.name; });
      block += required != kRequired.end() ? fmt::format("{} = \"{}\"\n", option.name, required->second)
                                           : default_line(option);
    }
    if (!block.empty()) out += fmt::format("\n# ---- {}\n{}", heading, block);
  }
  return out + std::string(kKafkaSection);
}

}  // namespace culvert
