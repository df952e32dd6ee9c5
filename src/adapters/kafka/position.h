// SPDX-License-Identifier: Apache-2.0
// Where reading one partition stands, and which records of the client may be delivered there.
//
// Flow    records of librdkafka -> [Position] -> delivered, dropped or fetched again.
// Owner   one per assignment, in Consumer or PartitionReader.
// Time    none.
// Bounds  constant.
// See     consumer.h: seek.  Defends against records of a former fetch that arrive after a seek or a resume: delivering
//         them would skip what lies between, and a skipped record is lost.
#pragma once

#include "model/ids.h"

namespace culvert::kafka {

class Position {
 public:
  enum class Verdict {
    kDeliver,
    kStale,      // below the position, or fetched before the seek: drop it
    kSeekAgain,  // the first record after a seek lies above its target: drop it and seek to next() again
  };

  explicit Position(Offset next) : next_(next) {}

  // Judges the next record that arrived; kDeliver moves the position past it.
  [[nodiscard]] Verdict offer(Offset offset) {
    if (offset < next_) return Verdict::kStale;
    if (offset > next_ && (doubts_left_ != 0 || waiting_)) [[unlikely]]
      return doubt();
    doubts_left_ = 0;
    waiting_ = false;
    next_ = offset.next();
    return Verdict::kDeliver;
  }

  // From here on only the record at `target` is delivered; or, if the log has none there (compaction, transaction
  // markers), the one that comes first after the seek and kDoubts repetitions of it.
  void seek(Offset target) {
    next_ = target;
    doubts_left_ = kDoubts;
    waiting_ = true;
  }
  // The client has carried out a seek to next(): what arrives from here on was fetched after it.
  void seek_done() { waiting_ = false; }
  // The client says that the log holds nothing more below `end`: a gap at its end has no record to be learnt from.
  // Judged as a record there is: after a seek it may be an answer to a fetch of before.  kDeliver moves the position to
  // it.
  [[nodiscard]] Verdict reach_end(Offset end) {
    if (end <= next_) return waiting_ ? Verdict::kStale : Verdict::kDeliver;
    if (doubts_left_ != 0 || waiting_) [[unlikely]]
      return doubt();
    next_ = end;
    return Verdict::kDeliver;
  }

  [[nodiscard]] Offset next() const { return next_; }

 private:
  static constexpr int kDoubts = 2;

  Verdict doubt() {
    if (waiting_) return Verdict::kStale;
    --doubts_left_;
    waiting_ = true;
    return Verdict::kSeekAgain;
  }

  Offset next_;
  int doubts_left_ = 0;
  bool waiting_ = false;  // a seek was asked for and is not done yet
};

}  // namespace culvert::kafka
