// SPDX-License-Identifier: Apache-2.0
// When Beast's parser must not be asked yet.
//
// Flow    RequestReader, Connection: [awaits_more] before each put().
// Owner   a pure function.
// Time    none.
// Bounds  holds back at most four bytes.
// See     RFC 9112, section 7.1.  Once it has seen the size line `0` of a body's only chunk, Boost 1.81's
//         basic_parser::parse_chunk_header asserts that five bytes are there, which a peer decides.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <cstddef>

namespace culvert::http {

// Nothing is held back for good: wherever a chunked body stands, at least `0 CR LF CR LF` is still to come.
template <bool IsRequest>
[[nodiscard]] bool awaits_more(const boost::beast::http::basic_parser<IsRequest>& parser, std::size_t bytes) {
  constexpr std::size_t kLastChunkBytes = 5;
  return parser.is_header_done() && parser.chunked() && bytes < kLastChunkBytes;
}

}  // namespace culvert::http
