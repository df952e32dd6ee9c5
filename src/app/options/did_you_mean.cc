// SPDX-License-Identifier: Apache-2.0
#include "app/options/did_you_mean.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace culvert {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  // Three rows are enough: a swap of neighbours looks two rows back.
  std::vector<std::size_t> two_back(b.size() + 1);
  std::vector<std::size_t> back(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) back[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t substitution = back[j - 1] + (a[i - 1] == b[j - 1] ? 0U : 1U);
      row[j] = std::min({back[j] + 1, row[j - 1] + 1, substitution});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], two_back[j - 2] + 1);
    }
    std::swap(two_back, back);
    std::swap(back, row);
  }
  return back[b.size()];
}

std::string nearest_word(std::string_view word, std::span<const std::string> known) {
  const std::string* best = nullptr;
  std::size_t best_distance = 0;
  for (const std::string& candidate : known) {
    const bool begins = word.size() >= 3 && std::string_view(candidate).substr(0, word.size()) == word;
    const std::size_t distance = begins ? 1 : edit_distance(word, candidate);
    const std::size_t distance_most = std::max<std::size_t>(1, std::max(word.size(), candidate.size()) / 3);
    if (distance > distance_most || distance >= candidate.size()) continue;
    if (best == nullptr || distance < best_distance) {
      best = &candidate;
      best_distance = distance;
    }
  }
  return best == nullptr ? std::string() : *best;
}

std::string did_you_mean(std::string_view word, std::span<const std::string> known) {
  const std::string nearest = nearest_word(word, known);
  return nearest.empty() ? std::string() : fmt::format(" (did you mean '{}'?)", nearest);
}

}  // namespace culvert
