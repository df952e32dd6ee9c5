// SPDX-License-Identifier: Apache-2.0
#include "app/scan_watch.h"

#include <string_view>

namespace culvert {

namespace {

constexpr std::int64_t kReadUnitBytes = 4'096;  // of a consistent read

}  // namespace

ScanWatch::ScanWatch(TableReader& reader, std::string_view what, std::string_view advice, const StopFlag& stop,
                     CommandContext& context)
    : reader_(reader),
      advice_(advice),
      stop_(stop),
      log_(context.log),
      progress_(std::string(what), {}, context.log, context.live, context.clock) {
  reader_.watch_scans([this](std::int64_t items) { return tick(items); });
}

ScanWatch::~ScanWatch() {
  reader_.watch_scans(nullptr);
  progress_.finish();
}

Result<void> ScanWatch::begin() {
  const auto size = reader_.size_estimate();
  if (!size) return size.error();
  if (!*size || (*size)->items < kItemsWorthTelling) return {};
  const std::int64_t bytes = (*size)->bytes;
  tell({{"items_about", (*size)->items},
        {"megabytes_about", bytes / 1'000'000},
        {"read_units_about", bytes / kReadUnitBytes},
        {"advice", advice_}});
  return {};
}

bool ScanWatch::tick(std::int64_t items) {
  // The table's own figure may be hours old.
  if (!told_ && items >= kItemsWorthTelling) tell({{"items_so_far", items}, {"advice", advice_}});
  progress_.update(items);
  return !stop_.requested();
}

void ScanWatch::tell(Log::Fields figures) {
  told_ = true;
  log_.warning("the whole table is read, which takes time and is paid for", figures);
}

}  // namespace culvert
