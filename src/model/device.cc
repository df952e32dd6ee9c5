// SPDX-License-Identifier: Apache-2.0
#include "model/device.h"

#include <bit>
#include <charconv>
#include <cstring>
#include <utility>

namespace culvert {

std::uint64_t DeviceHash::hash_text(std::string_view text, std::uint64_t salt) noexcept {
  std::uint64_t state = salt ^ (text.size() * 0xa0761d6478bd642fULL);
  while (text.size() > 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), 8);
    state = mix(state ^ word, 0xe7037ed1a0b428dbULL);
    text.remove_prefix(8);
  }
  std::uint64_t tail = 0;
  std::memcpy(&tail, text.data(), text.size());
  return mix(state ^ tail, 0x8ebc6af09c88c6e3ULL);
}

std::string DeviceRef::to_text() const {
  return type() == KeyType::kNumber ? std::to_string(number_) : std::string(text_);
}

DeviceId::DeviceId(const DeviceRef& ref) {
  if (ref.type() == KeyType::kNumber) {
    bits_ = static_cast<std::uint64_t>(ref.number());
  } else {
    adopt(ref.text());
  }
}

DeviceId::DeviceId(DeviceId&& other) noexcept
    : bits_(std::exchange(other.bits_, 0)), size_(std::exchange(other.size_, 0)) {}

DeviceId& DeviceId::operator=(const DeviceId& other) {
  if (this != &other) *this = DeviceId(other);
  return *this;
}

DeviceId& DeviceId::operator=(DeviceId&& other) noexcept {
  if (this == &other) return *this;
  release();
  bits_ = std::exchange(other.bits_, 0);
  size_ = std::exchange(other.size_, 0);
  return *this;
}

void DeviceId::adopt(std::string_view text) {
  CULVERT_CHECK(!text.empty() && text.size() <= kDeviceBytesMost, "device text of a length that decoding refuses");
  char* copy = new char[text.size()];
  std::memcpy(copy, text.data(), text.size());
  bits_ = std::bit_cast<std::uint64_t>(copy);
  size_ = static_cast<std::uint32_t>(text.size());
}

void DeviceId::release() noexcept {
  if (size_ != 0) delete[] std::bit_cast<char*>(bits_);
  size_ = 0;
}

std::optional<std::int64_t> DeviceId::parse_number(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (std::to_string(number) != text) return std::nullopt;
  return number;
}

}  // namespace culvert
