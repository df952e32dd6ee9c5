// SPDX-License-Identifier: Apache-2.0
// Whatever answers at a broker's port: a reply is read within its limits and its bytes, or not at all.
//
// Flow    bytes -> frame_bytes, parse_api_versions, parse_sasl_handshake -> compared with what the bytes say.
// Owner   libFuzzer, or replay_main.cc.
// Time    none.
// Bounds  none of its own.
// See     adapters/probe/kafka_wire.h.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "adapters/probe/kafka_wire.h"
#include "model/check.h"

namespace {

using Bytes = std::span<const std::uint8_t>;

std::int64_t big_endian(Bytes bytes) {
  std::uint32_t value = 0;
  for (const std::uint8_t byte : bytes) value = value << 8U | byte;
  return static_cast<std::int32_t>(value);
}

void check_versions(Bytes body, std::int32_t correlation) {
  const auto reply = culvert::probe::parse_api_versions(body, correlation);
  if (!reply) return;
  const auto count = static_cast<std::size_t>(big_endian(body.subspan(6, 4)));
  CULVERT_CHECK(body.size() >= 10 + 6 * count && reply->ranges.size() <= count, "more requests than there are bytes");
  const auto names_api = [&](std::int16_t api) {
    for (std::size_t i = 0; i < count; ++i) {
      const Bytes entry = body.subspan(10 + 6 * i, 6);
      if (entry[0] == static_cast<std::uint8_t>(api >> 8) && entry[1] == static_cast<std::uint8_t>(api)) return true;
    }
    return false;
  };
  const auto& ranges = reply->ranges;
  CULVERT_CHECK(std::all_of(ranges.begin(), ranges.end(), [&](const auto& range) { return names_api(range.first); }),
                "a request that no byte names");
  CULVERT_CHECK(culvert::probe::kafka_release(*reply).find("Kafka") != std::string::npos, "a release without a name");
  CULVERT_CHECK(!culvert::probe::knows_topic_ids(*reply) || names_api(culvert::probe::kApiMetadata), "ids of nothing");
}

void check_handshake(Bytes body, std::int32_t correlation) {
  const auto reply = culvert::probe::parse_sasl_handshake(body, correlation);
  if (!reply) return;
  std::size_t bytes = 10;
  for (const std::string& mechanism : reply->mechanisms) bytes += 2 + mechanism.size();
  CULVERT_CHECK(bytes <= body.size() && reply->mechanisms.size() <= 64, "more mechanisms than there are bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Bytes input(data, size);
  if (size < 4) return 0;
  if (const auto bytes = culvert::probe::frame_bytes(input.first<4>())) {
    CULVERT_CHECK(*bytes >= 4 && *bytes <= culvert::probe::kReplyBytesMost, "a frame beyond the limit");
  }
  // With the reply's own number, so that what is behind it is reached; any other one is refused.
  const auto correlation = static_cast<std::int32_t>(big_endian(input.first(4)));
  check_versions(input, correlation);
  check_handshake(input, correlation);
  CULVERT_CHECK(!culvert::probe::parse_api_versions(input, correlation ^ 1), "the reply to another request");
  CULVERT_CHECK(!culvert::probe::parse_sasl_handshake(input, correlation ^ 1), "the reply to another request");
  return 0;
}
