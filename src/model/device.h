// SPDX-License-Identifier: Apache-2.0
// Device identity: an integer or a short text, owned (DeviceId) or borrowed from a record (DeviceRef).
//
// Flow    decode yields DeviceRef; the first reading of a device in a pane makes a DeviceId; tables store it as their
//         hash key of type N or S.
// Owner   DeviceId owns its text; DeviceRef borrows and is valid as long as the record's bytes.
// Time    none.
// Bounds  text of 1 to 256 bytes; 16 bytes for an integer, and the text itself for a string.
// See     docs/semantics.md: readings; docs/formats.md: keys.
#pragma once

#include <bit>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "model/check.h"
#include "model/micro.h"

namespace culvert {

enum class KeyType : std::uint8_t { kNumber, kString };

inline constexpr std::size_t kDeviceBytesMost = 256;

// Exactly one of the two is meaningful: `number` if text.data() is null, `text` otherwise.
class DeviceRef {
 public:
  constexpr DeviceRef() = default;
  constexpr explicit DeviceRef(std::int64_t number) : number_(number) {}
  constexpr explicit DeviceRef(std::string_view text) : text_(text) {}

  [[nodiscard]] constexpr KeyType type() const { return text_.data() == nullptr ? KeyType::kNumber : KeyType::kString; }
  [[nodiscard]] constexpr std::int64_t number() const { return number_; }
  [[nodiscard]] constexpr std::string_view text() const { return text_; }
  // Canonical text of either kind.
  [[nodiscard]] std::string to_text() const;

  friend constexpr bool operator==(const DeviceRef& a, const DeviceRef& b) {
    return a.type() == b.type() && (a.type() == KeyType::kNumber ? a.number_ == b.number_ : a.text_ == b.text_);
  }
  // Numbers before strings, numbers by value, strings by bytes: the order tables and queries use.
  friend constexpr std::strong_ordering operator<=>(const DeviceRef& a, const DeviceRef& b) {
    if (a.type() != b.type()) return a.type() <=> b.type();
    return a.type() == KeyType::kNumber ? a.number_ <=> b.number_ : a.text_ <=> b.text_;
  }

 private:
  std::int64_t number_ = 0;
  std::string_view text_{};
};

class DeviceId {
 public:
  DeviceId() = default;
  explicit DeviceId(std::int64_t number) : bits_(static_cast<std::uint64_t>(number)) {}
  explicit DeviceId(std::string_view text) { adopt(text); }
  explicit DeviceId(const DeviceRef& ref);
  DeviceId(const DeviceId& other) : DeviceId(other.ref()) {}
  DeviceId(DeviceId&& other) noexcept;
  DeviceId& operator=(const DeviceId& other);
  DeviceId& operator=(DeviceId&& other) noexcept;
  ~DeviceId() { release(); }

  [[nodiscard]] DeviceRef ref() const {
    if (size_ == 0) return DeviceRef{static_cast<std::int64_t>(bits_)};
    return DeviceRef{std::string_view{std::bit_cast<const char*>(bits_), size_}};
  }
  [[nodiscard]] KeyType type() const { return size_ == 0 ? KeyType::kNumber : KeyType::kString; }
  [[nodiscard]] std::string to_text() const { return ref().to_text(); }
  // Bytes held outside of the object.
  [[nodiscard]] std::size_t heap_bytes() const { return size_; }

  friend bool operator==(const DeviceId& a, const DeviceId& b) { return a.ref() == b.ref(); }
  friend bool operator==(const DeviceId& a, const DeviceRef& b) {
    if (b.type() == KeyType::kNumber) return a.bits_ == static_cast<std::uint64_t>(b.number()) && a.size_ == 0;
    return a.size_ == b.text().size() && a.ref() == b;
  }
  friend std::strong_ordering operator<=>(const DeviceId& a, const DeviceId& b) { return a.ref() <=> b.ref(); }

  // The canonical decimal text of an int64 ("-0", "+1", "01" are not canonical), or nullopt.
  [[nodiscard]] static std::optional<std::int64_t> parse_number(std::string_view text);

 private:
  void adopt(std::string_view text);
  void release() noexcept;

  std::uint64_t bits_ = 0;  // the number, or a pointer to size_ bytes of text
  std::uint32_t size_ = 0;  // 0: a number
};

// Hash for maps keyed by DeviceId and looked up by DeviceRef.  Salted, because device ids come from outside and a map
// whose collisions can be chosen by a sender can be made slow by him.
struct DeviceHash {
  using is_transparent = void;
  using is_avalanching = void;
  std::uint64_t salt = 0x9e3779b97f4a7c15ULL;

  [[nodiscard]] std::size_t operator()(const DeviceRef& device) const noexcept {
    if (device.type() == KeyType::kString) return hash_text(device.text(), salt);
    return mix(static_cast<std::uint64_t>(device.number()) ^ salt, 0xe7037ed1a0b428dbULL);
  }
  [[nodiscard]] std::size_t operator()(const DeviceId& device) const noexcept { return (*this)(device.ref()); }

 private:
  // Folds a 64x64 -> 128 bit product: one multiplication mixes every input bit into every output bit.
  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    const UInt128 product = static_cast<UInt128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }
  static std::uint64_t hash_text(std::string_view text, std::uint64_t salt) noexcept;
};

struct DeviceEqual {
  using is_transparent = void;
  [[nodiscard]] bool operator()(const DeviceId& a, const DeviceId& b) const noexcept { return a == b; }
  [[nodiscard]] bool operator()(const DeviceRef& a, const DeviceId& b) const noexcept { return b == a; }
  [[nodiscard]] bool operator()(const DeviceId& a, const DeviceRef& b) const noexcept { return a == b; }
};

}  // namespace culvert
