// SPDX-License-Identifier: Apache-2.0
// What a function answered to a batch, where the mapping asks for it (ReportBatchItemFailures).
//
// Flow    body of an invocation's response -> [parse_batch_response] -> Mapping.
// Owner   a value.
// Time    none.
// Bounds  the response's own, 6 MB.
// See     docs/formats.md: response of a function.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::lambda {

// "From this record of this partition on".
struct ItemFailure {
  std::string partition_key;  // `topic-0`, as in the event's records
  std::int64_t offset = 0;
  friend bool operator==(const ItemFailure&, const ItemFailure&) = default;
};

struct BatchResponse {
  std::vector<ItemFailure> failures{};  // empty: all succeeded
  std::string malformed{};              // why it cannot be read: then the whole batch has failed
};

// All succeeded: no body, `null`, `{}`, and an absent, null or empty `batchItemFailures`.
[[nodiscard]] BatchResponse parse_batch_response(std::string_view body);

}  // namespace culvert::lambda
