// SPDX-License-Identifier: Apache-2.0
// SHA-256, HMAC and the encodings that AWS's signatures are made of.
//
// Flow    sigv4, msk_iam -> [digest] -> OpenSSL.
// Owner   pure functions; one hashing context per thread.
// Time    none.
// Bounds  none of their own.
// See     FIPS 180-4, RFC 2104, RFC 4648.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace culvert::aws {

using Digest = std::array<std::uint8_t, 32>;

[[nodiscard]] Digest sha256(std::string_view data);
[[nodiscard]] Digest hmac_sha256(std::string_view key, std::string_view data);
void append_hex(std::string& out, const Digest& digest);
[[nodiscard]] std::string hex(const Digest& digest);
[[nodiscard]] std::string_view as_text(const Digest& digest);

// Alphabet of RFC 4648 section 5, without padding.
[[nodiscard]] std::string base64url(std::string_view data);

// Percent-encoding as SigV4 demands: all but letters, digits and `-._~`, in upper case; `/` too unless kept.
[[nodiscard]] std::string uri_encode(std::string_view text, bool keep_slash = false);

}  // namespace culvert::aws
