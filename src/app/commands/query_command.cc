// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "app/cli/command.h"
#include "app/cli/commands.h"
#include "app/cli/option_groups.h"
#include "app/cli/progress_line.h"
#include "app/table/aligned_rows.h"
#include "app/table/scan_watch.h"
#include "app/table/table.h"
#include "app/table/window_rows.h"

namespace culvert {

namespace {

enum class QueryFormat : std::uint8_t { kTable, kJson, kCsv };

class QueryCommand final : public Command {
 public:
  void declare(OptionSet& options) override {
    table_.declare(options, TableUse::kRead);
    options.heading("Which windows");
    options.text("device", "ID", &device_text_, "Only this device.").apply = [this](std::string_view text,
                                                                                    const OptionSource&) {
      device_text_ = text;
      device_given_ = true;
      return Result<void>{};
    };
    options.time("from", &filter_.from, "Only windows that start at this time or later.");
    options.time("to", &filter_.to, "Only windows that start before this time.");
    options.heading("Output");
    options.choice<QueryFormat>(
        "format", {{"table", QueryFormat::kTable}, {"json", QueryFormat::kJson}, {"csv", QueryFormat::kCsv}}, &format_,
        "table: for people. json: one object a line. csv: a line of names, then one line a window.");
    options.finish([this]() -> Result<void> {
      if (!filter_.from || !filter_.to || *filter_.from < *filter_.to) return {};
      return Error::fatal(ErrorKind::kUsage, "--from must be before --to (which is exclusive)");
    });
  }

  Result<int> run(CommandContext& context) override {
    auto table = open_reader(table_.table(), context.clock);
    if (!table) return table.error();
    if (auto read = read_device(table->definition.key_type); !read) return read.error();
    // Before the items: they may only know more than the checkpoints, so that `closed` is never said too early.
    const auto checkpoints = table->reader->checkpoints();
    if (!checkpoints) return checkpoints.error();
    const WindowStates states(*checkpoints, table->definition);
    const auto done = print(*table, states, context);
    if (!done) return done.error();
    return 0;
  }

 private:
  Result<void> read_device(KeyType key_type) {
    if (!device_given_) return {};
    if (key_type == KeyType::kString) {
      if (device_text_.empty()) return Error::fatal(ErrorKind::kUsage, "--device '': a device's name is not empty");
      filter_.device = DeviceId{std::string_view(device_text_)};
      return {};
    }
    const auto number = DeviceId::parse_number(device_text_);
    if (!number) {
      return Error::fatal(ErrorKind::kUsage,
                          fmt::format("--device '{}': the devices of this table are whole numbers", device_text_));
    }
    filter_.device = DeviceId{*number};
    return {};
  }

  // For somebody who waits while the windows go elsewhere.
  std::optional<ProgressLine> progress_of(ReadableTable& table, CommandContext& context) const {
    if (context.out.terminal() || filter_.device || !table.count_items) return std::nullopt;
    ProgressGoal goal;
    if (context.live.active()) {
      // A table that cannot be counted cannot be read either, and reading says why.
      if (const auto items = table.count_items(filter_)) goal.total = *items;
    }
    return std::optional<ProgressLine>(std::in_place, "query", goal, context.log, context.live, context.clock);
  }

  Result<void> print(ReadableTable& table, const WindowStates& states, CommandContext& context) {
    using Align = AlignedRows::Align;
    AlignedRows rows({{"device"},
                      {"window start"},
                      {"window stop"},
                      {"count", Align::kRight},
                      {"avg " + table.definition.value_name, Align::kRight},
                      {"min", Align::kRight},
                      {"max", Align::kRight},
                      {"stddev", Align::kRight},
                      {"state"}},
                     context.out);
    const std::string& name = table.definition.value_name;
    if (format_ == QueryFormat::kCsv) context.out.line(window_csv_header(name));
    ScanWatch watch(*table.reader, "query", "--device ID reads the items of one device only", context.stop, context);
    if (!filter_.device) {
      if (auto begun = watch.begin(); !begun) return begun;
    }
    auto progress = progress_of(table, context);
    std::int64_t printed = 0;
    auto scanned = table.reader->scan_items(filter_, [&](const StoredItem& item) {
      if (progress) progress->update(++printed);
      const bool closed = states.closed(item);
      switch (format_) {
        case QueryFormat::kTable:
          rows.add(window_cells(item, closed));
          break;
        case QueryFormat::kJson:
          context.out.line(window_json(item, name, closed));
          break;
        case QueryFormat::kCsv:
          context.out.line(window_csv(item, closed));
          break;
      }
      return !context.out.failed() && !context.stop.requested();
    });
    if (progress) progress->finish();
    rows.finish();
    if (scanned && context.stop.requested()) {
      return Error::fatal(ErrorKind::kTryAgain, "interrupted: the output is not complete");
    }
    return scanned;
  }

  TableOptions table_;
  std::string device_text_;
  bool device_given_ = false;
  ItemFilter filter_;
  QueryFormat format_ = QueryFormat::kTable;
};

}  // namespace

CommandSpec query_command() {
  return CommandSpec{
      "query",
      CommandGroup::kLook,
      "show the windows of a table",
      "Prints the windows of a table, ordered by device and time, while it is being written or afterwards. A window is "
      "closed once its end is at or below the watermark of every partition that contributed to it; an open one is a "
      "preliminary result. The same table gives the same bytes.",
      {{"everything", "culvert query --table sqlite:windows.db"},
       {"one device of a table in DynamoDB, without reading the others",
        "culvert query --table dynamodb:windows --device 7"},
       {"one device for a program",
        "culvert query --table sqlite:windows.db --device 7 --from 2026-11-23T15:00:00Z --format json"}},
      {{65, "the file is no culvert table, or the table is of another version"},
       {78, "a DynamoDB table is missing or is another"}},
      [] { return std::unique_ptr<Command>(std::make_unique<QueryCommand>()); }};
}

}  // namespace culvert
