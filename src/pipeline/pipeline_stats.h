// SPDX-License-Identifier: Apache-2.0
// What became of the records that a pipeline was given.
//
// Flow    PartitionPipeline counts -> group member, function, redrive add up -> log, metrics, dashboard, summary lines.
// Owner   value.
// Time    none.
// Bounds  none: 64-bit counters.
// See     docs/semantics.md: conservation.
#pragma once

#include <array>
#include <cstdint>

#include "pipeline/checkpoint.h"

namespace culvert {

// Every record is in exactly one of the first groups, at any moment:
// read == filtered + generation + held + adopted + durable.records.
struct PipelineStats {
  std::int64_t read = 0;                        // records given to fold()
  std::int64_t filtered = 0;                    // dealt with before: below the checkpoint's next, or inside its ranges
  std::int64_t generation = 0;                  // of a newer incarnation of the topic: dead letters
  std::int64_t held = 0;                        // folded, late or dead-lettered, but not yet checkpointed
  std::int64_t adopted = 0;                     // of the held ones: another writer's checkpoint covered them first
  Counts durable;                               // checkpointed by this pipeline
  std::int64_t fence_filtered = 0;              // of the folded ones: every window held them already
  std::int64_t late_partly = 0;                 // of the folded ones: late for some of their windows
  std::int64_t puts = 0;                        // item puts stored
  std::int64_t conflicts = 0;                   // conditional puts that found another version
  std::int64_t unknown = 0;                     // put outcomes that were not known
  std::array<std::int64_t, 14> dead_letters{};  // by DeadLetterReason

  void add(const PipelineStats& other);
  // What came to the counters since `before`.
  void subtract(const PipelineStats& before);
  friend bool operator==(const PipelineStats&, const PipelineStats&) = default;
};

}  // namespace culvert
