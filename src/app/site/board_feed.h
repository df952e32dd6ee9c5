// SPDX-License-Identifier: Apache-2.0
// From a running consumer to the board that people and monitoring look at.
//
// Flow    ConsumeSession's reports and flushes -> [BoardFeed] -> Board.
// Owner   the command; called on the session's thread.
// Time    rates over the last five seconds; the flush percentile over the last kFlushesKept flushes.
// Bounds  those of the Board; a put costs one look-up.
// See     dashboard/board.h.
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "adapters/clock/clock.h"
#include "app/session/consume_session.h"
#include "dashboard/board.h"

namespace culvert {

class BoardFeed {
 public:
  BoardFeed(dashboard::Board& board, const Definition& definition, const Clock& clock);

  void on_flush(const FlushRequest& request, const FlushResult& result, std::chrono::microseconds took);
  void on_report(const ConsumeReport& report);
  // The run is over: the last figures stay, with these words.
  void finish(std::string note);

 private:
  static constexpr std::size_t kFlushesKept = 512;

  [[nodiscard]] dashboard::Snapshot snapshot(const ConsumeReport& report);
  void judge(const ConsumeReport& report, dashboard::Snapshot& now) const;
  [[nodiscard]] double rate(std::int64_t read);
  [[nodiscard]] std::optional<double> flush_p99_ms() const;
  void put_items(const FlushRequest& request, const FlushResult& result);

  dashboard::Board& board_;
  const Millis out_of_orderness_;
  const Clock& clock_;
  const std::int64_t started_ms_;
  struct ReadAt {
    SteadyTime at;
    std::int64_t read;
  };
  std::deque<ReadAt> reads_;
  std::vector<double> flush_ms_;  // a ring
  std::size_t flush_at_ = 0;
  std::int64_t flush_number_ = 0;
  dashboard::FlushTimes flushes_;
  std::map<std::string, std::int64_t> retries_;
  std::optional<std::string> table_error_;
  ConsumeReport last_;
};

[[nodiscard]] std::int64_t wall_ms(const Clock& clock);

}  // namespace culvert
