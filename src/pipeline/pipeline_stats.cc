// SPDX-License-Identifier: Apache-2.0
#include "pipeline/pipeline_stats.h"

namespace culvert {

namespace {

// All counters, once for sums and differences.
template <class Each>
void for_each_counter(PipelineStats& a, const PipelineStats& b, Each each) {
  each(a.read, b.read);
  each(a.filtered, b.filtered);
  each(a.generation, b.generation);
  each(a.held, b.held);
  each(a.adopted, b.adopted);
  each(a.durable.records, b.durable.records);
  each(a.durable.folded, b.durable.folded);
  each(a.durable.late, b.durable.late);
  each(a.durable.dead_letters, b.durable.dead_letters);
  each(a.fence_filtered, b.fence_filtered);
  each(a.late_partly, b.late_partly);
  each(a.puts, b.puts);
  each(a.conflicts, b.conflicts);
  each(a.unknown, b.unknown);
  for (std::size_t i = 0; i < a.dead_letters.size(); ++i) each(a.dead_letters.at(i), b.dead_letters.at(i));
}

}  // namespace

void PipelineStats::add(const PipelineStats& other) {
  for_each_counter(*this, other, [](std::int64_t& sum, std::int64_t more) { sum += more; });
}

void PipelineStats::subtract(const PipelineStats& before) {
  for_each_counter(*this, before, [](std::int64_t& rest, std::int64_t less) { rest -= less; });
}

}  // namespace culvert
