// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "adapters/kafka/config.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/config_file.h"
#include "app/cli/options.h"
#include "app/cli/visible_text.h"
#include "app/doctor/connection_check.h"

namespace culvert {

namespace {

constexpr std::string_view kKafkaSection = "kafka";

// Properties of the Kafka client are known to the client alone.
void check_kafka_properties(std::string_view text, const std::string& file, std::vector<LineProblem>& problems) {
  for (const ConfigEntry& entry : read_config(text, file).entries) {
    if (entry.section != kKafkaSection || entry.key.empty() || entry.values.size() != 1) continue;
    const auto same = [&](const LineProblem& problem) { return problem.line == entry.line; };
    if (std::any_of(problems.begin(), problems.end(), same)) continue;
    kafka::KafkaConfig config;
    config.bootstrap = "localhost:9092";
    config.properties = {{entry.key, entry.values.front()}};
    if (auto valid = kafka::validate(config, kafka::Role::kConsumer); !valid) {
      problems.push_back({entry.line, fmt::format("{}: line {}: {}", file, entry.line, valid.error().message)});
    }
  }
  std::stable_sort(problems.begin(), problems.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
}

class ValidateCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    Option& file = options.text("file", "FILE", &path_,
                                "A file of options (TOML, as --config takes it), or a connection document (JSON).");
    file.positional = true;
    file.required = true;
  }

  Result<int> run(CommandContext& context) override {
    const auto text = read_small_file(path_);
    if (!text) return text.error();
    const auto first = text->find_first_not_of(" \t\r\n");
    const bool json = first != std::string::npos && (*text)[first] == '{';
    std::vector<LineProblem> problems;
    if (json) {
      problems = check_connection(*text, path_);
    } else {
      problems = check_config(*text, path_, context.sections);
      check_kafka_properties(*text, path_, problems);
    }
    for (const LineProblem& problem : problems) context.out.line(visible_text(problem.message));
    if (problems.empty()) {
      context.out.line(fmt::format("{}: {} in order", visible_text(path_), json ? "a connection document" : "options"));
      return 0;
    }
    return Error::fatal(ErrorKind::kConfiguration,
                        fmt::format("{}: {} problem{}", path_, problems.size(), problems.size() == 1 ? "" : "s"));
  }

 private:
  std::string path_;
};

}  // namespace

CommandSpec validate_command() {
  return CommandSpec{
      "validate",
      CommandGroup::kCheck,
      "check a file of options, or a connection document, without running anything",
      "Prints everything that is wrong with a file, with its line: unknown sections, keys and properties with the "
      "nearest name, values that are refused, options that contradict each other. Nothing is connected to; files that "
      "options name are read.",
      {{"a file of options", "culvert validate culvert.toml"},
       {"the stream account's hand-over", "culvert validate connection.json"}},
      {{0, "nothing is wrong"}, {78, "something is wrong; or the file cannot be read"}},
      [] { return std::unique_ptr<Command>(std::make_unique<ValidateCommand>()); }};
}

}  // namespace culvert
