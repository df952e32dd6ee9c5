// SPDX-License-Identifier: Apache-2.0
#include "app/cli/output.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "app/cli/terminal.h"

namespace culvert {

namespace {
constexpr std::size_t kBufferBytesMost = std::size_t{64} * 1024;
}

Output::Output(int descriptor) : descriptor_(descriptor), terminal_(is_terminal(descriptor)) {}

void Output::write(std::string_view text) {
  if (failed_) return;
  buffer_ += text;
  const bool line_on_terminal = terminal_ && text.find('\n') != std::string_view::npos;
  if (line_on_terminal || buffer_.size() >= kBufferBytesMost) write_out();
}

void Output::line(std::string_view text) {
  if (failed_) return;
  buffer_ += text;
  write("\n");
}

void Output::write_out() {
  std::string_view rest = buffer_;
  while (!rest.empty()) {
    const ssize_t written = ::write(descriptor_, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      failed_ = true;
      error_ = errno;
      reader_gone_ = errno == EPIPE;
      break;
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
}

Result<void> Output::flush() {
  if (!failed_) write_out();
  if (!failed_) return {};
  return Error::fatal(ErrorKind::kIo, fmt::format("stdout: cannot be written: {}", std::strerror(error_)));
}

}  // namespace culvert
