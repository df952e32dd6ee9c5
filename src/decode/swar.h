// SPDX-License-Identifier: Apache-2.0
// Eight bytes at a time: the tests and conversions on text that the hot path is made of.
//
// Flow    timestamp, json_scanner, json_shape use it; nobody else.
// Owner   none: free functions.
// Time    none.
// Bounds  every function says which bytes it reads.
// See     docs/ARCHITECTURE.md, "Decoding".  In a loaded word the first byte of the text is the lowest byte.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace culvert::swar {

static_assert(std::endian::native == std::endian::little, "load8 needs a byte swap on this machine");

inline constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
inline constexpr std::uint64_t kTops = 0x8080808080808080ULL;

// Reads exactly eight bytes.
inline std::uint64_t load8(const char* at) {
  std::uint64_t word = 0;
  std::memcpy(&word, at, 8);
  return word;
}

// The word that load8() makes of these eight characters.
inline constexpr std::uint64_t word(const char (&text)[9]) {
  std::uint64_t made = 0;
  for (std::size_t i = 8; i-- > 0;) made = made << 8 | static_cast<unsigned char>(text[i]);
  return made;
}

inline constexpr std::uint64_t repeat(char c) { return kOnes * static_cast<unsigned char>(c); }

// Number of bytes before the lowest byte whose top bit is set in `tops`; 8 if there is none.
inline std::size_t bytes_before(std::uint64_t tops) { return static_cast<std::size_t>(std::countr_zero(tops)) / 8; }

// Top bit of each byte that is not a decimal digit; `values` is the word XORed with "00000000".  A byte of 0x80 or more
// may carry into its neighbour above, so only the lowest bit set is to be trusted, and none set is exact.
inline std::uint64_t non_digits(std::uint64_t values) { return (values | (values + kOnes * 0x76)) & kTops; }

// The first `count` (1 to 8) digits as a number; `values` as above, whatever follows them is ignored.
inline std::uint32_t digits_value(std::uint64_t values, std::size_t count) {
  values <<= 8 * (8 - count);  // leading zeros come in at the text's front
  values = (values * 10 + (values >> 8)) & 0x00ff00ff00ff00ffULL;
  values = (values * 100 + (values >> 16)) & 0x0000ffff0000ffffULL;
  return static_cast<std::uint32_t>(values * 10000 + (values >> 32));
}

// As bytes_before, in bits plus seven: where the lowest top bit set stands.  `tops` must not be zero.
inline std::size_t top_bit(std::uint64_t tops) { return static_cast<std::size_t>(__builtin_ctzll(tops)); }

// As digits_value, for the digits before the byte whose top bit is bit `end`, of which there must be at least one.
inline std::uint32_t digits_value_before(std::uint64_t values, std::size_t end) {
  values <<= 71 - end;
  values = (values * 10 + (values >> 8)) & 0x00ff00ff00ff00ffULL;
  values = (values * 100 + (values >> 16)) & 0x0000ffff0000ffffULL;
  return static_cast<std::uint32_t>(values * 10000 + (values >> 32));
}

// Top bit of each byte that ends a run of plain string text: a quote, a backslash, a control byte or one of 0x80 or
// more.  As above, only the lowest bit set is to be trusted.
inline std::uint64_t non_plain(std::uint64_t word) {
  const std::uint64_t quote = word ^ repeat('"');
  const std::uint64_t backslash = word ^ repeat('\\');
  return ((quote - kOnes) | (backslash - kOnes) | (word - kOnes * 0x20) | word) & kTops;
}

}  // namespace culvert::swar
