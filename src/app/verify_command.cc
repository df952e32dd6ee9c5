// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/command.h"
#include "app/commands.h"
#include "app/kafka_client_config.h"
#include "app/log_scan.h"
#include "app/option_groups.h"
#include "app/progress_line.h"
#include "app/table.h"
#include "app/verifier.h"
#include "app/verify_output.h"

namespace culvert {

namespace {

constexpr Millis kQueryTimeout{30'000};
constexpr int kExitDifferent = exit_code(ErrorKind::kData);

enum class VerifyFormat : std::uint8_t { kText, kJson };

// A topic made anew has another id, whatever its offsets are.
Result<void> check_topic_id(const kafka::PartitionReader& reader, const oracle::Verifier& verifier) {
  const auto id = reader.topic_id(kQueryTimeout);
  if (!id) return id.error();
  for (const PartitionCheckpoint& at : verifier.checkpoints()) {
    const std::string& stored = at.checkpoint.topic_id;
    if (stored.empty() || id->empty() || stored == *id) continue;
    return Error::fatal(ErrorKind::kData,
                        fmt::format("{}: the table was made from a topic with id {}, now it is {}: the topic was made "
                                    "anew (consume it with --generation {}; what the table holds of the former one "
                                    "cannot be verified any more)",
                                    at.where.name(), stored, *id, at.where.generation + 1));
  }
  return {};
}

Result<std::vector<oracle::LogExtent>> log_extents(const kafka::PartitionReader& reader) {
  std::vector<oracle::LogExtent> logs;
  for (std::int32_t i = 0; i < reader.partition_count(); ++i) {
    const auto range = reader.log_range(PartitionId{i}, kQueryTimeout);
    if (!range) return range.error();
    logs.push_back({PartitionId{i}, range->log_start, range->log_end});
  }
  return logs;
}

class VerifyCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    kafka_.declare(options, GroupOption::kNone);
    table_.declare(options);
    options.heading("Output");
    options.choice<VerifyFormat>(
        "format", {{"text", VerifyFormat::kText}, {"json", VerifyFormat::kJson}}, &format_,
        "text: a line for each of the first 20 differences, then a summary. json: one object.");
  }

  Result<int> run(CommandContext& context) override {
    auto target = kafka_.target(context.log);
    if (!target) return target.error();
    auto table = open_reader(table_.table());
    if (!table) return table.error();
    auto verifier = oracle::Verifier::load(*table->reader, table->definition, target->topic);
    if (!verifier) return verifier.error();
    const auto report = compare(*target, **verifier, context);
    if (!report) return report.error();
    if (format_ == VerifyFormat::kJson) {
      context.out.line(oracle::report_json(*report));
    } else {
      context.out.write(oracle::report_text(*report));
    }
    return report->good() ? 0 : kExitDifferent;
  }

 private:
  Result<oracle::VerifyReport> compare(const KafkaTarget& target, oracle::Verifier& verifier,
                                       CommandContext& context) const {
    kafka::ReaderOptions options;
    options.topic = target.topic;
    auto reader = kafka::PartitionReader::open(kafka_client_config(target, context.log), options);
    if (!reader) return reader.error();
    if (auto same = check_topic_id(**reader, verifier); !same) return same.error();
    // After the table was read: everything it holds is in the log by now.
    const auto logs = log_extents(**reader);
    if (!logs) return logs.error();
    const auto plan = verifier.plan(*logs);
    if (!plan) return plan.error();
    std::vector<kafka::ReadRange> ranges;
    std::int64_t total = 0;
    for (const auto& [partition, range] : *plan) {
      ranges.push_back({partition, range.first, range.next});
      total += range.next - range.first;
    }
    ProgressLine progress("verify", ProgressGoal{total, {}}, context.log, context.live, context.clock);
    std::int64_t done = 0;
    const auto scanned =
        scan_log(**reader, ranges, context.stop, [&](PartitionId partition, std::span<const Record> records) {
          verifier.add(partition, records);
          done += static_cast<std::int64_t>(records.size());
          progress.update(done);
          return true;
        });
    progress.finish();
    if (!scanned) return scanned.error();
    if (!*scanned) return Error::fatal(ErrorKind::kTryAgain, "interrupted: nothing was compared");
    return verifier.finish();
  }

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
      {{"after or during a run", "culvert verify -b localhost:9092 -t readings --table sqlite:telemetry.sqlite"}},
      {{0, "the table is what the log says"},
       {65, "something differs, or the table was not made from this log"},
       {69, "the brokers cannot be reached"}},
      [] { return std::unique_ptr<Command>(std::make_unique<VerifyCommand>()); }};
}

}  // namespace culvert
