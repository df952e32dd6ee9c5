// SPDX-License-Identifier: Apache-2.0
// Seeded mistakes: each is a defect that a test must notice.
//
// Flow    the simulation builds the core a second time with CULVERT_MUTANTS, switches on one mistake at a time, and
//         fails unless the checker reports a wrong table.
// Owner   tests/simulation sets active_mutant; product builds have neither the variable nor the branches.
// Time    none.
// Bounds  CULVERT_MUTANT is the constant false in product builds: no code is generated.
// See     docs/ARCHITECTURE.md, "Mistakes the tests must catch".
#pragma once

namespace culvert {

enum class Mutant : int {
  kNone = 0,
  kUnknownIsSuccess = 1,      // take a lost reply for "stored"
  kRetryAddsAgain = 2,        // after a lost reply, merge the delta once more into what is stored now
  kFoldStraddling = 3,        // merge a delta that the fence covers in part
  kNoHoles = 4,               // forget the gap below a batch: a redrive is swallowed
  kCheckpointFirst = 5,       // write the checkpoint before the items
  kOneFenceForAll = 6,        // one scalar fence for all partitions
  kStateByPartition = 7,      // keep a partition's state across a revoke and a new assignment
  kConflictIsOurs = 8,        // after a crash, take the item found for one that does not hold our records yet
  kCommitFirst = 9,           // commit to Kafka before the checkpoint is stored
  kCheckpointBackwards = 10,  // a late writer overwrites a newer checkpoint
  kFloatingPointSum = 11,     // sum in floating point
  kWatermarkFromZero = 12,    // forget the maxima at a restart
  kLaterMaximum = 13,         // store maxima of records above the checkpoint's next
  kRedriveAgain = 14,         // redrive a dead letter into an item that holds it already
  kRedriveEverywhere = 15,    // redrive a late reading into windows that it did not miss, too
};

#ifdef CULVERT_MUTANTS
extern Mutant active_mutant;
#endif

}  // namespace culvert

#ifdef CULVERT_MUTANTS
#define CULVERT_MUTANT(name) (::culvert::active_mutant == ::culvert::Mutant::name)
#else
#define CULVERT_MUTANT(name) false
#endif
