// SPDX-License-Identifier: Apache-2.0
// Which part of the log one pipeline has dealt with by itself, in pieces between what the checkpoint covered already.
//
// Flow    PartitionPipeline::fold extends it record by record; a flush takes the pieces and covers the checkpoint with
//         them once every item is stored.
// Owner   PartitionPipeline.
// Time    none.
// Bounds  one piece plus one for each range of the checkpoint (kRangesMost).
// See     docs/ARCHITECTURE.md, "Checkpoints".
#pragma once

#include <optional>
#include <vector>

#include "pipeline/checkpoint.h"

namespace culvert {

// A position, and the running progress as it was there.
struct Mark {
  Offset offset;
  Progress running;
};

// [from.offset, to.offset) was dealt with.  Its progress is the difference of the counts, and the maxima at its end:
// those include everything known below, which makes them right wherever the piece is joined.
struct Piece {
  Mark from;
  Mark to;
  [[nodiscard]] OffsetRange offsets() const { return {from.offset, to.offset}; }
  [[nodiscard]] CoveredRange covered() const;
};

class Coverage {
 public:
  explicit Coverage(Offset read_first) : read_first_(read_first), read_next_(read_first) {}

  [[nodiscard]] Offset read_first() const { return read_first_; }
  [[nodiscard]] Offset read_next() const { return read_next_; }
  [[nodiscard]] const std::vector<Piece>& pieces() const { return pieces_; }
  [[nodiscard]] OffsetRange read_span() const { return {read_first_, read_next_}; }

  // [read_next, next) has been read; the parts `known` covers already are left out.  `before` is the running progress
  // before this step and `after` the one behind it.
  void extend(Offset next, const Checkpoint& known, const Progress& before, const Progress& after);
  // The common case of extend(): nothing of [read_next, next) is covered by anybody.
  void extend_plain(Offset next, const Progress& before) {
    if (pieces_.empty() || pieces_.back().to.offset != read_next_) {
      pieces_.push_back(Piece{{read_next_, before}, {read_next_, before}});
    }
    pieces_.back().to.offset = next;
    read_next_ = next;
  }
  // Writes `running` into the end of the last piece; extend_plain() leaves that to be done once, before pieces are
  // used.
  void settle(const Progress& running);

  // Takes the pieces, or what lies below `until` of them.
  [[nodiscard]] std::vector<Piece> take(const std::optional<Mark>& until);
  // Drops pieces that `known` covers wholly and adds their records to `dropped`; false if one is covered in part.
  [[nodiscard]] static bool drop_covered(std::vector<Piece>& pieces, const Checkpoint& known, std::int64_t& dropped);
  [[nodiscard]] bool drop_covered(const Checkpoint& known, std::int64_t& dropped) {
    return drop_covered(pieces_, known, dropped);
  }

 private:
  void add(Offset first, Offset next, const Progress& before, const Progress& after);

  Offset read_first_;
  Offset read_next_;
  std::vector<Piece> pieces_;  // ascending, disjoint
};

}  // namespace culvert
