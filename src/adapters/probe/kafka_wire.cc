// SPDX-License-Identifier: Apache-2.0
#include "adapters/probe/kafka_wire.h"

#include <fmt/format.h>

#include <array>

namespace culvert::probe {

namespace {

constexpr std::string_view kClientId = "culvert-doctor";
constexpr std::size_t kApisMost = 1'000;
constexpr std::size_t kMechanismsMost = 64;

class Writer {
 public:
  void i16(std::int16_t value) { number(static_cast<std::uint64_t>(value), 2); }
  void i32(std::int32_t value) { number(static_cast<std::uint64_t>(value), 4); }
  void text(std::string_view value) {
    i16(static_cast<std::int16_t>(value.size()));
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  // The size of what is there, then what is there.
  [[nodiscard]] std::vector<std::uint8_t> frame() && {
    Writer sized;
    sized.i32(static_cast<std::int32_t>(bytes_.size()));
    sized.bytes_.insert(sized.bytes_.end(), bytes_.begin(), bytes_.end());
    return std::move(sized.bytes_);
  }

 private:
  void number(std::uint64_t value, int bytes) {
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
      bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
  }
  std::vector<std::uint8_t> bytes_;
};

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  bool i16(std::int16_t& value) {
    std::uint32_t raw = 0;
    if (!number(raw, 2)) return false;
    value = static_cast<std::int16_t>(raw);
    return true;
  }
  bool i32(std::int32_t& value) {
    std::uint32_t raw = 0;
    if (!number(raw, 4)) return false;
    value = static_cast<std::int32_t>(raw);
    return true;
  }
  bool text(std::string& value) {
    std::int16_t length = 0;
    if (!i16(length) || length < 0 || bytes_.size() < static_cast<std::size_t>(length)) return false;
    value.assign(bytes_.begin(), bytes_.begin() + length);
    bytes_ = bytes_.subspan(static_cast<std::size_t>(length));
    return true;
  }
  // An array's count; each element takes at least two bytes.
  bool count(std::size_t& value, std::size_t most) {
    std::int32_t raw = 0;
    if (!i32(raw) || raw < 0 || static_cast<std::size_t>(raw) > most) return false;
    value = static_cast<std::size_t>(raw);
    return true;
  }

 private:
  bool number(std::uint32_t& value, std::size_t bytes) {
    if (bytes_.size() < bytes) return false;
    value = 0;
    for (std::size_t i = 0; i < bytes; ++i) value = value << 8 | bytes_[i];
    bytes_ = bytes_.subspan(bytes);
    return true;
  }
  std::span<const std::uint8_t> bytes_;
};

Writer request(std::int16_t api, std::int16_t version, std::int32_t correlation) {
  Writer writer;
  writer.i16(api);
  writer.i16(version);
  writer.i32(correlation);
  writer.text(kClientId);
  return writer;
}

// Fetch's newest version grew with these releases.
struct FetchOfRelease {
  std::int16_t version;
  std::string_view release;
};
constexpr std::array kFetchReleases{FetchOfRelease{11, "2.3"}, FetchOfRelease{12, "2.7"}, FetchOfRelease{13, "3.1"},
                                    FetchOfRelease{15, "3.5"}, FetchOfRelease{16, "3.7"}, FetchOfRelease{17, "3.9"},
                                    FetchOfRelease{18, "4.1"}};

}  // namespace

std::vector<std::uint8_t> api_versions_request(std::int32_t correlation) {
  return request(kApiVersions, 0, correlation).frame();
}

std::vector<std::uint8_t> sasl_handshake_request(std::int32_t correlation, std::string_view mechanism) {
  Writer writer = request(kApiSaslHandshake, 1, correlation);
  writer.text(mechanism);
  return std::move(writer).frame();
}

std::optional<std::size_t> frame_bytes(std::span<const std::uint8_t, 4> head) {
  Reader reader{head};
  std::int32_t size = 0;
  if (!reader.i32(size) || size < 4 || static_cast<std::size_t>(size) > kReplyBytesMost) return std::nullopt;
  return static_cast<std::size_t>(size);
}

std::optional<ApiVersionsReply> parse_api_versions(std::span<const std::uint8_t> body, std::int32_t correlation) {
  Reader reader{body};
  std::int32_t replied = 0;
  ApiVersionsReply reply;
  std::size_t count = 0;
  if (!reader.i32(replied) || replied != correlation || !reader.i16(reply.error) || !reader.count(count, kApisMost)) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < count; ++i) {
    std::int16_t api = 0;
    ApiRange range;
    if (!reader.i16(api) || !reader.i16(range.first) || !reader.i16(range.last)) return std::nullopt;
    reply.ranges[api] = range;
  }
  return reply;
}

std::optional<SaslHandshakeReply> parse_sasl_handshake(std::span<const std::uint8_t> body, std::int32_t correlation) {
  Reader reader{body};
  std::int32_t replied = 0;
  SaslHandshakeReply reply;
  std::size_t count = 0;
  if (!reader.i32(replied) || replied != correlation || !reader.i16(reply.error) ||
      !reader.count(count, kMechanismsMost)) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!reader.text(reply.mechanisms.emplace_back())) return std::nullopt;
  }
  return reply;
}

std::string kafka_release(const ApiVersionsReply& reply) {
  const auto fetch = reply.ranges.find(kApiFetch);
  if (fetch == reply.ranges.end()) return "a Kafka without Fetch";
  const std::int16_t last = fetch->second.last;
  if (last < kFetchReleases.front().version) return fmt::format("Kafka before {}", kFetchReleases.front().release);
  std::size_t at = 0;
  while (at + 1 < kFetchReleases.size() && kFetchReleases.at(at + 1).version <= last) ++at;
  // 4.0 took the oldest versions of Fetch away without a new one.
  const bool four = fetch->second.first >= 4;
  if (four && kFetchReleases.at(at).version <= 17) return "Kafka 4.0";
  if (at + 1 == kFetchReleases.size()) return fmt::format("Kafka {} or later", kFetchReleases.at(at).release);
  return fmt::format("Kafka {} or later, before {}", kFetchReleases.at(at).release,
                     last == 17 ? "4.0" : kFetchReleases.at(at + 1).release);
}

bool knows_topic_ids(const ApiVersionsReply& reply) {
  constexpr std::int16_t kMetadataWithIds = 10;
  const auto metadata = reply.ranges.find(kApiMetadata);
  return metadata != reply.ranges.end() && metadata->second.last >= kMetadataWithIds;
}

}  // namespace culvert::probe
