// SPDX-License-Identifier: Apache-2.0
// The dead letters that came last, for looking at.
//
// Flow    flushes, or a look into a table -> [DeadLetterLog] -> the page's list.
// Owner   Board.  Any thread.
// Time    none of its own.
// Bounds  letters_most letters, of each at most bytes_most of key and value.
// See     docs/formats.md: dead letters; `culvert dead-letters` shows all of them, whole.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "model/record.h"

namespace culvert::dashboard {

struct ShownLetter {
  DeadLetter letter;  // key and value cut
  std::optional<std::size_t> key_bytes;
  std::optional<std::size_t> value_bytes;
};

class DeadLetterLog {
 public:
  static constexpr std::size_t kLettersMost = 500;
  static constexpr std::size_t kBytesMost = 2'048;

  void add(const DeadLetter& letter);
  void clear();
  // Newest first, at most `most`.
  [[nodiscard]] std::vector<ShownLetter> newest(std::optional<DeadLetterReason> reason, std::size_t most) const;

 private:
  mutable std::mutex mutex_;
  std::deque<ShownLetter> letters_;
};

}  // namespace culvert::dashboard
