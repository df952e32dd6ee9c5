// SPDX-License-Identifier: Apache-2.0
#include "app/options/dynamodb_options.h"

namespace culvert {

dynamodb::Options dynamodb_options(const TableSpec& spec) {
  dynamodb::Options options;
  options.table = spec.name;
  options.checkpoints_table = spec.checkpoints_table;
  options.dead_letters_table = spec.dead_letters_table;
  options.region = spec.region;
  options.endpoint_url = spec.endpoint_url;
  if (spec.expire_after) options.format.retention = std::chrono::ceil<std::chrono::seconds>(*spec.expire_after);
  return options;
}

}  // namespace culvert
