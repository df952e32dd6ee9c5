// SPDX-License-Identifier: Apache-2.0
#include "app/options/table_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "app/options/did_you_mean.h"

namespace culvert {

Result<TableSpec> parse_table_spec(std::string_view text) {
  const auto colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view name = colon == std::string_view::npos ? std::string_view{} : text.substr(colon + 1);
  const std::vector<std::string> kinds{"sqlite", "dynamodb"};
  if (colon == std::string_view::npos || std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    const bool file = text.find_first_of("./") != std::string_view::npos;
    const std::string hint = colon != std::string_view::npos ? did_you_mean(kind, kinds)
                             : file                          ? fmt::format(" (did you mean sqlite:{}?)", text)
                                                             : "";
    return refuse_value(text, "is neither sqlite:FILE nor dynamodb:NAME" + hint);
  }
  if (name.empty()) return refuse_value(text, fmt::format("names no table after '{}:'", kind));
  TableSpec spec;
  spec.kind = kind == "sqlite" ? TableKind::kSqlite : TableKind::kDynamoDb;
  spec.name = name;
  return spec;
}

void TableOptions::declare(OptionSet& options, TableUse use, std::string_view default_table) {
  Option option;
  option.name = "table";
  option.value_name = "sqlite:FILE|dynamodb:NAME";
  option.help = "The aggregate table.";
  option.heading = "Table";
  option.required = default_table.empty();
  option.default_text = default_table;
  option.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
    auto spec = parse_table_spec(text);
    if (!spec) return spec.error();
    table_.kind = spec->kind;
    table_.name = std::move(spec->name);
    return {};
  };
  if (!default_table.empty()) {
    const auto applied = option.apply(default_table, OptionSource{});
    CULVERT_CHECK(applied.ok(), "a command's default table is not a table");
  }
  options.add(std::move(option));
  declare_dynamodb(options, use);
}

void TableOptions::declare_dynamodb(OptionSet& options, TableUse use) {
  options.heading("Table in DynamoDB");
  std::vector<const Option*> added;
  added.push_back(&options.text("region", "NAME", &table_.region, "AWS region of the table."));
  options.find("region")->default_text = "AWS_REGION, AWS_DEFAULT_REGION, or the profile's";
  added.push_back(&options.text("endpoint-url", "URL", &table_.endpoint_url, "Where DynamoDB answers."));
  options.find("endpoint-url")->default_text = "AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL, or the region's own";
  added.push_back(&options.text("checkpoint-table", "NAME", &table_.checkpoints_table, "Table of the checkpoints."));
  options.find("checkpoint-table")->default_text =
      "STEM-checkpoints, where STEM is the table's name without -aggregates";
  added.push_back(&options.text("dead-letter-table", "NAME", &table_.dead_letters_table, "Table of the dead letters."));
  options.find("dead-letter-table")->default_text = "STEM-dead-letters";
  if (use == TableUse::kWrite) {
    options.flag("create-table", &table_.create,
                 "Make the three tables if they are missing, paid by the request. In AWS prefer "
                 "infra/modules/aggregate_table, which also backs them up.");
  }
  if (use != TableUse::kRead) {
    added.push_back(&options.duration("expire-after", &table_.expire_after,
                                      "Let DynamoDB remove a window this long after its end; longer than "
                                      "--allowed-lateness. Readings older than that must not be replayed."));
  }
  options.finish([this, added]() -> Result<void> {
    if (table_.kind == TableKind::kDynamoDb) return {};
    for (const Option* option : added) {
      if (!option->given) continue;
      return Error::fatal(ErrorKind::kUsage, fmt::format("--{} is of tables in DynamoDB, and --table is sqlite:{}",
                                                         option->name, table_.name));
    }
    return {};
  });
}

}  // namespace culvert
