// SPDX-License-Identifier: Apache-2.0
// From what --table and its companions say to the DynamoDB adapter's options.
//
// Flow    TableSpec -> [dynamodb_options] -> DynamoDbTable, for commands and function.
// Owner   free function.
// Time    none.
// Bounds  none.
// See     table_options.h.
#pragma once

#include "adapters/dynamodb/dynamodb_table.h"
#include "app/options/table_options.h"

namespace culvert {

[[nodiscard]] dynamodb::Options dynamodb_options(const TableSpec& spec);

}  // namespace culvert
