// SPDX-License-Identifier: Apache-2.0
// The offset fence: which records of one partition an item holds.
//
// Flow    an item's image carries one fence per partition that contributed; a delta is compared with it before every
//         put, and the put stores the advanced fence together with the aggregate, in one conditional write.
// Owner   value, part of an Image.
// Time    none: offsets only, so no clock and no batch cut can change what is folded.
// Bounds  at most kHolesMost holes; advance() refuses to make more.
// See     docs/ARCHITECTURE.md, "The offset fence".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/ids.h"
#include "model/result.h"

namespace culvert {

inline constexpr std::size_t kHolesMost = 64;

// How a delta with contributions in [first, next) relates to a fence.
enum class FenceFit {
  kNew,       // none of the range is folded: the delta may be merged
  kCovered,   // all of the range is folded: nothing to do
  kStraddles  // some of it may be: a pre-summed delta cannot be split, it must be folded again record by record
};

// What a reader of the log has read contiguously, and below what everything is known to be folded everywhere.
struct ReadSpan {
  Offset prefix;  // the checkpoint's `next` at the start: every record below it is in every item it belongs to
  OffsetRange read;
};

class Fence {
 public:
  Fence() = default;
  Fence(Offset next, std::vector<OffsetRange> holes);

  // Folded: exactly the offsets below next() that lie in no hole.
  [[nodiscard]] bool covers(Offset offset) const;
  [[nodiscard]] FenceFit fit(const OffsetRange& contributions) const;

  // The fence after merging a delta whose last contribution is contributions.next - 1.  Holes inside what was read
  // are closed, because everything read was folded; a gap between what is known and what was read becomes a hole.  A
  // hole means "not known to be folded": one too many is harmless, one too few would lose a redriven record.
  // Error (kData, fatal): more than kHolesMost holes.
  [[nodiscard]] Result<Fence> advance(const OffsetRange& contributions, const ReadSpan& span) const;

  [[nodiscard]] Offset next() const { return next_; }
  [[nodiscard]] const std::vector<OffsetRange>& holes() const { return holes_; }  // ascending, disjoint, not empty
  friend bool operator==(const Fence&, const Fence&) = default;

 private:
  Offset next_{0};
  std::vector<OffsetRange> holes_;
};

// All fences of an item, ordered by name ("<topic>@<generation>/<partition>").  Nearly always exactly one.
class Fences {
 public:
  // The fence of that name; an absent one is the empty fence (nothing folded).
  [[nodiscard]] const Fence& at(std::string_view name) const;
  void set(std::string_view name, Fence fence);
  [[nodiscard]] bool empty() const { return entries_.empty(); }
  [[nodiscard]] std::size_t memory_bytes() const;

  struct Entry {
    std::string name;
    Fence fence;
    friend bool operator==(const Entry&, const Entry&) = default;
  };
  [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
  friend bool operator==(const Fences&, const Fences&) = default;

 private:
  std::vector<Entry> entries_;
};

// Canonical text, used where a table stores fences as one value and compares them byte for byte:
// `topic@1/0:1234` or `topic@1/0:1234[10-20,30-31] topic@1/1:7`; names are percent-encoded, holes are half-open.
[[nodiscard]] std::string fences_text(const Fences& fences);
[[nodiscard]] Result<Fences> parse_fences(std::string_view text);

}  // namespace culvert
