// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/site/build_info.h"

namespace culvert {

namespace {

enum class VersionFormat : std::uint8_t { kText, kJson };

class VersionCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    options.choice<VersionFormat>("format", {{"text", VersionFormat::kText}, {"json", VersionFormat::kJson}}, &format_,
                                  "Form of the output.");
  }

  Result<int> run(CommandContext& context) override {
    const auto parts = build_info();
    if (format_ == VersionFormat::kJson) {
      std::string line;
      for (const auto& [name, value] : parts) {
        line += fmt::format(R"({}"{}":"{}")", line.empty() ? "" : ",", name, value);
      }
      context.out.line("{" + line + "}");
      return 0;
    }
    for (const auto& [name, value] : parts) context.out.line(fmt::format("{:<11} {}", name, value));
    return 0;
  }

 private:
  VersionFormat format_ = VersionFormat::kText;
};

}  // namespace

CommandSpec version_command() {
  return CommandSpec{"version",
                     CommandGroup::kCheck,
                     "what this program was built from",
                     "Prints the version of culvert and of the libraries it runs with.",
                     {{"for a bug report", "culvert version"}, {"for a script", "culvert version --format json"}},
                     {},
                     [] { return std::unique_ptr<Command>(std::make_unique<VersionCommand>()); }};
}

}  // namespace culvert
