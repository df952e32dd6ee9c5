// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "simulation/dynamodb_virtual_table.h"
#include "simulation/run_seeds.h"

namespace culvert::simulation {
namespace {

TEST(DynamoDbSimulation, EverySeedEndsWithTheOraclesTable) {
  RunOptions options;
  options.table = dynamodb_virtual_table;
  run_seeds(CULVERT_SIMULATION_SEEDS, options, "simulation_dynamodb_test");
}

}  // namespace
}  // namespace culvert::simulation
