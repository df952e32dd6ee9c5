// SPDX-License-Identifier: Apache-2.0
#include "app/commands/dry_run_table.h"

#include <utility>

namespace culvert {

FlushResult DryRunTable::flush(const FlushRequest& request) {
  FlushResult result;
  result.items.resize(request.items.size());
  std::vector<ItemKey> keys;
  for (const ItemPut& put : request.items) keys.push_back(put.key);
  auto images = table_.load(keys);
  if (!images) {
    result.error = images.error();
    return result;
  }
  result.dead_letters = PutStatus::kStored;
  bool conflict = false;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    auto& current = (*images)[i];
    const bool holds = current ? request.items[i].expected == current->fences : !request.items[i].expected;
    result.items[i].status = holds ? PutStatus::kStored : PutStatus::kConflict;
    if (holds) continue;
    result.items[i].current = std::move(current);
    conflict = true;
  }
  if (!request.checkpoint || conflict) return result;
  auto stored = table_.load_checkpoint(request.where);
  if (!stored) {
    result.error = stored.error();
    return result;
  }
  const auto& expected = request.checkpoint->expected;
  const bool holds =
      *stored ? expected && expected->next == (*stored)->next && expected->ranges == (*stored)->ranges : !expected;
  result.checkpoint.status = holds ? PutStatus::kStored : PutStatus::kConflict;
  if (!holds) result.checkpoint.current = *std::move(stored);
  return result;
}

}  // namespace culvert
