// SPDX-License-Identifier: Apache-2.0
// Whatever a client sends, in whatever pieces: the reader ends, stays within its limits, and reads the same however the
// bytes were cut.  The first byte of the input says where.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "adapters/http/request_reader.h"
#include "model/check.h"

namespace {

using culvert::http::RequestReader;

constexpr std::size_t kHeaderMost = 1024;
constexpr std::size_t kBodyMost = 2048;

struct Read {
  RequestReader::State state;
  std::string target;
  std::string body;
  std::size_t headers;
};

Read read(std::string_view bytes, std::size_t piece) {
  RequestReader reader(kHeaderMost, kBodyMost);
  std::string unparsed;
  while (!bytes.empty()) {
    unparsed += bytes.substr(0, piece);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    unparsed.erase(0, reader.feed(unparsed));
    if (reader.state() == RequestReader::State::kComplete || reader.state() == RequestReader::State::kRefused) break;
    CULVERT_CHECK(unparsed.size() <= kHeaderMost + piece, "the reader holds on to more than its limit");
  }
  const auto& request = reader.request();
  CULVERT_CHECK(request.body.size() <= kBodyMost, "a body above the limit");
  if (reader.state() == RequestReader::State::kRefused) {
    CULVERT_CHECK(reader.refusal() >= 400 && reader.refusal() <= 505, "a refusal without a status");
  }
  return {reader.state(), request.target, request.body, request.headers.size()};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Read whole = read(bytes, bytes.size() + 1);
  const Read cut = read(bytes, std::size_t{data[0]} + 1);
  if (whole.state == RequestReader::State::kComplete) {
    CULVERT_CHECK(cut.state == whole.state && cut.target == whole.target && cut.body == whole.body &&
                      cut.headers == whole.headers,
                  "a request that depends on how it was cut");
    const auto parts = culvert::http::parse_target(whole.target);
    CULVERT_CHECK(!parts || parts->path.find('\0') == std::string::npos, "a NUL in a path");
  }
  return 0;
}
