// SPDX-License-Identifier: Apache-2.0
// Looking at a table again and again, for a board without a consumer.
//
// Flow    TableReader, and the log's ends if Kafka is given -> [TableWatch] -> Board.
// Owner   dashboard_command.cc, whose thread ticks.  The table is read on a thread of its own and Kafka is asked on
//         another, so that the page goes on, and says why, while one of them hangs.
// Time    the steady clock says how long a look took; the pause after it keeps the share of time spent reading low.
// Bounds  items_most and letters_most for one look; what is beyond is not shown, and the note says so.
// See     docs/operating.md: dashboard.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "adapters/clock/clock.h"
#include "adapters/kafka/reader.h"
#include "app/cli/log.h"
#include "app/session/table_worker.h"
#include "app/table/table.h"
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
  using OpenKafka = std::function<Result<std::unique_ptr<kafka::PartitionReader>>()>;

  // `open_kafka` may be null: no lag then.  It is called on another thread, again and again until it succeeds.
  TableWatch(ReadableTable& table, OpenKafka open_kafka, WatchLimits limits, dashboard::Board& board, Log& log,
             const Clock& clock);
  TableWatch(const TableWatch&) = delete;
  TableWatch& operator=(const TableWatch&) = delete;
  ~TableWatch();

  // Begins a look if it is time to, takes what the last one found, and publishes.  A table that cannot be read, or a
  // Kafka that does not answer, is a state and not an end.
  void tick();
  // Waits for the first look, but not long: a big table is shown when it is there.
  void wait_first(Millis most);

 private:
  struct Look;    // what was found in the table
  struct Answer;  // what Kafka said

  void begin_look();
  void begin_asking();
  [[nodiscard]] Result<void> look(Look& found);
  // A checkpoint never goes back, and is never removed: if one was, another table has taken the place of the one shown.
  [[nodiscard]] bool made_anew(const std::vector<PartitionCheckpoint>& checkpoints);
  [[nodiscard]] Result<void> look_at_items(Look& found);
  [[nodiscard]] Result<void> look_at_letters(Look& found);
  [[nodiscard]] Answer ask_kafka();
  void take(const Look& found, const Result<void>& looked);
  void take_checkpoints(const Look& found);
  void take(Answer answer);
  void take_lag();
  void publish();
  [[nodiscard]] std::string note() const;

  ReadableTable& table_;
  const OpenKafka open_kafka_;
  const WatchLimits limits_;
  dashboard::Board& board_;
  Log& log_;
  const Clock& clock_;

  // The ticking thread's.
  dashboard::Snapshot now_;
  std::vector<bool> of_topic_;  // of now_.partitions: a table may hold several topics
  std::map<PartitionId, Offset> log_ends_;
  std::string table_note_;
  std::string kafka_note_;
  SteadyTime next_look_{};
  SteadyTime next_kafka_{};
  SteadyTime look_begun_{};
  std::optional<SteadyTime> looked_;

  // The reading thread's.
  std::int64_t looks_ = 0;
  std::map<StreamPartition, Offset> checkpointed_;  // as of the last look
  bool size_told_ = false;
  std::atomic<std::int64_t> items_read_{0};
  std::atomic<bool> stopping_{false};
  // The asking thread's.
  std::unique_ptr<kafka::PartitionReader> kafka_;

  // Last, so that their threads end before what they use.
  TableWorker reading_;
  TableWorker asking_;
};

}  // namespace culvert
