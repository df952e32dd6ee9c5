// SPDX-License-Identifier: Apache-2.0
// The shared table behind the real DynamoDbTable: its requests, signatures, retries, parsing, over a virtual network.
//
// Flow    DynamoDbTable of each worker -> virtual network with faults -> one DynamoDbStore -> observers.
// Owner   Simulation.
// Time    a clock for each operation, moved by the pauses between its attempts; no thread of control but the caller's.
// Bounds  what the run writes; an operation's attempts end at its deadline of virtual time.
// See     fakes/dynamodb_store.h.
#pragma once

#include <memory>

#include "model/definition.h"
#include "simulation/rng.h"
#include "simulation/virtual_table.h"

namespace culvert::simulation {

[[nodiscard]] std::unique_ptr<VirtualTable> dynamodb_virtual_table(Rng& rng, const Definition& definition);

}  // namespace culvert::simulation
