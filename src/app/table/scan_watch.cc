// SPDX-License-Identifier: Apache-2.0
#include "app/table/scan_watch.h"

#include <string_view>

namespace culvert {

namespace {

constexpr std::int64_t kReadUnitBytes = 4'096;  // of a consistent read
constexpr std::string_view kWholeTable = "the whole table is read, which takes time and is paid for";

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
  told_ = true;
  warn(log_, **size, advice_);
  return {};
}

void ScanWatch::warn(Log& log, const TableSize& size, std::string_view advice) {
  if (size.items < kItemsWorthTelling) return;
  log.warning(kWholeTable, {{"items_about", size.items},
                            {"megabytes_about", size.bytes / 1'000'000},
                            {"read_units_about", size.bytes / kReadUnitBytes},
                            {"advice", advice}});
}

bool ScanWatch::tick(std::int64_t items) {
  // The table's own figure may be hours old.
  if (!told_ && items >= kItemsWorthTelling) {
    told_ = true;
    log_.warning(kWholeTable, {{"items_so_far", items}, {"advice", advice_}});
  }
  progress_.update(items);
  return !stop_.requested();
}

}  // namespace culvert
