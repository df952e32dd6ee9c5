// SPDX-License-Identifier: Apache-2.0
// Looking at a table again and again, for a board without a consumer.
//
// Flow    TableReader, and the log's ends if Kafka is given -> [TableWatch] -> Board.
// Owner   dashboard_command.cc; look() runs on its thread and takes as long as the table does.
// Time    the steady clock says how long a look took; pause() then keeps the share of time spent reading low.
// Bounds  items_most and letters_most for one look; what is beyond is not shown, and the note says so.
// See     docs/operating.md: dashboard.
#pragma once

#include <map>
#include <string>

#include "adapters/clock/clock.h"
#include "adapters/kafka/reader.h"
#include "app/table.h"
#include "dashboard/board.h"

namespace culvert {

struct WatchLimits {
  Millis refresh{2'000};
  std::size_t items_most = 200'000;
  std::size_t letters_most = 200'000;
  int windows_shown = 120;  // of each device, back from the newest event time
};

class TableWatch {
 public:
  // `kafka` may be null.
  TableWatch(ReadableTable& table, kafka::PartitionReader* kafka, WatchLimits limits, dashboard::Board& board,
             const Clock& clock);

  // Reads the table if it is time to, and publishes.  A table that cannot be read is a state, not an end.
  void tick();

 private:
  [[nodiscard]] Result<void> look();
  [[nodiscard]] Result<void> look_at_items(const std::vector<PartitionCheckpoint>& checkpoints);
  [[nodiscard]] Result<void> look_at_letters();
  void take(const std::vector<PartitionCheckpoint>& checkpoints);
  void ask_kafka();

  ReadableTable& table_;
  kafka::PartitionReader* const kafka_;
  const WatchLimits limits_;
  dashboard::Board& board_;
  const Clock& clock_;
  dashboard::Snapshot now_;
  std::map<PartitionId, Offset> log_ends_;
  std::string kafka_note_;
  SteadyTime next_look_{};
  SteadyTime next_kafka_{};
  std::optional<SteadyTime> looked_;
  std::int64_t looks_ = 0;
  bool items_cut_ = false;
};

}  // namespace culvert
