// SPDX-License-Identifier: Apache-2.0
// Responses of DynamoDB: whatever comes is judged or refused, and an item that is taken survives being written again.
//
// Flow    bytes as a body -> judge(), and as an item -> read_* -> *_put -> read_*.
// Owner   libFuzzer, or replay_main.cc.
// Time    none.
// Bounds  none of its own.
// See     docs/formats.md: DynamoDB tables.
#include <boost/json/parse.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

#include "adapters/dynamodb/api.h"
#include "adapters/dynamodb/item_codec.h"
#include "model/check.h"

namespace culvert::dynamodb {
namespace {

namespace json = boost::json;

const TableNames kTables{"items", "checkpoints", "dead-letters"};

template <class T>
bool taken(const Result<T>& result) {
  if (!result.ok()) CULVERT_CHECK(!result.error().message.empty(), "a refusal without a message");
  return result.ok();
}

// The item of a PutItem call's body, as the table would give it back.
json::object item_of(const std::string& body) { return json::parse(body).as_object().at("Item").as_object(); }

void check_item(const json::object& item) {
  const auto stored = read_item(item, "items", "temp");
  if (!taken(stored)) return;
  const ItemPut put{stored->key, stored->window_end, stored->image, std::nullopt};
  const auto again = read_item(item_of(item_put(kTables, {}, put)), "items", "temp");
  CULVERT_CHECK(again.ok(), again.error().message);
  CULVERT_CHECK(again->key == stored->key && again->window_end == stored->window_end, "another key");
  CULVERT_CHECK(again->image == stored->image, "another image");
}

void check_checkpoint(const json::object& item) {
  const auto stored = read_checkpoint(item, "checkpoints");
  if (!taken(stored)) return;
  const auto again = read_checkpoint(
      item_of(checkpoint_put(kTables, stored->where, {stored->checkpoint, std::nullopt})), "checkpoints");
  CULVERT_CHECK(again.ok(), again.error().message);
  CULVERT_CHECK(again->where == stored->where && again->checkpoint == stored->checkpoint, "another checkpoint");
}

}  // namespace
}  // namespace culvert::dynamodb

// The first byte chooses the status, the rest is the body.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace culvert;
  using namespace culvert::dynamodb;
  if (size == 0) return 0;
  http::Response response;
  response.status = data[0] % 2 == 0 ? 200 : 400 + data[0] % 104;
  response.body.assign(data + 1, data + size);
  const Judgement judgement = judge(response);
  CULVERT_CHECK(response.status == 200 || judgement.verdict != Verdict::kOk, "an error was taken for success");

  boost::system::error_code failed;
  const auto value = boost::json::parse(response.body, failed);
  if (failed || !value.is_object()) return 0;
  const auto& body = value.get_object();
  const auto* inner = body.if_contains("Item");
  const auto& item = inner != nullptr && inner->is_object() ? inner->get_object() : body;
  check_item(item);
  check_checkpoint(item);
  if (const auto letter = read_dead_letter(item, "dead-letters"); taken(letter)) {
    StoredDeadLetter whole = *letter;
    (void)taken(join_parts(whole, "0123456789", "dead-letters"));
  }
  (void)taken(read_dead_letter_part(item, "dead-letters"));
  return 0;
}
