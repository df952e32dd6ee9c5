// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <filesystem>
#include <fstream>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/completion.h"
#include "app/cli/manual.h"
#include "app/cli/sample_config.h"
#include "app/site/build_info.h"

namespace culvert {

namespace {

class GenerateCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    options.text({"output-folder", 'o'}, "FOLDER", &folder_, "Where the files go; made if it is not there.").required =
        true;
  }

  Result<int> run(CommandContext& context) override {
    const std::string version = build_info().front().second;
    const auto& commands = context.commands;
    Result<void> done = write("man/man1/culvert.1", program_manual(commands, version));
    for (const CommandView& command : commands) {
      if (!done || command.spec.group == CommandGroup::kHidden) continue;
      done = write(fmt::format("man/man1/{}.1", manual_name(command.spec)), command_manual(command, commands, version));
    }
    if (done) done = write("bash-completion/completions/culvert", bash_completion(commands));
    if (done) done = write("zsh/site-functions/_culvert", zsh_completion(commands));
    if (done) done = write("fish/vendor_completions.d/culvert.fish", fish_completion(commands));
    if (done) done = write("doc/culvert/examples/culvert.toml", sample_config(commands));
    if (!done) return done.error();
    return 0;
  }

 private:
  [[nodiscard]] Result<void> write(const std::string& name, const std::string& text) const {
    const std::filesystem::path path = std::filesystem::path(folder_) / name;
    std::error_code failed;
    std::filesystem::create_directories(path.parent_path(), failed);
    if (!failed) {
      std::ofstream file(path, std::ios::binary | std::ios::trunc);
      file << text;
      file.close();
      if (file) return {};
    }
    return Error::fatal(ErrorKind::kIo, fmt::format("{}: cannot be written", path.string()));
  }

  std::string folder_;
};

}  // namespace

CommandSpec generate_command() {
  return CommandSpec{"generate",
                     CommandGroup::kHidden,
                     "write manual pages, completions and an example configuration",
                     "Writes manual pages, shell completions and an example configuration file, laid out as below "
                     "/usr/share. They are made of the options that --help shows; packages hold them.",
                     {{"for a package", "culvert generate --output-folder build/release/share"}},
                     {},
                     [] { return std::unique_ptr<Command>(std::make_unique<GenerateCommand>()); }};
}

}  // namespace culvert
