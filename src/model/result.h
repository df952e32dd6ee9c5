// SPDX-License-Identifier: Apache-2.0
// Result<T>: a value, or an Error that names the thing and the remedy.
//
// Flow    returned by everything that talks to the environment, up to the command that decides about retry and exit.
// Owner   the caller.
// Time    none.
// Bounds  none of its own.
// See     docs/ARCHITECTURE.md, "Three kinds of failure" and "Exit codes".
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "model/check.h"

namespace culvert {

// The kind decides the exit code of a command; the numbers are those of sysexits.h.
enum class ErrorKind : int {
  kUsage = 64,          // the command line is wrong
  kData = 65,           // the data or the table contradict what was asked: definition, generation, verification
  kUnavailable = 69,    // a broker, table or other service cannot be reached or does not answer
  kInternal = 70,       // a bug that could still be reported in order
  kIo = 74,             // disk full, read-only file, I/O error
  kTryAgain = 75,       // passing condition, nothing was changed
  kPermission = 77,     // authentication or authorisation was refused
  kConfiguration = 78,  // options or files contradict each other or cannot be used
};

struct Error {
  ErrorKind kind = ErrorKind::kInternal;
  bool retriable = false;  // true: the same call may succeed later without anybody changing anything
  std::string message;     // what failed, on what, what to do

  [[nodiscard]] static Error retriable_error(ErrorKind kind, std::string message) {
    return Error{kind, true, std::move(message)};
  }
  [[nodiscard]] static Error fatal(ErrorKind kind, std::string message) {
    return Error{kind, false, std::move(message)};
  }
  // The same error with `context: ` before its message.
  [[nodiscard]] Error within(std::string_view context) const;
};

[[nodiscard]] constexpr int exit_code(ErrorKind kind) { return static_cast<int>(kind); }

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  [[nodiscard]] T& value() & { return check_ok(), std::get<0>(state_); }
  [[nodiscard]] const T& value() const& { return check_ok(), std::get<0>(state_); }
  [[nodiscard]] T&& value() && { return check_ok(), std::get<0>(std::move(state_)); }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return value(); }
  [[nodiscard]] T&& operator*() && { return std::move(*this).value(); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &value(); }

  [[nodiscard]] const Error& error() const {
    CULVERT_CHECK(!ok(), "error() of a Result that holds a value");
    return std::get<1>(state_);
  }

 private:
  void check_ok() const { CULVERT_CHECK(ok(), std::get<1>(state_).message); }

  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  [[nodiscard]] const Error& error() const {
    CULVERT_CHECK(!ok(), "error() of a Result that succeeded");
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace culvert
