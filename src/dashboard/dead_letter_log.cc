// SPDX-License-Identifier: Apache-2.0
#include "dashboard/dead_letter_log.h"

namespace culvert::dashboard {

namespace {

std::optional<std::size_t> cut(std::optional<std::string>& bytes) {
  if (!bytes) return std::nullopt;
  const std::size_t whole = bytes->size();
  if (whole > DeadLetterLog::kBytesMost) bytes->resize(DeadLetterLog::kBytesMost);
  bytes->shrink_to_fit();
  return whole;
}

}  // namespace

void DeadLetterLog::add(const DeadLetter& letter) {
  ShownLetter shown{letter, std::nullopt, std::nullopt};
  shown.key_bytes = cut(shown.letter.key);
  shown.value_bytes = cut(shown.letter.value);
  const std::lock_guard lock(mutex_);
  if (letters_.size() == kLettersMost) letters_.pop_front();
  letters_.push_back(std::move(shown));
}

void DeadLetterLog::clear() {
  const std::lock_guard lock(mutex_);
  letters_.clear();
}

std::vector<ShownLetter> DeadLetterLog::newest(std::optional<DeadLetterReason> reason, std::size_t most) const {
  const std::lock_guard lock(mutex_);
  std::vector<ShownLetter> found;
  for (auto at = letters_.rbegin(); at != letters_.rend() && found.size() < most; ++at) {
    if (!reason || at->letter.reason == *reason) found.push_back(*at);
  }
  return found;
}

}  // namespace culvert::dashboard
