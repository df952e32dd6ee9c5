// SPDX-License-Identifier: Apache-2.0
// What the consumer's reports become in the demo: figures, drawings, and the end.
//
// Flow    ConsumeSession's reports, DemoFeed's figures -> [DemoWatch] -> live area or stdout; DemoStop at the end.
// Owner   demo_command.cc; called on the session's thread.
// Time    steady clock.
// Bounds  reads at most 10 000 of the newest items for one drawing.
// See     view.h.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <span>
#include <string>

#include "app/cli/command.h"
#include "app/demo/feed.h"
#include "app/demo/view.h"
#include "app/session/consume_session.h"
#include "pipeline/ports.h"

namespace culvert {

// The consumer's stop: asked for when everything that was sent is in the table.
class DemoStop final : public StopFlag {
 public:
  DemoStop();
  ~DemoStop() override;

  [[nodiscard]] bool requested() const override { return requested_.load(); }
  [[nodiscard]] int descriptor() const override { return descriptor_; }
  void request();

 private:
  int descriptor_;
  std::atomic<bool> requested_{false};
};

// How many records the table holds, by the partitions' checkpoints: their log begins at 0 and has no gaps.  The
// session's own count is less when it lost a partition while a flush was under way, whose answer then finds nobody.
class StoredRecords {
 public:
  void note(std::span<const PartitionReport> partitions);
  [[nodiscard]] std::int64_t total() const;

 private:
  std::map<PartitionId, Offset> next_;
};

class DemoWatch {
 public:
  DemoWatch(CommandContext& context, const DemoFeed& feed, TableReader& reader, std::string table_name, DemoStop& stop);
  DemoWatch(const DemoWatch&) = delete;
  DemoWatch& operator=(const DemoWatch&) = delete;

  void on_report(const ConsumeReport& report);

  [[nodiscard]] const DemoFigures& last() const { return last_; }
  // Why the demo cannot go on: sending failed, or the consumer does not catch up.
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }

 private:
  void note(const ConsumeReport& report);
  void draw();
  void check_end();

  CommandContext& context_;
  const DemoFeed& feed_;
  TableReader& reader_;
  DemoView view_;
  DemoStop& stop_;
  const bool draws_;
  const SteadyTime start_;
  std::int64_t seconds_written_ = -1;
  std::optional<SteadyTime> feed_done_;
  StoredRecords stored_;
  DemoFigures last_;
  std::optional<Error> error_;
};

}  // namespace culvert
