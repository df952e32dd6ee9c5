// SPDX-License-Identifier: Apache-2.0
// Where a stream's state is put up for everybody to see.
//
// Flow    consumer or table watcher -> publish() -> [Board] -> HTTP threads, which take the newest snapshot.
// Owner   the command; outlives the HTTP server.
// Time    one publish() a second or a few; history keeps one sample a second.
// Bounds  one snapshot, kSamplesMost samples, and the limits of DeviceStore and DeadLetterLog.
// See     snapshot.h, device_store.h.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "dashboard/dead_letter_log.h"
#include "dashboard/device_store.h"
#include "dashboard/snapshot.h"

namespace culvert::dashboard {

struct Setting {
  std::string section;
  std::string name;
  std::string value;  // secrets never get here
};

// What does not change while the process runs.
struct About {
  std::string topic;  // empty: not known
  std::string group;
  std::string table;  // as --table says
  std::string value_name = "value";
  KeyType key_type = KeyType::kNumber;
  Millis window{0};
  Millis advance{0};
  std::vector<Setting> settings;
  std::vector<std::pair<std::string, std::string>> versions;
};

struct Sample {
  std::int64_t at_ms = 0;
  double records_per_second = 0;
  std::optional<std::int64_t> event_lag_ms;
  std::optional<std::int64_t> lag_records;
};

class Board {
 public:
  static constexpr std::size_t kSamplesMost = 600;

  explicit Board(About about, StoreLimits limits = {}) : about_(std::move(about)), devices_(limits) {}
  Board(const Board&) = delete;
  Board& operator=(const Board&) = delete;

  [[nodiscard]] const About& about() const { return about_; }

  void publish(Snapshot snapshot);
  // Null before the first publish().
  [[nodiscard]] std::shared_ptr<const Snapshot> snapshot() const;
  [[nodiscard]] std::vector<Sample> history() const;
  // Called by every publish() on its thread, after the snapshot is there.  It must not block.
  void on_publish(std::function<void(const std::shared_ptr<const Snapshot>&)> callback);

  [[nodiscard]] DeviceStore& devices() { return devices_; }
  [[nodiscard]] const DeviceStore& devices() const { return devices_; }
  [[nodiscard]] DeadLetterLog& letters() { return letters_; }
  [[nodiscard]] const DeadLetterLog& letters() const { return letters_; }

 private:
  const About about_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::deque<Sample> history_;
  std::mutex callback_mutex_;  // held during the call, so that on_publish({}) returns when it is over
  std::function<void(const std::shared_ptr<const Snapshot>&)> callback_;
  DeviceStore devices_;
  DeadLetterLog letters_;
};

}  // namespace culvert::dashboard
