// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/line_splitter.h"

#include <algorithm>

namespace culvert::lambda {

void LineSplitter::add(std::string_view bytes, const Sink& sink) {
  while (!bytes.empty()) {
    const std::size_t end = std::min(bytes.find('\n'), bytes.size());
    const std::size_t room = line_bytes_most_ - rest_.size();
    const std::size_t taken = std::min(end, room);
    rest_ += bytes.substr(0, taken);
    bytes.remove_prefix(taken);
    const bool line_ends = !bytes.empty() && bytes.front() == '\n';
    if (line_ends) bytes.remove_prefix(1);
    if (!line_ends && rest_.size() < line_bytes_most_) continue;
    sink(rest_);
    rest_.clear();
  }
}

void LineSplitter::finish(const Sink& sink) {
  if (!rest_.empty()) sink(rest_);
  rest_.clear();
}

}  // namespace culvert::lambda
