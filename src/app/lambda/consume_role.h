// SPDX-License-Identifier: Apache-2.0
// The role `consume`: batches of a Kafka event source mapping into the table.
//
// Flow    Runtime -> payload -> EventReader -> [ConsumeHandler] -> FunctionPartition of each partition -> table.
// Owner   the role makes one handler for each loop; a handler has its own table, hence its own connections and clock of
//         what time is left.
// Time    gives up a margin before Lambda would end the invocation, so that the batch fails in order and comes again.
// Bounds  partitions_at_once_most partitions at a time; connections_most connections over all loops.
// See     docs/operating.md: function.
//
// A record that cannot be used never fails a batch: it becomes a dead letter.  A table that cannot be used always fails
// the whole of it; the response never names single records.
#pragma once

#include <atomic>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include "adapters/dynamodb/dynamodb_table.h"
#include "adapters/lambda/event.h"
#include "adapters/lambda/runtime.h"
#include "app/lambda/role.h"
#include "app/options/definition_options.h"
#include "app/options/table_options.h"
#include "pipeline/function_batch.h"

namespace culvert::function {

// A table as seen by one invocation: no call begins after `give_up` or waits beyond it, and the time in flushes is
// taken.
class TimedTable final : public AggregateTable {
 public:
  TimedTable(dynamodb::DynamoDbTable& table, const Clock& clock) : table_(table), clock_(clock) {}

  void begin(SteadyTime give_up);
  [[nodiscard]] std::int64_t flush_ms() const;

  FlushResult flush(const FlushRequest& request) override;
  Result<std::vector<std::optional<Image>>> load(std::span<const ItemKey> keys) override;
  Result<std::optional<Checkpoint>> load_checkpoint(const StreamPartition& where) override;
  // Once for each table: the definition that it keeps is ours, or is made so.
  [[nodiscard]] Result<void> claim(const Definition& definition);

 private:
  // Error: no time is left.
  [[nodiscard]] Result<void> limit();

  dynamodb::DynamoDbTable& table_;
  const Clock& clock_;
  SteadyTime give_up_;
  std::atomic<std::int64_t> flush_us_{0};
};

// What is remembered of partitions between invocations, those used last: partitions_most, and bytes_most of them all.
class KnownPartitions {
 public:
  using Partition = std::unique_ptr<FunctionPartition>;

  // Null: nothing is known of it, or another thread is at it.
  [[nodiscard]] Partition take(const StreamPartition& where);
  void keep(Partition partition);

 private:
  static constexpr std::size_t kPartitionsMost = 256;
  static constexpr std::size_t kBytesMost = std::size_t{32} << 20;  // a function has 128 MiB at least

  std::mutex mutex_;
  std::list<Partition> partitions_;  // the one used last is first
  std::size_t bytes_ = 0;
};

class ConsumeHandler final : public lambda::Handler {
 public:
  ConsumeHandler(const RoleContext& context, PipelineOptions options, std::int64_t generation,
                 std::unique_ptr<dynamodb::DynamoDbTable> table);

  Result<std::string> handle(const lambda::Invocation& invocation, std::string& payload) override;

 private:
  struct Totals {
    PipelineStats stats;
    std::int64_t retries = 0;
  };

  [[nodiscard]] Result<void> fold_event(const lambda::Invocation& invocation, SteadyTime give_up, Totals& totals);
  [[nodiscard]] Result<PipelineStats> fold_batch(const lambda::EventBatch& batch, SteadyTime give_up,
                                                 std::atomic<std::int64_t>& retries);
  void report(const lambda::Invocation& invocation, const Totals& totals, SteadyTime began, bool failed);

  const Clock& clock_;
  FunctionLog& log_;
  const PipelineOptions options_;
  const std::int64_t generation_;
  std::unique_ptr<dynamodb::DynamoDbTable> table_;
  TimedTable timed_;
  bool claimed_ = false;
  lambda::EventReader reader_;
  KnownPartitions known_;
};

}  // namespace culvert::function
