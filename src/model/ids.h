// SPDX-License-Identifier: Apache-2.0
// Strong types for positions in a Kafka log.
//
// Flow    every layer speaks of positions in these types; a bare int64_t never crosses an interface.
// Owner   values.
// Time    none.
// Bounds  8 bytes or less; arithmetic is checked by the ranges Kafka guarantees (offsets are >= 0).
// See     docs/GLOSSARY.md: position, next, log end offset, generation.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace culvert {

template <class Tag, class Rep>
class Strong {
 public:
  using rep = Rep;
  constexpr Strong() = default;
  constexpr explicit Strong(Rep value) : value_(value) {}
  [[nodiscard]] constexpr Rep value() const { return value_; }
  friend constexpr auto operator<=>(Strong, Strong) = default;
  friend constexpr bool operator==(Strong, Strong) = default;

 private:
  Rep value_{};
};

using PartitionId = Strong<struct PartitionTag, std::int32_t>;
// Counts the assignments of one process: the same partition assigned again is another assignment.
using AssignmentId = Strong<struct AssignmentTag, std::uint64_t>;

// A partition as assigned once.  After a revoke the same partition comes back under another assignment, and whatever is
// still on its way for the old one is recognised by it.
struct Claim {
  PartitionId partition{};
  AssignmentId assignment{};
  friend auto operator<=>(const Claim&, const Claim&) = default;
};

// A position in a partition's log.  Ranges are half-open, so the offset stored is always the *next* one.
class Offset : public Strong<struct OffsetTag, std::int64_t> {
 public:
  using Strong::Strong;
  [[nodiscard]] constexpr Offset next() const { return Offset{value() + 1}; }
  friend constexpr std::int64_t operator-(Offset a, Offset b) { return a.value() - b.value(); }
  friend constexpr Offset operator+(Offset a, std::int64_t n) { return Offset{a.value() + n}; }
};

// Half-open: every offset o with first <= o < next.
struct OffsetRange {
  Offset first;
  Offset next;

  [[nodiscard]] constexpr bool contains(Offset offset) const { return first <= offset && offset < next; }
  [[nodiscard]] constexpr bool contains(const OffsetRange& inner) const {
    return first <= inner.first && inner.next <= next;
  }
  [[nodiscard]] constexpr bool overlaps(const OffsetRange& other) const {
    return first < other.next && other.first < next;
  }
  [[nodiscard]] constexpr bool empty() const { return next <= first; }
  friend constexpr auto operator<=>(const OffsetRange&, const OffsetRange&) = default;
};

// One partition of one incarnation of a topic: what a fence, a checkpoint and a dead letter are named after.
struct StreamPartition {
  std::string topic;
  std::int64_t generation = 1;  // operator-set number of the topic's incarnation, >= 1
  PartitionId partition{};

  [[nodiscard]] std::string stream() const { return topic + "@" + std::to_string(generation); }
  // "<topic>@<generation>/<partition>": the fence name and the dead letters' position.
  [[nodiscard]] std::string name() const { return stream() + "/" + std::to_string(partition.value()); }
  friend auto operator<=>(const StreamPartition&, const StreamPartition&) = default;
};

}  // namespace culvert

template <class Tag, class Rep>
struct std::hash<culvert::Strong<Tag, Rep>> {
  std::size_t operator()(culvert::Strong<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value()); }
};
