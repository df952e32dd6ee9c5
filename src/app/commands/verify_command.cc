// SPDX-License-Identifier: Apache-2.0
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/commands/verify_table.h"
#include "app/session/kafka_client_config.h"
#include "app/table/table.h"
#include "app/verify/verify_output.h"

namespace culvert {

namespace {

constexpr int kExitDifferent = exit_code(ErrorKind::kData);

enum class VerifyFormat : std::uint8_t { kText, kJson };

class VerifyCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    kafka_.declare(options, GroupOption::kNone);
    table_.declare(options, TableUse::kRead);
    options.heading("Output");
    options.choice<VerifyFormat>(
        "format", {{"text", VerifyFormat::kText}, {"json", VerifyFormat::kJson}}, &format_,
        "text: a line for each of the first 20 differences, then a summary. json: one object.");
  }

  Result<int> run(CommandContext& context) override {
    auto target = kafka_.target(context.log);
    if (!target) return target.error();
    auto table = open_reader(table_.table(), context.clock);
    if (!table) return table.error();
    const auto report =
        verify_table(kafka_client_config(*target, context.log), target->topic, *table, context.stop, context);
    if (!report) return report.error();
    if (format_ == VerifyFormat::kJson) {
      context.out.line(oracle::report_json(*report));
    } else {
      context.out.write(oracle::report_text(*report));
    }
    return report->good() ? 0 : kExitDifferent;
  }

 private:
  KafkaOptions kafka_;
  TableOptions table_;
  VerifyFormat format_ = VerifyFormat::kText;
};

}  // namespace

CommandSpec verify_command() {
  return CommandSpec{
      "verify",
      CommandGroup::kCheck,
      "compare a table with the log it was made from",
      "Reads the log again, works out every window, dead letter and counter with code of its own, slowly and without "
      "floating point, and compares them with the table. The table may be written meanwhile: an item must equal "
      "exactly "
      "those records that its offset fences say it holds, and nothing that a checkpoint covers may be missing.",
      {{"after or during a run", "culvert verify -b localhost:9092 -t readings --table sqlite:windows.db"}},
      {{0, "the table is what the log says"},
       {65, "something differs, or the table was not made from this log"},
       {69, "the brokers cannot be reached"}},
      [] { return std::unique_ptr<Command>(std::make_unique<VerifyCommand>()); }};
}

}  // namespace culvert
