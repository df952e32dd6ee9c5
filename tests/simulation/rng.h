// SPDX-License-Identifier: Apache-2.0
// The one source of chance of a simulated run: the same seed gives the same run on every machine.
//
// Flow    seed -> [Rng] -> world, faults, interleaving.
// Owner   Simulation holds one; everything draws from it in the order of the run.
// Time    none.
// Bounds  8 bytes.
// See     splitmix64, public domain: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

namespace culvert::simulation {

class Rng {
 public:
  explicit Rng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  // In [0, n); n > 0.
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  // In [first, last].
  std::int64_t between(std::int64_t first, std::int64_t last) {
    return first + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(last - first) + 1));
  }
  bool chance(int percent) { return below(100) < static_cast<std::uint64_t>(percent); }
  std::int64_t one_of(std::initializer_list<std::int64_t> values) {
    return values.begin()[static_cast<std::size_t>(below(values.size()))];
  }
  template <class Container>
  auto& pick(Container& from) {
    return from[static_cast<std::size_t>(below(from.size()))];
  }

 private:
  std::uint64_t state_;
};

}  // namespace culvert::simulation
