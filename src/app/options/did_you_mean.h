// SPDX-License-Identifier: Apache-2.0
// The nearest known word to a mistyped one.
//
// Flow    program and options, when a command, option, section or key is not known.
// Owner   free functions.
// Time    none.
// Bounds  O(words * length^2); called once, on the way out.
// See     docs/ARCHITECTURE.md, "Exit codes".
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace culvert {

// Damerau-Levenshtein in its optimal-string-alignment form: insertions, deletions, substitutions and swaps of two
// neighbours each cost 1.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `known` if it is near enough to be meant (a third of the longer word, or `word` begins it), else "".
[[nodiscard]] std::string nearest_word(std::string_view word, std::span<const std::string> known);

// ` (did you mean 'window'?)`, or nothing.
[[nodiscard]] std::string did_you_mean(std::string_view word, std::span<const std::string> known);

}  // namespace culvert
