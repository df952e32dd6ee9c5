// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/table/aligned_rows.h"
#include "app/table/dead_letter_rows.h"
#include "app/table/table.h"

namespace culvert {

namespace {

enum class DeadLetterFormat : std::uint8_t { kTable, kJson };

class DeadLettersListCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    table_.declare(options, TableUse::kRead);
    options.heading("Output");
    options.choice<DeadLetterFormat>(
        "format", {{"table", DeadLetterFormat::kTable}, {"json", DeadLetterFormat::kJson}}, &format_,
        "table: for people, bytes made visible and cut. json: one object a line, key and value whole, in base64.");
  }

  Result<int> run(CommandContext& context) override {
    auto table = open_reader(table_.table(), context.clock);
    if (!table) return table.error();
    AlignedRows rows({{"position"}, {"time"}, {"reason"}, {"detail"}, {"key"}, {"value"}}, context.out);
    const auto scanned = table->reader->scan_dead_letters([&](const DeadLetter& letter) {
      if (format_ == DeadLetterFormat::kJson) {
        context.out.line(dead_letter_json(letter));
      } else {
        rows.add(dead_letter_cells(letter));
      }
      return !context.out.failed() && !context.stop.requested();
    });
    rows.finish();
    if (!scanned) return scanned.error();
    if (context.stop.requested()) {
      return Error::fatal(ErrorKind::kTryAgain, "interrupted: the output is not complete");
    }
    return 0;
  }

 private:
  TableOptions table_;
  DeadLetterFormat format_ = DeadLetterFormat::kTable;
};

}  // namespace

CommandSpec dead_letters_list_command() {
  return CommandSpec{
      "dead-letters list",
      CommandGroup::kLook,
      "show the records that were set aside",
      "Prints the dead letters of a table, ordered by position: records that could not be decoded or came too late, "
      "with "
      "the reason and their bytes.",
      {{"for people", "culvert dead-letters list --table sqlite:windows.db"},
       {"the bytes of each, for a program", "culvert dead-letters list --table sqlite:windows.db --format json"}},
      {{65, "the file is no culvert table, or of another version"}},
      [] { return std::unique_ptr<Command>(std::make_unique<DeadLettersListCommand>()); }};
}

}  // namespace culvert
