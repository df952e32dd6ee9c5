// SPDX-License-Identifier: Apache-2.0
#include "dashboard/device_store.h"

#include <algorithm>

namespace culvert::dashboard {

namespace {

constexpr std::size_t kWindowsFewest = 4;
constexpr std::size_t kWindowsEachMost = 240;
constexpr std::size_t kSparkMost = 30;

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool contains(std::string_view text, std::string_view part_lower) {
  const auto at = std::search(text.begin(), text.end(), part_lower.begin(), part_lower.end(),
                              [](char a, char b) { return lower(a) == b; });
  return at != text.end() || part_lower.empty();
}

Micro mean_of(Int128 sum, std::int64_t count) {
  return Micro{static_cast<std::int64_t>(divide_half_even(sum, Int128{count}))};
}

}  // namespace

std::size_t DeviceStore::share() const {
  const std::size_t devices = std::max<std::size_t>(1, devices_.size());
  return std::clamp(limits_.windows_most / devices, kWindowsFewest, kWindowsEachMost);
}

void DeviceStore::trim(Device& device) {
  const std::size_t most = share();
  if (device.windows.size() > most) {
    const std::size_t gone = device.windows.size() - most;
    device.windows.erase(device.windows.begin(), device.windows.begin() + static_cast<std::ptrdiff_t>(gone));
    windows_ -= gone;
  }
  const std::size_t tail_most = std::min(kTailMost, most * 2);
  if (device.tail.size() > tail_most) {
    const std::size_t gone = device.tail.size() - tail_most;
    device.tail.erase(device.tail.begin(), device.tail.begin() + static_cast<std::ptrdiff_t>(gone));
  }
}

// Each device's share shrinks as devices are added; all are cut to it when their number has grown by a quarter.  At the
// limit a tenth of the devices goes at once, so that the search for the silent ones is paid for by many additions.
void DeviceStore::make_room() {
  if (devices_.size() >= limits_.devices_most) {
    std::vector<std::int64_t> heard;
    heard.reserve(devices_.size());
    for (const auto& [id, device] : devices_) heard.push_back(device->heard_ms);
    const auto tenth = heard.begin() + static_cast<std::ptrdiff_t>(heard.size() / 10);
    std::nth_element(heard.begin(), tenth, heard.end());
    std::size_t left = heard.size() / 10 + 1;
    for (auto at = devices_.begin(); at != devices_.end();) {
      if (left > 0 && at->second->heard_ms <= *tenth) {
        windows_ -= at->second->windows.size();
        devices_.erase(at++);
        --left;
      } else {
        ++at;
      }
    }
  }
  if (devices_.size() > trimmed_at_ + trimmed_at_ / 4) {
    trimmed_at_ = devices_.size();
    for (const auto& [id, device] : devices_) trim(*device);
  }
}

void DeviceStore::put(const Put& put) {
  if (put.window.aggregate.count <= 0) return;
  const std::lock_guard lock(mutex_);
  auto at = devices_.find(put.device);
  if (at == devices_.end()) {
    make_room();
    at = devices_.emplace(put.device, std::make_unique<Device>()).first;
    at->second->id = put.device;
  }
  Device& device = *at->second;
  auto slot = std::lower_bound(device.windows.begin(), device.windows.end(), put.window.start,
                               [](const WindowEntry& window, EventTime start) { return window.start < start; });
  std::int64_t added = put.window.aggregate.count;
  Int128 added_sum = put.window.aggregate.sum;
  if (slot != device.windows.end() && slot->start == put.window.start) {
    added -= slot->aggregate.count;
    added_sum -= slot->aggregate.sum;
    const bool was_closed = closed(*slot);
    slot->closed = slot->closed || put.window.closed;
    if (added <= 0) return;  // an older look at it, or nothing new
    slot->corrected = slot->corrected || was_closed;
    slot->aggregate = put.window.aggregate;
    slot->partition = put.window.partition;
  } else {
    const std::size_t most = share();
    if (device.windows.size() >= most && slot == device.windows.begin()) return;  // older than all that are kept
    device.windows.insert(slot, put.window);
    ++windows_;
  }
  device.heard_ms = std::max(device.heard_ms, put.now_ms);
  device.latest = mean_of(added_sum, added);
  const TailPoint point{put.reading_time.value_or(put.window.end), *device.latest};
  if (device.flush == put.flush && !device.tail.empty()) {
    device.tail.back() = point;
  } else {
    device.tail.push_back(point);
  }
  device.flush = put.flush;
  trim(device);
}

void DeviceStore::close_until(PartitionId partition, EventTime watermark) {
  const std::lock_guard lock(mutex_);
  closed_until_.insert_or_assign(partition, watermark);
}

bool DeviceStore::closed(const WindowEntry& window) const {
  if (window.closed) return true;
  if (!window.partition) {
    return !closed_until_.empty() && std::all_of(closed_until_.begin(), closed_until_.end(),
                                                 [&](const auto& at) { return window.end <= at.second; });
  }
  const auto at = closed_until_.find(*window.partition);
  return at != closed_until_.end() && window.end <= at->second;
}

WindowEntry DeviceStore::shown(const WindowEntry& window) const {
  WindowEntry copy = window;
  copy.closed = closed(window);
  return copy;
}

DeviceRow DeviceStore::row(const Device& device) const {
  DeviceRow row{device.id, device.latest, device.heard_ms, shown(device.windows.back()), {}};
  const std::size_t first = device.windows.size() - std::min(device.windows.size(), kSparkMost);
  for (std::size_t i = first; i < device.windows.size(); ++i) {
    const Accumulator& aggregate = device.windows[i].aggregate;
    row.history.push_back(mean_of(aggregate.sum, aggregate.count));
  }
  return row;
}

DevicePage DeviceStore::page(const DeviceQuery& query) const {
  std::string part = query.search;
  std::transform(part.begin(), part.end(), part.begin(), lower);
  const std::lock_guard lock(mutex_);
  std::vector<const Device*> found;
  found.reserve(devices_.size());
  for (const auto& [id, device] : devices_) {
    if (part.empty() || contains(id.to_text(), part)) found.push_back(device.get());
  }
  // Ties, and what has no key, are ordered by device, so that pages do not overlap.
  const auto key = [order = query.order](const Device& device) -> std::int64_t {
    const Accumulator& aggregate = device.windows.back().aggregate;
    switch (order) {
      case DeviceOrder::kDevice:
        return 0;
      case DeviceOrder::kLatest:
        return device.latest.value_or(Micro{}).value();
      case DeviceOrder::kCount:
        return aggregate.count;
      case DeviceOrder::kMean:
        return mean_of(aggregate.sum, aggregate.count).value();
      case DeviceOrder::kMin:
        return aggregate.min.value();
      case DeviceOrder::kMax:
        return aggregate.max.value();
      case DeviceOrder::kHeard:
        return device.heard_ms;
    }
    return 0;
  };
  std::vector<std::pair<std::int64_t, const Device*>> keyed;
  keyed.reserve(found.size());
  for (const Device* device : found) keyed.emplace_back(key(*device), device);
  const auto before = [&](const auto& a, const auto& b) {
    if (a.first != b.first) return query.descending ? a.first > b.first : a.first < b.first;
    const bool by_device = query.order == DeviceOrder::kDevice && query.descending;
    return by_device ? b.second->id < a.second->id : a.second->id < b.second->id;
  };
  DevicePage page;
  page.devices = devices_.size();
  page.found = keyed.size();
  const std::size_t pages = std::max<std::size_t>(1, (keyed.size() + query.size - 1) / query.size);
  page.page = std::clamp<std::size_t>(query.page, 1, pages);
  const std::size_t first = std::min(keyed.size(), (page.page - 1) * query.size);
  const std::size_t next = std::min(keyed.size(), first + query.size);
  std::partial_sort(keyed.begin(), keyed.begin() + static_cast<std::ptrdiff_t>(next), keyed.end(), before);
  for (std::size_t i = first; i < next; ++i) page.rows.push_back(row(*keyed[i].second));
  return page;
}

std::optional<DeviceDetail> DeviceStore::detail(const DeviceId& device) const {
  const std::lock_guard lock(mutex_);
  const auto at = devices_.find(device);
  if (at == devices_.end()) return std::nullopt;
  DeviceDetail detail{row(*at->second), {}, at->second->tail};
  for (const WindowEntry& window : at->second->windows) detail.windows.push_back(shown(window));
  return detail;
}

void DeviceStore::clear() {
  const std::lock_guard lock(mutex_);
  devices_.clear();
  windows_ = 0;
  trimmed_at_ = 0;
  closed_until_.clear();
}

std::size_t DeviceStore::devices() const {
  const std::lock_guard lock(mutex_);
  return devices_.size();
}

std::size_t DeviceStore::windows() const {
  const std::lock_guard lock(mutex_);
  return windows_;
}

}  // namespace culvert::dashboard
