// SPDX-License-Identifier: Apache-2.0
// Virtual functions and the event source that delivers batches to them.
//
// Flow    log -> lane of a partition -> batch -> FunctionPartition in a fiber -> VirtualTable, call by call.
// Owner   Simulation.
// Time    in order: a batch follows when the one before has succeeded.  Disordered (worlds without late readings only,
//         see docs/semantics.md): halves in reverse, batches discarded and redriven, several at once.
// Bounds  a fiber for each worker.
// See     src/pipeline/function_batch.h.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "pipeline/function_batch.h"
#include "simulation/daemon.h"
#include "simulation/fiber.h"

namespace culvert::simulation {

// Record indexes [first, next) of a partition's log.
struct Batch {
  std::size_t partition = 0;
  std::size_t first = 0;
  std::size_t next = 0;
};

class FunctionWorker {
 public:
  enum class Outcome { kOk, kFailed };

  FunctionWorker(Shared& shared, int number);
  ~FunctionWorker();

  void begin(const Batch& batch, bool awaited);
  // One slice of table work; the outcome once the batch has ended.
  std::optional<Outcome> step();
  void kill();
  [[nodiscard]] bool busy() const { return fiber_.busy(); }
  [[nodiscard]] const Batch& batch() const { return batch_; }
  // False: the event source does not wait for it (it has timed out, or is a duplicate).
  [[nodiscard]] bool awaited() const { return awaited_; }
  void give_up_waiting() { awaited_ = false; }

 private:
  void run();

  Shared& shared_;
  int number_;
  std::map<std::size_t, std::unique_ptr<FunctionPartition>> known_;  // by partition; gone when it is killed
  std::unique_ptr<AggregateTable> table_;
  Batch batch_;
  bool awaited_ = false;
  std::optional<Outcome> outcome_;
  Fiber fiber_;  // last: its task uses all of the above
};

class EventSource {
 public:
  explicit EventSource(Shared& shared);

  // One thing that can happen.
  void step();
  // Ends what runs and delivers every record once more, in order.
  void heal();
  void kill_all();

 private:
  struct Lane {
    std::size_t next = 0;          // first record not yet taken
    std::optional<Batch> current;  // in order: under way or to be tried again
    bool running = false;          // `current` is being tried
    std::deque<Batch> waiting;     // disordered: to be delivered
    std::vector<Batch> discarded;  // disordered: to be redriven some time
  };

  void invoke();
  [[nodiscard]] std::optional<Batch> choose(std::size_t partition, bool& awaited);
  [[nodiscard]] std::optional<Batch> choose_in_order(std::size_t partition, bool& awaited);
  [[nodiscard]] std::optional<Batch> choose_disordered(std::size_t partition);
  [[nodiscard]] Batch cut(std::size_t partition, std::size_t first, std::size_t next_most);
  [[nodiscard]] std::optional<Batch> earlier(std::size_t partition);
  void advance(FunctionWorker& worker);
  void ended(const Batch& batch, bool awaited, FunctionWorker::Outcome outcome);
  void ended_disordered(const Batch& batch, bool ok);
  [[nodiscard]] FunctionWorker* idle_worker();
  [[nodiscard]] FunctionWorker* busy_worker();

  Shared& shared_;
  std::vector<Lane> lanes_;
  std::vector<std::unique_ptr<FunctionWorker>> workers_;
};

}  // namespace culvert::simulation
