// SPDX-License-Identifier: Apache-2.0
// Canonical requests of SigV4: the same for every order of the same headers and query, one line for each of them, and
// nothing of what was put in can add a line.
//
// Flow    lines `method`, `path?query`, headers, body -> canonical_request().
// Owner   libFuzzer, or replay_main.cc.
// Time    none.
// Bounds  32 headers.
// See     AWS, "Create a signed AWS API request".
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/aws/digest.h"
#include "adapters/aws/sigv4.h"
#include "model/check.h"

namespace culvert::aws {
namespace {

std::string_view take_line(std::string_view& text) {
  const auto end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

// A header as the HTTP client lets it pass: it refuses control characters.
bool passes(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

bool has(const std::vector<http::Header>& headers, std::string_view name) {
  return http::find_header(headers, name) != nullptr;
}

void check(std::string_view text) {
  const std::string_view method = take_line(text);
  const std::string_view target = take_line(text);
  const std::string_view path = target.substr(0, target.find('?'));
  const std::string_view query_text = target.substr(std::min(path.size() + 1, target.size()));
  if (!passes(method) || !passes(path)) return;
  std::vector<http::Header> headers;
  while (headers.size() < 32) {
    const std::string_view line = take_line(text);
    const auto colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) break;
    const std::string_view name = line.substr(0, colon);
    // Two of one name are joined in their order, so order matters there.
    if (!passes(line) || name.find_first_of(" ;") != std::string_view::npos || has(headers, name)) continue;
    headers.push_back({std::string(name), std::string(line.substr(colon + 1))});
  }
  const std::string hash = hex(sha256(text));
  QueryPairs query = parse_query(query_text);
  const CanonicalRequest one = canonical_request({method, path, query, headers, hash});

  std::reverse(headers.begin(), headers.end());
  std::reverse(query.begin(), query.end());
  const CanonicalRequest other = canonical_request({method, path, query, headers, hash});
  CULVERT_CHECK(one.text == other.text && one.signed_headers == other.signed_headers, "order matters");
  // Method, path, query, each header, an empty line, names, hash.
  const auto lines = static_cast<std::size_t>(std::count(one.text.begin(), one.text.end(), '\n')) + 1;
  CULVERT_CHECK(lines == 6 + headers.size(), one.text);
  CULVERT_CHECK(one.text.ends_with("\n" + one.signed_headers + "\n" + hash), one.text);

  // What is encoded comes back.
  std::string encoded;
  for (const auto& [name, value] : query) {
    encoded += (encoded.empty() ? "" : "&") + uri_encode(name) + "=" + uri_encode(value);
  }
  if (!query.empty()) CULVERT_CHECK(parse_query(encoded) == query, encoded);
}

}  // namespace
}  // namespace culvert::aws

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(data, data + size);
  culvert::aws::check(text);
  return 0;
}
