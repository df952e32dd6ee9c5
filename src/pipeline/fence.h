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
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/boxed.h"
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
  [[nodiscard]] std::span<const OffsetRange> holes() const {  // ascending, disjoint, none of them empty
    return holes_ ? std::span<const OffsetRange>(*holes_) : std::span<const OffsetRange>();
  }
  friend bool operator==(const Fence&, const Fence&) = default;

 private:
  Offset next_{0};
  Boxed<std::vector<OffsetRange>> holes_;  // absent rather than empty
};

// "<topic>@<generation>/<partition>".  Copies share one text, since every item of a partition bears it.
class FenceName {
 public:
  FenceName() = default;
  explicit FenceName(std::string_view text) : text_(std::make_shared<const std::string>(text)) {}
  [[nodiscard]] std::string_view text() const { return text_ ? std::string_view(*text_) : std::string_view(); }
  friend bool operator==(const FenceName& a, const FenceName& b) { return a.text_ == b.text_ || a.text() == b.text(); }

 private:
  std::shared_ptr<const std::string> text_;
};

// All fences of an item, ordered by name.  Nearly always exactly one without holes, which takes nothing from the heap:
// a process holds several of these for each open window of each device.
class Fences {
 public:
  struct Entry {
    FenceName name;
    Fence fence;
    friend bool operator==(const Entry&, const Entry&) = default;
  };

  // The fence of that name; an absent one is the empty fence (nothing folded).
  [[nodiscard]] const Fence& at(std::string_view name) const;
  void set(const FenceName& name, Fence fence);
  void set(std::string_view name, Fence fence) { set(FenceName{name}, std::move(fence)); }
  // The entry of that name, if there is one, bears this very name from now on.  For what was read from a table.
  void share(const FenceName& name);
  [[nodiscard]] bool empty() const { return entries().empty(); }
  [[nodiscard]] std::span<const Entry> entries() const {
    if (several_) return *several_;
    return {&only_, only_.name == FenceName{} ? 0U : 1U};
  }
  // Held outside of the object, names not counted.
  [[nodiscard]] std::size_t memory_bytes() const;
  friend bool operator==(const Fences&, const Fences&) = default;

 private:
  Entry only_;                         // without a name while there is none, or while there are several
  Boxed<std::vector<Entry>> several_;  // two or more
};

// Canonical text, used where a table stores fences as one value and compares them byte for byte:
// `topic@1/0:1234` or `topic@1/0:1234[10-20,30-31] topic@1/1:7`; names are percent-encoded, holes are half-open.
[[nodiscard]] std::string fences_text(const Fences& fences);
[[nodiscard]] Result<Fences> parse_fences(std::string_view text);

}  // namespace culvert
