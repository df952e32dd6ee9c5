// SPDX-License-Identifier: Apache-2.0
// The table that a run's workers share, whichever adapter is in front of it.
//
// Flow    Daemon, FunctionWorker, Redriver -> [VirtualTable] -> observers for the Checker.
// Owner   Simulation.
// Time    what is in flight moves by step(); what is delayed lands when the run says so.
// Bounds  none; it holds what the run writes.
// See     memory_virtual_table.cc: the fake; dynamodb_virtual_table.h: DynamoDbTable over a fake store.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "fakes/memory_table.h"
#include "pipeline/ports.h"

namespace culvert::simulation {

// A flush under way, for a worker that does not block.
class Flushing {
 public:
  Flushing() = default;
  Flushing(const Flushing&) = delete;
  Flushing& operator=(const Flushing&) = delete;
  virtual ~Flushing() = default;

  // Carries out the next piece of work; false: nothing is left, result() is complete.
  virtual bool step() = 0;
  [[nodiscard]] virtual FlushResult& result() = 0;
};

struct TableObservers {
  fakes::ItemObserver item;
  fakes::CheckpointObserver checkpoint;
  fakes::DeadLetterObserver dead_letter;
};

class VirtualTable {
 public:
  VirtualTable() = default;
  VirtualTable(const VirtualTable&) = delete;
  VirtualTable& operator=(const VirtualTable&) = delete;
  virtual ~VirtualTable() = default;

  virtual void watch(TableObservers observers) = 0;
  virtual void set_faults(fakes::FaultPolicy policy) = 0;
  // The next `count` reads fail.
  virtual void fail_reads(int count) = 0;
  virtual void release_delayed() = 0;
  // A mistake on purpose: the checkpoint before the items.
  virtual void write_checkpoint_first() = 0;

  // The request must outlive what is returned.
  [[nodiscard]] virtual std::unique_ptr<Flushing> begin_flush(const FlushRequest& request) = 0;
  // Reads at once, for workers that do not block.
  [[nodiscard]] virtual AggregateTable& at_once() = 0;
  // The table as a worker sees it that blocks: `let_others` is called before each read and write.
  [[nodiscard]] virtual std::unique_ptr<AggregateTable> blocking(std::function<void()> let_others) = 0;
  [[nodiscard]] virtual TableReader& reader() = 0;
};

[[nodiscard]] std::unique_ptr<VirtualTable> memory_virtual_table(fakes::MemoryTable::Shape shape);

}  // namespace culvert::simulation
