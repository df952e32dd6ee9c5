// SPDX-License-Identifier: Apache-2.0
// Which pane and which windows an event time belongs to.
//
// Flow    decode -> [Assigner] -> panes -> windows.
// Owner   value, made once from the Definition.
// Time    event time; windows are half-open and aligned to the Unix epoch, so every run cuts the same ones.
// Bounds  size / advance <= 1000 windows for one time (Definition's validate()).
// See     docs/semantics.md: windows.
#pragma once

#include <cstdint>

#include "model/definition.h"
#include "model/time.h"

namespace culvert {

class Assigner {
 public:
  explicit Assigner(const Definition& definition)
      : size_ms_(definition.size.count()), advance_ms_(definition.advance.count()) {}

  [[nodiscard]] bool tumbling() const { return size_ms_ == advance_ms_; }
  [[nodiscard]] std::int64_t windows_per_pane() const { return size_ms_ / advance_ms_; }

  // Start of the pane [start, start + advance) that holds `time`.
  [[nodiscard]] EventTime pane(EventTime time) const {
    const std::int64_t t = time.value();
    const std::int64_t floored = t >= 0 ? t - t % advance_ms_ : t - ((t % advance_ms_) + advance_ms_) % advance_ms_;
    return EventTime{floored};
  }

  // The windows that hold a pane start at window(pane, 0) < .. < window(pane, windows_per_pane() - 1) == pane.
  [[nodiscard]] Window window(EventTime pane, std::int64_t index) const {
    const std::int64_t start = pane.value() - size_ms_ + (index + 1) * advance_ms_;
    return Window{EventTime{start}, EventTime{start + size_ms_}};
  }
  [[nodiscard]] Window window_at(EventTime start) const { return Window{start, EventTime{start.value() + size_ms_}}; }

  // End of the first window that holds the pane: until this time has passed, none of the pane's windows is over.
  [[nodiscard]] EventTime first_end(EventTime pane) const { return EventTime{pane.value() + advance_ms_}; }
  // End of the last window that holds the pane.
  [[nodiscard]] EventTime last_end(EventTime pane) const { return EventTime{pane.value() + size_ms_}; }

 private:
  std::int64_t size_ms_;
  std::int64_t advance_ms_;
};

}  // namespace culvert
