// SPDX-License-Identifier: Apache-2.0
// The recent windows of every device, for looking at.
//
// Flow    stored items of a flush, or of a look into a table -> [DeviceStore] -> a page of devices, or one device.
// Owner   Board.  Any thread: one mutex, held for one put, one sort or one copy.
// Time    `now_ms` is the wall clock, for how long ago a device was heard of; everything else is event time.
// Bounds  windows_most over all devices, shared out evenly (at least 4 and at most 240 for each), devices_most devices:
//         beyond it those that were silent longest are forgotten.  Nothing here decides what a table holds.
// See     docs/operating.md: dashboard.
#pragma once

#include <boost/unordered/unordered_flat_map.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/device.h"
#include "model/ids.h"
#include "model/time.h"
#include "window/accumulator.h"

namespace culvert::dashboard {

struct WindowEntry {
  EventTime start;
  EventTime end;
  Accumulator aggregate;
  bool closed = false;     // no reading is expected any more, but for late ones
  bool corrected = false;  // it changed after it was closed
  // The partition all its readings come from, whose watermark closes it; absent: several.
  std::optional<PartitionId> partition{};
};

// Some readings that came together: their mean, and the newest event time of their flush.
struct TailPoint {
  EventTime time;
  Micro value;
};

struct DeviceRow {
  DeviceId device;
  std::optional<Micro> latest;  // mean of the readings that came last
  std::int64_t heard_ms = 0;
  WindowEntry current;         // the newest window
  std::vector<Micro> history;  // means of the newest windows, oldest first
};

enum class DeviceOrder : std::uint8_t { kDevice, kLatest, kCount, kMean, kMin, kMax, kHeard };

struct DeviceQuery {
  std::string search;  // part of the device's name; ASCII case is ignored
  DeviceOrder order = DeviceOrder::kDevice;
  bool descending = false;
  std::size_t page = 1;  // the first one
  std::size_t size = 50;
};

struct DevicePage {
  std::size_t devices = 0;  // all that are known
  std::size_t found = 0;    // of them, by the search
  std::size_t page = 1;     // as asked for, or the last one there is
  std::vector<DeviceRow> rows;
};

struct DeviceDetail {
  DeviceRow row;
  std::vector<WindowEntry> windows;  // ascending by start
  std::vector<TailPoint> tail;       // in the order of their coming
};

struct StoreLimits {
  std::size_t windows_most = 200'000;
  std::size_t devices_most = 50'000;
};

class DeviceStore {
 public:
  explicit DeviceStore(StoreLimits limits = {}) : limits_(limits) {}

  struct Put {
    DeviceId device;
    WindowEntry window;                     // `closed` as of now; `corrected` is found out here
    std::optional<EventTime> reading_time;  // for the tail; absent: the window's end
    std::int64_t now_ms = 0;
    std::int64_t flush = 0;  // puts of one flush make one tail point
  };
  void put(const Put& put);

  // Forgets everything: the table it was about is no more.
  void clear();

  // Windows of that partition that end at or before it are closed.
  void close_until(PartitionId partition, EventTime watermark);

  [[nodiscard]] DevicePage page(const DeviceQuery& query) const;
  [[nodiscard]] std::optional<DeviceDetail> detail(const DeviceId& device) const;
  [[nodiscard]] std::size_t devices() const;
  [[nodiscard]] std::size_t windows() const;

 private:
  static constexpr std::size_t kTailMost = 120;

  struct Device {
    DeviceId id;
    std::vector<WindowEntry> windows;  // ascending by start
    std::vector<TailPoint> tail;
    std::optional<Micro> latest;
    std::int64_t heard_ms = 0;
    std::int64_t flush = -1;
  };

  [[nodiscard]] std::size_t share() const;  // windows that each device may have
  void trim(Device& device);
  void make_room();
  [[nodiscard]] bool closed(const WindowEntry& window) const;
  [[nodiscard]] DeviceRow row(const Device& device) const;
  [[nodiscard]] WindowEntry shown(const WindowEntry& window) const;

  const StoreLimits limits_;
  mutable std::mutex mutex_;
  boost::unordered_flat_map<DeviceId, std::unique_ptr<Device>, DeviceHash, DeviceEqual> devices_;
  std::size_t windows_ = 0;
  std::size_t trimmed_at_ = 0;  // number of devices at the last sweep over all
  std::map<PartitionId, EventTime> closed_until_;
};

}  // namespace culvert::dashboard
