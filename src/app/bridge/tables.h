// SPDX-License-Identifier: Apache-2.0
// `culvert bridge --create-table`: the DynamoDB tables that a function's environment names.
//
// Flow    BridgeOptions -> [create_function_tables] -> DynamoDB.
// Owner   a free function.
// Time    until the tables can be used, at most a minute each.
// Bounds  three tables.
// See     docs/formats.md: DynamoDB tables.
#pragma once

#include "adapters/clock/clock.h"
#include "app/bridge/options.h"
#include "model/result.h"

namespace culvert {

// Makes what is not there; what is there must have the right keys.  The credentials, region and endpoint are the
// function's.
[[nodiscard]] Result<void> create_function_tables(const BridgeOptions& options, const Clock& clock);

}  // namespace culvert
