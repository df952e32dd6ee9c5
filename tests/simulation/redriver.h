// SPDX-License-Identifier: Apache-2.0
// A virtual `dead-letters redrive`: a program of a newer version than the workers', which reads more.
//
// Flow    checkpoints and dead letters of the table -> PartitionRedrive in a fiber -> VirtualTable, call by call.
// Owner   Simulation.
// Time    step() lets it do one piece of table work; several may run side by side.
// Bounds  the letters of a run.
// See     src/pipeline/redrive.h.
#pragma once

#include <memory>
#include <optional>

#include "pipeline/redrive.h"
#include "simulation/daemon.h"
#include "simulation/fiber.h"

namespace culvert::simulation {

class Redriver {
 public:
  Redriver(Shared& shared, int number, bool late);
  ~Redriver();

  void begin();
  [[nodiscard]] bool busy() const { return fiber_.busy(); }
  void step();
  void kill();
  // Of the last run that ended well.
  [[nodiscard]] const std::optional<RedriveStats>& done() const { return done_; }

 private:
  void run();
  [[nodiscard]] Result<RedriveStats> redrive(Decoder& decoder);

  Shared& shared_;
  const int number_;
  const bool late_;
  std::unique_ptr<AggregateTable> table_;
  std::optional<RedriveStats> done_;
  Fiber fiber_;  // last: its task uses all of the above
};

}  // namespace culvert::simulation
