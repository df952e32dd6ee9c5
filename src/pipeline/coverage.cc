// SPDX-License-Identifier: Apache-2.0
#include "pipeline/coverage.h"

#include <algorithm>
#include <utility>

#include "model/check.h"

namespace culvert {

CoveredRange Piece::covered() const {
  CoveredRange range{offsets(), to.running};
  Counts& counts = range.progress.counts;
  counts.records -= from.running.counts.records;
  counts.folded -= from.running.counts.folded;
  counts.late -= from.running.counts.late;
  counts.dead_letters -= from.running.counts.dead_letters;
  return range;
}

void Coverage::add(Offset first, Offset next, const Progress& before, const Progress& after) {
  if (next <= first) return;
  if (!pieces_.empty() && pieces_.back().to.offset == first) {
    pieces_.back().to = Mark{next, after};
  } else {
    pieces_.push_back(Piece{{first, before}, {next, after}});
  }
}

void Coverage::extend(Offset next, const Checkpoint& known, const Progress& before, const Progress& after) {
  CULVERT_CHECK(next >= read_next_, "reading went backwards");
  Offset at = std::max(read_next_, std::min(next, known.next));
  for (const CoveredRange& range : known.ranges) {
    if (range.offsets.next <= at || range.offsets.first >= next) continue;
    add(at, range.offsets.first, before, before);  // a gap before the range holds no record
    at = std::min(next, range.offsets.next);
  }
  add(at, next, before, after);
  read_next_ = next;
}

void Coverage::settle(const Progress& running) {
  if (!pieces_.empty() && pieces_.back().to.offset == read_next_) pieces_.back().to.running = running;
}

std::vector<Piece> Coverage::take(const std::optional<Mark>& until) {
  if (!until) return std::exchange(pieces_, {});
  std::vector<Piece> taken;
  std::vector<Piece> rest;
  for (const Piece& piece : pieces_) {
    if (piece.to.offset <= until->offset) {
      taken.push_back(piece);
    } else if (piece.from.offset >= until->offset) {
      rest.push_back(piece);
    } else {
      taken.push_back(Piece{piece.from, *until});
      rest.push_back(Piece{*until, piece.to});
    }
  }
  pieces_ = std::move(rest);
  return taken;
}

bool Coverage::drop_covered(std::vector<Piece>& pieces, const Checkpoint& known, std::int64_t& dropped) {
  bool whole = true;
  const auto drop = [&](const Piece& piece) {
    dropped += piece.covered().progress.counts.records;
    return true;
  };
  const auto covered = [&](const Piece& piece) {
    const OffsetRange offsets = piece.offsets();
    if (offsets.next <= known.next) return drop(piece);
    bool touches = offsets.first < known.next;
    for (const CoveredRange& range : known.ranges) {
      if (range.offsets.contains(offsets)) return drop(piece);
      touches = touches || range.offsets.overlaps(offsets);
    }
    whole = whole && !touches;
    return false;
  };
  pieces.erase(std::remove_if(pieces.begin(), pieces.end(), covered), pieces.end());
  return whole;
}

}  // namespace culvert
