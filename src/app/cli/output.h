// SPDX-License-Identifier: Apache-2.0
// Data on stdout.
//
// Flow    commands write rows; the log never comes here.
// Owner   the program; one per process.
// Time    none.
// Bounds  buffer_bytes_max before it is written out; a terminal gets every line at once.
// See     docs/ARCHITECTURE.md, "Exit codes".
#pragma once

#include <string>
#include <string_view>

#include "model/result.h"

namespace culvert {

class Output {
 public:
  explicit Output(int descriptor);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() = default;  // does not flush: program.cc does, and looks at the outcome

  // After a failure everything is swallowed: failed() says so, flush() returns the first error.
  void write(std::string_view text);
  void line(std::string_view text);
  [[nodiscard]] Result<void> flush();
  [[nodiscard]] bool failed() const { return failed_; }
  // The reader has gone (`culvert query | head`): not an error worth a message, but a reason to stop.
  [[nodiscard]] bool reader_gone() const { return reader_gone_; }
  [[nodiscard]] bool terminal() const { return terminal_; }

 private:
  void write_out();

  const int descriptor_;
  const bool terminal_;
  std::string buffer_;
  bool failed_ = false;
  bool reader_gone_ = false;
  int error_ = 0;
};

}  // namespace culvert
