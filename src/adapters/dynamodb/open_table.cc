// SPDX-License-Identifier: Apache-2.0
#include "adapters/dynamodb/open_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace culvert::dynamodb {

namespace {

// Whoever starts a program with a wrong address wants to know before a flush would have given up.
constexpr std::chrono::milliseconds kOpenDeadline{10'000};

}  // namespace

Result<std::unique_ptr<DynamoDbTable>> open_for_writing(Options options, const Definition& definition, Tables tables,
                                                        const Clock& clock) {
  options.format.value_name = definition.value_name;
  const auto flush_deadline = options.flush_deadline;
  auto table = DynamoDbTable::open(std::move(options), clock);
  if (!table) return table.error();
  (*table)->set_flush_deadline(std::min(flush_deadline, kOpenDeadline));
  // Before any call, so that a missing credential is told as what it is.
  if (auto prepared = (*table)->prepare(); !prepared) return prepared.error();
  if (tables == Tables::kCreate) {
    if (auto created = (*table)->create_tables(definition.key_type); !created) return created.error();
  } else if (tables == Tables::kCheck) {
    if (auto checked = (*table)->check_tables(definition.key_type); !checked) return checked.error();
  }
  if (auto claimed = (*table)->claim_definition(definition); !claimed) return claimed.error();
  (*table)->set_flush_deadline(flush_deadline);
  return table;
}

Result<Readable> open_for_reading(Options options, const Clock& clock) {
  const auto flush_deadline = options.flush_deadline;
  auto table = DynamoDbTable::open(std::move(options), clock);
  if (!table) return table.error();
  (*table)->set_flush_deadline(std::min(flush_deadline, kOpenDeadline));
  if (auto prepared = (*table)->prepare(); !prepared) return prepared.error();
  if (auto checked = (*table)->check_tables(std::nullopt); !checked) return checked.error();
  auto definition = (*table)->definition();
  if (!definition) return definition.error();
  if (!*definition) {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("table '{}' is new: nothing has been written into it", (*table)->names().items));
  }
  (*table)->set_flush_deadline(flush_deadline);
  (*table)->set_value_name((*definition)->value_name);
  return Readable{*std::move(table), **std::move(definition)};
}

}  // namespace culvert::dynamodb
