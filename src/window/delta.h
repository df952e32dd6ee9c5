// SPDX-License-Identifier: Apache-2.0
// What one device contributed to one pane or window since it was last written.
//
// Flow    fold -> [Delta] in a pane or window bucket -> merged with the item's image at flush.
// Owner   PartitionPipeline, in DeltaMaps.
// Time    none: which bucket a reading belongs to was decided before.
// Bounds  80 bytes and the device's key; buckets hold one per device that was seen.
// See     docs/ARCHITECTURE.md, "The offset fence".
#pragma once

#include <algorithm>
#include <boost/unordered/unordered_flat_map.hpp>

#include "model/device.h"
#include "model/ids.h"
#include "window/accumulator.h"

namespace culvert {

struct Delta {
  Accumulator aggregate;
  OffsetRange contributions;  // [offset of the first, one past the last); meaningless while the aggregate is empty
  // Each contribution was compared with the item's image before it was folded, so the delta may be merged with that
  // image whatever its range looks like.  False: only the range is known.
  bool checked = false;

  void fold(Offset offset, Micro value) {
    if (aggregate.count == 0) contributions.first = offset;
    contributions.next = offset.next();
    aggregate.fold(value);
  }

  void merge(const Delta& other) {
    if (other.aggregate.count == 0) return;
    if (aggregate.count == 0) {
      *this = other;
      return;
    }
    contributions.first = std::min(contributions.first, other.contributions.first);
    contributions.next = std::max(contributions.next, other.contributions.next);
    aggregate.merge(other.aggregate);
    checked = checked && other.checked;
  }
};

using DeltaMap = boost::unordered_flat_map<DeviceId, Delta, DeviceHash, DeviceEqual>;

}  // namespace culvert
