// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>

#include "adapters/lambda/event.h"
#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/cli/progress_line.h"
#include "app/commands/dry_run_table.h"
#include "app/commands/log_gaps.h"
#include "app/commands/on_failure_document.h"
#include "app/session/kafka_client_config.h"
#include "app/table/table.h"
#include "decode/json_decoder.h"
#include "pipeline/redrive.h"

namespace culvert {

namespace {

constexpr int kAttemptsMost = 1'000;
constexpr std::int64_t kBackoffMostMs = 5'000;

// What became of batches that were given up.
struct BatchFigures {
  std::int64_t documents = 0;
  std::int64_t named = 0;  // documents that do not hold their batch
  std::int64_t batches = 0;
  PipelineStats stats;

  void add(const PipelineStats& more) {
    ++batches;
    stats.add(more);
  }
};

class RedriveCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    table_.declare(options, TableUse::kWrite);
    options.heading("What");
    options.flag("late", &late_, "Take readings that came too late as well, whatever --allowed-lateness said.");
    Option from;
    from.name = "on-failure";
    from.value_name = "PATH";
    from.help =
        "Instead of dead letters, replay the batches that an event source mapping gave up: its on-failure documents, "
        "a file or a directory of them. The option's name may be left out.";
    from.repeatable = true;
    from.positional = true;
    from.apply = [this](std::string_view path, const OptionSource&) {
      paths_.emplace_back(path);
      return Result<void>{};
    };
    options.add(std::move(from));
    options
        .integer("generation", {1, std::int64_t{1} << 53}, &generation_,
                 "Incarnation of the topic that was given up in.")
        .default_text = "the newest one in the table";
    options.flag("dry-run", &dry_run_, "Say what would be done and write nothing.");
    kafka_.declare_optional(options);
    options.finish([this]() -> Result<void> {
      if (of_letters() && generation_) {
        return Error::fatal(ErrorKind::kUsage,
                            "--generation goes with --on-failure or --topic: a dead letter has its own");
      }
      if (!of_letters() && late_) {
        return Error::fatal(ErrorKind::kUsage,
                            "--late does not go with --on-failure or --topic: batches are judged as they come");
      }
      return {};
    });
  }

  Result<int> run(CommandContext& context) override {
    auto readable = open_reader(table_.table(), context.clock);
    if (!readable) return readable.error();
    const Definition& definition = readable->definition;
    if (definition.kind == WindowKind::kBatch) {
      return Error::fatal(ErrorKind::kData,
                          "windows of kind 'batch' depend on how records were delivered: nothing can "
                          "be added to them");
    }
    auto table = open_table(table_.table(), definition, context.clock);
    if (!table) return table.error();
    DryRunTable dry(**table);
    AggregateTable& target = dry_run_ ? static_cast<AggregateTable&>(dry) : **table;
    const auto done = of_letters() ? letters(*readable, target, context) : batches(*readable, target, context);
    if (!done) return done.error();
    return 0;
  }

 private:
  // Else of batches that were given up.
  [[nodiscard]] bool of_letters() const { return paths_.empty() && !kafka_.named(); }

  // Pauses with full jitter until the table answers again; a stop request ends it.
  [[nodiscard]] WaitForRetry waiting(CommandContext& context) {
    return [this, &context](int attempt, const Error& error) {
      context.log.warning("waiting to try again", {{"detail", error.message}});
      const std::int64_t most = std::min(kBackoffMostMs, std::int64_t{50} << std::min(attempt, 10));
      const auto pause = std::uniform_int_distribution<std::int64_t>(0, most)(random_);
      return attempt < kAttemptsMost && !context.stop.wait_ms(static_cast<int>(pause));
    };
  }

  Result<void> letters(ReadableTable& readable, AggregateTable& table, CommandContext& context) {
    RedriveOptions options;
    options.definition = readable.definition;
    options.expire_after = table_.table().expire_after;
    options.late = late_;
    // Before the letters: what these checkpoints cover, the letters below are all there.
    const auto checkpoints = readable.reader->checkpoints();
    if (!checkpoints) return checkpoints.error();
    JsonDecoder decoder(readable.definition);
    std::map<StreamPartition, PartitionRedrive> partitions;
    for (const PartitionCheckpoint& at : *checkpoints) {
      partitions.try_emplace(at.where, options, decoder, at.where, at.checkpoint);
    }
    ProgressLine reading("redrive: reading letters", {}, context.log, context.live, context.clock);
    std::int64_t read = 0;
    const auto scanned = readable.reader->scan_dead_letters([&](const DeadLetter& letter) {
      partitions.try_emplace(letter.where, options, decoder, letter.where, std::nullopt).first->second.add(letter);
      reading.update(++read);
      return !context.stop.requested();
    });
    reading.finish();
    if (!scanned) return scanned.error();
    if (context.stop.requested()) return Error::fatal(ErrorKind::kTryAgain, "interrupted: nothing was redriven");
    // All of them before the first write.
    for (const auto& [where, partition] : partitions) {
      if (auto good = partition.check(); !good) return good;
    }
    RedriveStats sum;
    ProgressLine writing("redrive: writing windows", {}, context.log, context.live, context.clock);
    std::int64_t items = 0;
    for (auto& [where, partition] : partitions) {
      std::int64_t here = 0;
      const auto stats = partition.run(table, waiting(context), [&](std::int64_t done) {
        here = done;
        writing.update(items + here);
        return !context.stop.requested();
      });
      items += here;
      if (!stats) return stats.error();
      sum.add(*stats);
    }
    writing.finish();
    context.out.line(fmt::format(
        "redrive:{} letters={} repaired={} held={} broken={} late={} generation={} open={} expired={} windows={}",
        dry_run_ ? " dry_run" : "", sum.letters, sum.repaired, sum.held, sum.broken, sum.late, sum.generation, sum.open,
        sum.expired, sum.windows));
    return {};
  }

  // The newest incarnation that the table knows of each topic.
  using Generations = std::map<std::string, std::int64_t, std::less<>>;
  [[nodiscard]] static Generations generations(const std::vector<PartitionCheckpoint>& checkpoints) {
    Generations newest;
    for (const PartitionCheckpoint& at : checkpoints) {
      auto& generation = newest[at.where.topic];
      generation = std::max(generation, at.where.generation);
    }
    return newest;
  }

  Result<void> batches(ReadableTable& readable, AggregateTable& table, CommandContext& context) {
    const auto checkpoints = readable.reader->checkpoints();
    if (!checkpoints) return checkpoints.error();
    PipelineOptions options;
    options.definition = readable.definition;
    options.expire_after = table_.table().expire_after;
    JsonDecoder decoder(readable.definition);
    BatchFigures figures;
    if (auto done = documents(table, options, decoder, generations(*checkpoints), context, figures); !done) return done;
    if (kafka_.named()) {
      // Documents may have closed some of the gaps.
      const auto now = paths_.empty() ? checkpoints : readable.reader->checkpoints();
      if (!now) return now.error();
      if (auto done = gaps(table, options, decoder, *now, context, figures); !done) return done;
    }
    show(figures, context);
    return {};
  }

  Result<void> documents(AggregateTable& table, const PipelineOptions& options, Decoder& decoder,
                         const Generations& newest, CommandContext& context, BatchFigures& figures) {
    std::vector<std::string> files;
    for (const std::string& path : paths_) {
      auto found = on_failure_documents(path);
      if (!found) return found.error();
      files.insert(files.end(), found->begin(), found->end());
    }
    if (files.empty()) return {};
    lambda::EventReader events;
    ProgressLine progress("redrive: documents", {static_cast<std::int64_t>(files.size()), {}}, context.log,
                          context.live, context.clock);
    for (const std::string& file : files) {
      if (auto done = document(file, events, table, options, decoder, newest, context, figures); !done) return done;
      progress.update(++figures.documents);
      if (context.stop.requested()) {
        return Error::fatal(ErrorKind::kTryAgain,
                            fmt::format("interrupted after {}: the next run does the others", file));
      }
    }
    progress.finish();
    return {};
  }

  Result<void> document(const std::string& file, lambda::EventReader& events, AggregateTable& table,
                        const PipelineOptions& options, Decoder& decoder, const Generations& newest,
                        CommandContext& context, BatchFigures& figures) {
    auto payload = payload_of(file);
    if (!payload) return payload.error();
    if (!*payload) {
      if (kafka_.named()) return ++figures.named, Result<void>{};
      return Error::fatal(ErrorKind::kData,
                          fmt::format("{}: names the batch but does not hold it: only destinations that take the whole "
                                      "event (S3, a directory, a topic) do (--bootstrap-server and --topic read it "
                                      "from the log)",
                                      file));
    }
    if (auto read = events.read(**payload); !read) return read.error().within(file);
    for (const lambda::EventBatch& batch : events.batches()) {
      const StreamPartition where{std::string(batch.topic), generation_of(newest, batch.topic), batch.partition};
      auto stats = fold_function_batch(table, options, decoder, where, batch.records, waiting(context));
      if (!stats) return stats.error().within(file);
      figures.add(*stats);
    }
    return {};
  }

  Result<void> gaps(AggregateTable& table, const PipelineOptions& options, Decoder& decoder,
                    std::vector<PartitionCheckpoint> checkpoints, CommandContext& context, BatchFigures& figures) {
    const auto target = kafka_.target(context.log);
    if (!target) return target.error();
    const std::int64_t generation = generation_of(generations(checkpoints), target->topic);
    std::erase_if(checkpoints, [&](const PartitionCheckpoint& at) {
      return at.where.topic != target->topic || at.where.generation != generation;
    });
    if (checkpoints.empty()) {
      return Error::fatal(ErrorKind::kData, fmt::format("the table holds nothing of topic '{}', generation {}",
                                                        target->topic, generation));
    }
    const auto done = redrive_gaps(kafka_client_config(*target, context.log), target->topic, checkpoints, table,
                                   options, decoder, waiting(context), context);
    if (!done) return done.error();
    for (const PipelineStats& stats : done->batches) figures.add(stats);
    return {};
  }

  [[nodiscard]] std::int64_t generation_of(const Generations& newest, std::string_view topic) const {
    const auto known = newest.find(topic);
    return generation_.value_or(known == newest.end() ? 1 : known->second);
  }

  void show(const BatchFigures& figures, CommandContext& context) const {
    const PipelineStats& s = figures.stats;
    context.out.line(fmt::format(
        "redrive:{} documents={} named={} batches={} records={} folded={} late={} dead_letters={} filtered={} "
        "generation={} "
        "windows={}",
        dry_run_ ? " dry_run" : "", figures.documents, figures.named, figures.batches, s.read, s.durable.folded,
        s.durable.late, s.durable.dead_letters, s.filtered + s.adopted, s.generation, s.puts));
  }

  TableOptions table_;
  KafkaOptions kafka_;
  bool late_ = false;
  bool dry_run_ = false;
  std::vector<std::string> paths_;
  std::optional<std::int64_t> generation_;
  std::mt19937_64 random_{std::random_device{}()};
};

}  // namespace

CommandSpec dead_letters_redrive_command() {
  return CommandSpec{
      "dead-letters redrive",
      CommandGroup::kRun,
      "fold what was set aside or given up, exactly once",
      "Reads every dead letter of a table again, as this version of culvert decodes it, and folds those that are "
      "readings by now into their windows; or, with --on-failure, replays the batches that an event source mapping "
      "gave up. With brokers and a topic it reads from the log what the checkpoints passed over, which are the batches "
      "of documents that do not hold their records (SQS, SNS). Each record counts once, however often this is run and "
      "whoever writes meanwhile. Dead letters stay in the table as the record of what happened.",
      {{"after an upgrade that reads what an older version could not",
        "culvert dead-letters redrive --table dynamodb:windows"},
       {"what would it do?", "culvert dead-letters redrive --table sqlite:windows.db --dry-run"},
       {"late readings after an outage of the sensors' network",
        "culvert dead-letters redrive --table sqlite:windows.db --late"},
       {"batches that were given up while the table was down",
        "culvert dead-letters redrive --table dynamodb:windows ./given-up"},
       {"batches that were given up to a queue, which holds no records",
        "culvert dead-letters redrive --table dynamodb:windows -b localhost:9092 -t readings"}},
      {{65,
        "the table contradicts itself or the log, or a document is none; nothing of that partition or document was "
        "written"},
       {69, "the table or the brokers cannot be reached"},
       {75, "interrupted: run it again"}},
      [] { return std::unique_ptr<Command>(std::make_unique<RedriveCommand>()); }};
}

}  // namespace culvert
