// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/request_ids.h"

#include <fmt/format.h>

#include <random>

namespace culvert::lambda {

namespace {

std::uint64_t random_bits() {
  thread_local std::mt19937_64 random{(std::uint64_t{std::random_device{}()} << 32U) | std::random_device{}()};
  return random();
}

}  // namespace

std::string random_request_id() {
  const std::uint64_t high = (random_bits() & ~0xF000ULL) | 0x4000ULL;               // version 4
  const std::uint64_t low = (random_bits() & ~(0xC0ULL << 56U)) | (0x80ULL << 56U);  // variant 1
  return fmt::format("{:08x}-{:04x}-{:04x}-{:04x}-{:012x}", high >> 32U, (high >> 16U) & 0xFFFFU, high & 0xFFFFU,
                     low >> 48U, low & 0xFFFFFFFFFFFFULL);
}

std::string random_trace_id(std::int64_t epoch_seconds) {
  return fmt::format("Root=1-{:08x}-{:08x}{:016x};Parent={:016x};Sampled=0", epoch_seconds & 0xFFFFFFFF,
                     random_bits() & 0xFFFFFFFFU, random_bits(), random_bits());
}

}  // namespace culvert::lambda
