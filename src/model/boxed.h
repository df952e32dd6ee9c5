// SPDX-License-Identifier: Apache-2.0
// What is nearly always absent, in the space of a pointer.
//
// Flow    fences hold their holes, put outcomes what was stored instead: there are hundreds of thousands of them, and
//         nearly none has one.
// Owner   the object that contains it; copied with it.
// Time    none.
// Bounds  8 bytes, and one allocation where there is a value.
// See     docs/operating.md: memory.
#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace culvert {

// As std::optional<T>, but an absent value takes no room for itself.
template <class T>
class Boxed {
 public:
  Boxed() = default;
  // Not explicit, as std::optional's are not.
  Boxed(std::nullopt_t) {}
  Boxed(T value) : value_(std::make_unique<T>(std::move(value))) {}
  Boxed(std::optional<T> value) {
    if (value) *this = *std::move(value);
  }
  Boxed(const Boxed& other) : value_(other ? std::make_unique<T>(*other) : nullptr) {}
  Boxed(Boxed&&) noexcept = default;
  Boxed& operator=(const Boxed& other) { return *this = Boxed(other); }
  Boxed& operator=(Boxed&&) noexcept = default;
  ~Boxed() = default;

  explicit operator bool() const { return value_ != nullptr; }
  [[nodiscard]] T& operator*() & { return *value_; }
  [[nodiscard]] const T& operator*() const& { return *value_; }
  [[nodiscard]] T&& operator*() && { return std::move(*value_); }
  T* operator->() { return value_.get(); }
  const T* operator->() const { return value_.get(); }
  // The value, made by T{} if there is none yet.
  T& make() {
    if (!value_) value_ = std::make_unique<T>();
    return *value_;
  }
  void reset() { value_.reset(); }

  friend bool operator==(const Boxed& a, const Boxed& b) {
    return static_cast<bool>(a) == static_cast<bool>(b) && (!a || *a == *b);
  }
  friend bool operator==(const Boxed& a, const T& b) { return a && *a == b; }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace culvert
