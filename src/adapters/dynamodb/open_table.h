// SPDX-License-Identifier: Apache-2.0
// A DynamoDB table that is ready for use: opened, checked or made, and of one definition.
//
// Flow    commands and functions -> [open_for_writing, open_for_reading] -> DynamoDbTable.
// Owner   free functions; the caller owns the table.
// Time    a call for each table that is checked; with Tables::kCreate until they can be used, at most a minute each.
// Bounds  those of DynamoDbTable.
// See     dynamodb_table.h; docs/formats.md: DynamoDB tables.
#pragma once

#include <memory>

#include "adapters/dynamodb/dynamodb_table.h"

namespace culvert::dynamodb {

enum class Tables : std::uint8_t {
  kTrust,   // nothing is asked: a table that is missing shows at the first call; for a function, where a call is time
  kCheck,   // a table that is missing, or whose key is another, is an error that names it
  kCreate,  // what is missing is made
};

// `clock` must outlive the table.
// Errors: kConfiguration (region, URL, name, missing table, another key type), kData (the table was made with another
// definition), kPermission (no credentials, or refused ones), kUnavailable.
[[nodiscard]] Result<std::unique_ptr<DynamoDbTable>> open_for_writing(Options options, const Definition& definition,
                                                                      Tables tables, const Clock& clock);

struct Readable {
  std::unique_ptr<DynamoDbTable> table;
  Definition definition;  // as the table says
};

// Error (kData): nobody has written into it yet.
[[nodiscard]] Result<Readable> open_for_reading(Options options, const Clock& clock);

}  // namespace culvert::dynamodb
