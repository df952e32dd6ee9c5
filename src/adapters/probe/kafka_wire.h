// SPDX-License-Identifier: Apache-2.0
// The two requests that every Kafka listener answers before a login: which requests it knows, and which logins.
//
// Flow    broker_probe: [encode] -> broker -> [parse] -> what kind of listener it is.
// Owner   pure functions.
// Time    none.
// Bounds  a reply of kReplyBytesMost; at most 1 000 requests and 64 mechanisms of it are read.
// See     Kafka protocol guide: ApiVersions v0, SaslHandshake v1.  Everything else is librdkafka's business; these two
//         are spoken here because it does not tell what they say.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace culvert::probe {

inline constexpr std::size_t kReplyBytesMost = 256 << 10;

struct ApiRange {
  std::int16_t first = 0;
  std::int16_t last = 0;  // inclusive, as the protocol has it
  friend bool operator==(const ApiRange&, const ApiRange&) = default;
};

inline constexpr std::int16_t kApiFetch = 1;
inline constexpr std::int16_t kApiMetadata = 3;
inline constexpr std::int16_t kApiSaslHandshake = 17;
inline constexpr std::int16_t kApiVersions = 18;

struct ApiVersionsReply {
  std::int16_t error = 0;
  std::map<std::int16_t, ApiRange> ranges;
};

// Error codes of SaslHandshake that say what kind of listener it is.
inline constexpr std::int16_t kUnsupportedMechanism = 33;
inline constexpr std::int16_t kNoLoginHere = 34;  // ILLEGAL_SASL_STATE: the listener asks for none

struct SaslHandshakeReply {
  std::int16_t error = 0;
  std::vector<std::string> mechanisms;  // that the listener takes
};

// Whole frames, size included.
[[nodiscard]] std::vector<std::uint8_t> api_versions_request(std::int32_t correlation);
[[nodiscard]] std::vector<std::uint8_t> sasl_handshake_request(std::int32_t correlation, std::string_view mechanism);

// The size that a frame's first four bytes announce; nullopt: no Kafka frame (too long, or negative).
[[nodiscard]] std::optional<std::size_t> frame_bytes(std::span<const std::uint8_t, 4> head);
// Of the bytes behind the size; nullopt: not the reply to that request.
[[nodiscard]] std::optional<ApiVersionsReply> parse_api_versions(std::span<const std::uint8_t> body,
                                                                 std::int32_t correlation);
[[nodiscard]] std::optional<SaslHandshakeReply> parse_sasl_handshake(std::span<const std::uint8_t> body,
                                                                     std::int32_t correlation);

// The release that these ranges fit, for people: `Kafka 4.1 or later`, `Kafka 2.8 to 3.0`.
[[nodiscard]] std::string kafka_release(const ApiVersionsReply& reply);
// Topics have ids from 2.8 on: without one a topic that was made anew cannot be told from the old one.
[[nodiscard]] bool knows_topic_ids(const ApiVersionsReply& reply);

}  // namespace culvert::probe
