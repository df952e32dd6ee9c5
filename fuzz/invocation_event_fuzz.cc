// SPDX-License-Identifier: Apache-2.0
// Invocation events: what is taken must be JSON to another parser too, and hold the same records.
//
// Flow    bytes -> EventReader and Boost.JSON -> compared.
// Owner   libFuzzer, or replay_main.cc.
// Time    none.
// Bounds  none of its own.
// See     docs/formats.md: invocation event.
#include <boost/json/error.hpp>
#include <boost/json/parse.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "adapters/lambda/event.h"
#include "model/check.h"

namespace culvert::lambda {
namespace {

namespace json = boost::json;

// Slow and plain, unlike the reader's.
std::string decode_base64(std::string_view text) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  unsigned bits = 0;
  int count = 0;
  for (const char c : text) {
    if (c == '=') break;
    const auto sextet = kAlphabet.find(c);
    CULVERT_CHECK(sextet != std::string_view::npos, "a byte that is not base64 was taken");
    bits = bits << 6U | static_cast<unsigned>(sextet);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    out += static_cast<char>(bits >> static_cast<unsigned>(count) & 0xffU);
  }
  return out;
}

void check_bytes(const std::optional<std::string_view>& taken, const json::object& record, std::string_view name) {
  const json::value* member = record.if_contains(name);
  const bool there = member != nullptr && !member->is_null();
  CULVERT_CHECK(taken.has_value() == there, "there or not");
  if (there) CULVERT_CHECK(decode_base64(member->as_string()) == *taken, "other bytes");
}

void check_record(const EventBatch& batch, const Record& taken, const json::object& record) {
  CULVERT_CHECK(record.at("topic").as_string() == batch.topic, "another topic");
  CULVERT_CHECK(record.at("partition").to_number<std::int64_t>() == batch.partition.value(), "another partition");
  CULVERT_CHECK(record.at("offset").to_number<std::int64_t>() == taken.offset.value(), "another offset");
  check_bytes(taken.key, record, "key");
  check_bytes(taken.value, record, "value");
}

void check(const EventReader& reader, std::string_view text) {
  json::parse_options options;
  options.max_depth = JsonCursor::kDepthMost + 8;
  options.allow_invalid_utf8 = true;  // of strings that nobody asked for
  boost::system::error_code failed;
  const json::value event = json::parse(text, failed, {}, options);
  // A matter of Boost's numbers, not of the grammar: it stands where nobody reads a number.
  if (failed == json::error::exponent_overflow) return;
  CULVERT_CHECK(!failed, failed.message());
  // Boost keeps the last of two members of one name; where one is a record's, the reader refuses, so only keys of
  // `records` are left, and then the numbers differ.
  std::size_t count = 0;
  const json::object& keys = event.as_object().at("records").as_object();
  for (const auto& key : keys) count += key.value().as_array().size();
  if (count != reader.record_count()) return;
  std::size_t batch = 0;
  for (const auto& key : keys) {
    const json::array& records = key.value().as_array();
    if (records.empty()) continue;
    const EventBatch& taken = reader.batches()[batch++];
    CULVERT_CHECK(taken.records.size() == records.size(), "another number of records");
    for (std::size_t i = 0; i < records.size(); ++i) check_record(taken, taken.records[i], records[i].as_object());
  }
}

}  // namespace
}  // namespace culvert::lambda

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace culvert::lambda;
  const std::string text(data, data + size);
  std::string payload = text;
  EventReader reader;
  const auto read = reader.read(payload);
  if (read) {
    check(reader, text);
  } else {
    CULVERT_CHECK(!read.error().message.empty() && reader.batches().empty(), "a refusal without a message");
  }
  return 0;
}
