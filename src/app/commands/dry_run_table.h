// SPDX-License-Identifier: Apache-2.0
// A table that answers as the real one would, and writes nothing.
//
// Flow    redrive --dry-run -> [DryRunTable] -> reads of the real table.
// Owner   the command; the real table must outlive it.
// Time    none.
// Bounds  none of its own: what one run would have written is not remembered.
// See     pipeline/ports.h.
#pragma once

#include <vector>

#include "pipeline/ports.h"

namespace culvert {

class DryRunTable final : public AggregateTable {
 public:
  explicit DryRunTable(AggregateTable& table) : table_(table) {}

  FlushResult flush(const FlushRequest& request) override;
  Result<std::vector<std::optional<Image>>> load(std::span<const ItemKey> keys) override { return table_.load(keys); }
  Result<std::optional<Checkpoint>> load_checkpoint(const StreamPartition& where) override {
    return table_.load_checkpoint(where);
  }

 private:
  AggregateTable& table_;
};

}  // namespace culvert
