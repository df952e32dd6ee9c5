// SPDX-License-Identifier: Apache-2.0
// The hops at the table: is it there, is it ours, can it be read and written.
//
// Flow    TableSpec -> [DoctorTable] -> Finding; the checkpoints it read go to the position hop.
// Owner   the command, on one thread.
// Time    calls are bounded by --timeout.
// Bounds  reads the definition and the checkpoints; writes nothing.
// See     sqlite_table.h and dynamodb_table.h: check_writable().
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "adapters/clock/clock.h"
#include "app/cli/option_groups.h"
#include "app/doctor/hops.h"
#include "pipeline/checkpoint.h"

namespace culvert {

class DoctorTable {
 public:
  // `wanted`: the definition of the options, if any of them was given.
  DoctorTable(TableSpec spec, std::optional<Definition> wanted, Millis timeout, const Clock& clock);
  ~DoctorTable();

  Finding look();
  Finding write();
  [[nodiscard]] const std::vector<PartitionCheckpoint>& checkpoints() const { return checkpoints_; }

 private:
  Finding look_at_file();
  Finding write_to_file();
  Finding look_at_tables();
  Finding write_to_tables();
  Finding described(const Definition& definition);

  struct Tables;  // DynamoDB's, opened by look()
  const TableSpec spec_;
  const std::optional<Definition> wanted_;
  const Millis timeout_;
  const Clock& clock_;
  std::unique_ptr<Tables> tables_;
  std::vector<PartitionCheckpoint> checkpoints_;
};

}  // namespace culvert
