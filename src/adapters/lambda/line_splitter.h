// SPDX-License-Identifier: Apache-2.0
// Lines out of bytes that come in pieces.
//
// Flow    a function's output -> [LineSplitter] -> lines, without their ends.
// Owner   whoever reads the output; one for each stream.
// Time    none.
// Bounds  a line of more than line_bytes_most is handed out in pieces of that length.
// See     function_output.h.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

namespace culvert::lambda {

class LineSplitter {
 public:
  using Sink = std::function<void(std::string_view line)>;

  explicit LineSplitter(std::size_t line_bytes_most = 64 << 10) : line_bytes_most_(line_bytes_most) {}
  void add(std::string_view bytes, const Sink& sink);
  // What stands behind the last line end.
  void finish(const Sink& sink);

 private:
  const std::size_t line_bytes_most_;
  std::string rest_;
};

}  // namespace culvert::lambda
