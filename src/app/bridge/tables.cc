// SPDX-License-Identifier: Apache-2.0
#include "app/bridge/tables.h"

#include <fmt/format.h>

#include "adapters/dynamodb/dynamodb_table.h"

namespace culvert {

Result<void> create_function_tables(const BridgeOptions& options, const Clock& clock) {
  const auto variable = [&](std::string_view name) { return options.function_variable(name).value_or(""); };
  const auto spec = parse_table_spec(variable("CULVERT_TABLE"));
  if (!spec) return spec.error().within("--create-table: CULVERT_TABLE");
  if (spec->kind != TableKind::kDynamoDb) {
    return Error::fatal(ErrorKind::kConfiguration,
                        "--create-table: CULVERT_TABLE does not name a DynamoDB table (dynamodb:NAME)");
  }
  dynamodb::Options table;
  table.table = spec->name;
  table.checkpoints_table = variable("CULVERT_CHECKPOINT_TABLE");
  table.dead_letters_table = variable("CULVERT_DEAD_LETTER_TABLE");
  table.region = options.region();
  table.environment = [variable](const char* name) -> std::optional<std::string> {
    std::string value = variable(name);
    if (value.empty()) return aws::process_environment(name);
    return value;
  };
  auto opened = dynamodb::DynamoDbTable::open(std::move(table), clock);
  if (!opened) return opened.error();
  if (auto prepared = (*opened)->prepare(); !prepared) return prepared.error();
  return (*opened)->create_tables(variable("CULVERT_KEY_TYPE") == "string" ? KeyType::kString : KeyType::kNumber);
}

}  // namespace culvert
