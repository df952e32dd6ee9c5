// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "adapters/kafka/reader.h"
#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/cli/tail_format.h"
#include "app/session/kafka_client_config.h"

namespace culvert {

namespace {

constexpr Millis kQueryTimeout{10'000};
constexpr Millis kPollTimeout{100};
constexpr Millis kStallLimit{60'000};

template <class... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

class TailCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    kafka_.declare(options, GroupOption::kNone);
    options.heading("What is shown");
    Option start;
    start.name = "offset";
    start.letter = 'o';
    start.value_name = "beginning|end|N|-N|TIME";
    start.help = "Where to begin, in every partition: an offset, the last N records, or the first record of a time.";
    start.default_text = "-10";
    start.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
      const auto parsed = parse_tail_start(text);
      if (!parsed) return refuse_value(text, "is neither beginning, end, an offset, -N nor a time");
      start_ = *parsed;
      return {};
    };
    options.add(std::move(start));
    options.integer({"partition", 'p'}, {0, std::int64_t{1} << 31}, &partition_, "Only this partition.");
    options.count({"count", 'c'}, &count_, "End after this many records.");
    options.flag({"exit-at-end", 'e'}, &exit_at_end_, "End where the partitions end now, instead of waiting for more.");
    options.choice<RecordFormat>(
        "format", {{"text", RecordFormat::kText}, {"json", RecordFormat::kJson}, {"value", RecordFormat::kValue}},
        &format_, "text: position, time, key and value; json: one object a line; value: the bare value.");
  }

  Result<int> run(CommandContext& context) override {
    auto target = kafka_.target(context.log);
    if (!target) return target.error();
    auto reader = kafka::PartitionReader::open(kafka_client_config(*target, context.log), {.topic = target->topic});
    if (!reader) return reader.error();
    auto ranges = read_ranges(**reader, target->topic);
    if (!ranges) return ranges.error();
    if (ranges->empty()) return 0;
    if (auto started = (*reader)->start(*ranges); !started) return started.error();
    return follow(**reader, target->topic, context);
  }

 private:
  Result<std::vector<kafka::ReadRange>> read_ranges(kafka::PartitionReader& reader, const std::string& topic) const;
  Result<Offset> first_offset(kafka::PartitionReader& reader, PartitionId partition, const kafka::LogRange& log) const;
  Result<int> follow(kafka::PartitionReader& reader, const std::string& topic, CommandContext& context);
  void print(const kafka::Records& records, const std::string& topic, Output& out);
  [[nodiscard]] bool enough() const { return count_ && printed_ >= *count_; }

  KafkaOptions kafka_;
  TailStart start_;
  std::optional<std::int64_t> partition_;
  std::optional<std::int64_t> count_;
  bool exit_at_end_ = false;
  RecordFormat format_ = RecordFormat::kText;
  std::int64_t printed_ = 0;
};

Result<Offset> TailCommand::first_offset(kafka::PartitionReader& reader, PartitionId partition,
                                         const kafka::LogRange& log) const {
  std::optional<Offset> at_time;
  if (start_.kind == TailStartKind::kTime) {
    auto found = reader.offset_for_time(partition, start_.time, kQueryTimeout);
    if (!found) return found.error();
    at_time = *found;
  }
  return tail_offset(start_, log.log_start, log.log_end, at_time);
}

// With --exit-at-end only what is there; partitions that have nothing to show are left out.
Result<std::vector<kafka::ReadRange>> TailCommand::read_ranges(kafka::PartitionReader& reader,
                                                               const std::string& topic) const {
  const std::int32_t count = reader.partition_count();
  if (partition_ && *partition_ >= count) {
    return Error::fatal(ErrorKind::kUsage,
                        fmt::format("topic '{}' has partitions 0 to {}, not {}", topic, count - 1, *partition_));
  }
  std::vector<kafka::ReadRange> ranges;
  for (std::int32_t i = 0; i < count; ++i) {
    if (partition_ && *partition_ != i) continue;
    const PartitionId partition{i};
    const auto log = reader.log_range(partition, kQueryTimeout);
    if (!log) return log.error();
    const auto first = first_offset(reader, partition, *log);
    if (!first) return first.error();
    if (exit_at_end_ && *first >= log->log_end) continue;
    ranges.push_back({partition, *first, exit_at_end_ ? std::optional(log->log_end) : std::nullopt});
  }
  return ranges;
}

void TailCommand::print(const kafka::Records& records, const std::string& topic, Output& out) {
  for (const kafka::PartitionRecords& run : records.runs) {
    for (const Record& record : run.records) {
      if (enough()) return;
      out.write(format_record(format_, topic, run.claim.partition, record));
      ++printed_;
    }
  }
}

Result<int> TailCommand::follow(kafka::PartitionReader& reader, const std::string& topic, CommandContext& context) {
  while (!context.stop.requested() && !enough() && !context.out.failed() && !reader.done()) {
    std::optional<Error> fatal;
    std::visit(Overloaded{[&](const kafka::Records& records) { print(records, topic, context.out); },
                          [&](const kafka::Failed& failed) {
                            if (!failed.error.retriable) fatal = failed.error;
                            if (failed.error.retriable) context.log.warning(failed.error.message);
                          },
                          // Whoever reads the other end of a pipe wants to see what there is before more comes.
                          [&](const kafka::Nothing&) { static_cast<void>(context.out.flush()); },
                          [&](const kafka::EndReached&) { static_cast<void>(context.out.flush()); },
                          [](const auto&) { /* groups are not used here */ }},
               reader.poll(kPollTimeout));
    if (fatal) return *fatal;
    if (auto alive = reader.check_progress(kStallLimit); !alive) return alive.error();
  }
  return 0;
}

}  // namespace

CommandSpec tail_command() {
  return CommandSpec{
      "tail",
      CommandGroup::kLook,
      "show the records of a topic",
      "Shows the last records of a topic and waits for more. Joins no consumer group and commits nothing, so that it "
      "never disturbs anybody.",
      {{"the last ten records of each partition, and what comes", "culvert tail -b localhost:9092 -t readings"},
       {"everything since a time, as JSON lines",
        "culvert tail -b localhost:9092 -t readings -o 2026-01-01T00:00:00Z -e --format json"},
       {"one record of partition 3 by its offset", "culvert tail -b localhost:9092 -t readings -p 3 -o 1234 -c 1"}},
      {{0, "all that was asked for was shown, or a signal ended it"}},
      [] { return std::unique_ptr<Command>(std::make_unique<TailCommand>()); }};
}

}  // namespace culvert
