// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <future>
#include <utility>

#include "adapters/dynamodb/dynamodb_table.h"

namespace culvert::dynamodb {

namespace {

// What fits one BatchGetItem response (16 MB) even if every dead letter is as large as an item may be.
constexpr std::size_t kDeadLettersAtOnce = 25;

constexpr std::chrono::milliseconds kScanTick{100};

std::string begin_request(const std::string& table) {
  return fmt::format(R"({{"TableName":"{}","ConsistentRead":true)", table);
}

// `window_start >= :from AND window_start < :to` as far as the filter has them; the values go to `values`.
std::string window_condition(const ItemFilter& filter, std::string& values) {
  const auto value = [&](std::string_view name, EventTime time) {
    if (!values.empty()) values += ',';
    values += fmt::format(R"("{}":{{"S":"{}"}})", name, format_utc(time));
  };
  if (filter.from) value(":from", *filter.from);
  if (filter.to) value(":to", *filter.to);
  // A key condition takes one term for the range key: the inclusive BETWEEN, whose upper end is then left out by us.
  if (filter.from && filter.to) return "window_start BETWEEN :from AND :to";
  if (filter.from) return "window_start >= :from";
  return filter.to ? "window_start < :to" : "";
}

bool inside(const ItemFilter& filter, const ItemKey& key) {
  return (!filter.from || key.window_start >= *filter.from) && (!filter.to || key.window_start < *filter.to);
}

}  // namespace

Result<void> DynamoDbTable::pages(std::string_view operation, const std::string& table, const std::string& body,
                                  const ItemVisitor& visit) {
  std::string request = body + "}";
  while (true) {
    auto response = call_json(operation, table, request);
    if (!response) return response.error();
    const auto* items = response->if_contains("Items");
    const auto* list = items == nullptr ? nullptr : items->if_array();
    if (list == nullptr) {
      return Error::retriable_error(ErrorKind::kUnavailable,
                                    fmt::format("table '{}': {}: a response without items", table, operation));
    }
    for (const auto& item : *list) {
      if (!item.is_object()) continue;
      const auto more = visit(item.get_object());
      if (!more) return more.error();
      if (!*more) return {};
    }
    const auto* last = response->if_contains("LastEvaluatedKey");
    if (last == nullptr || !last->is_object()) return {};
    request = body + R"(,"ExclusiveStartKey":)" + boost::json::serialize(*last) + "}";
  }
}

Result<void> DynamoDbTable::query_device(const ItemFilter& filter,
                                         const std::function<bool(const StoredItem&)>& visit) {
  std::string values = R"(":device":)";
  const DeviceRef device = filter.device->ref();
  if (device.type() == KeyType::kNumber) {
    values += fmt::format(R"({{"N":"{}"}})", device.number());
  } else {
    values += R"({"S":)";
    append_json_string(values, device.text());
    values += "}";
  }
  std::string condition = "device_id = :device";
  if (const std::string window = window_condition(filter, values); !window.empty()) condition += " AND " + window;
  const std::string body = fmt::format(R"({},"KeyConditionExpression":"{}","ExpressionAttributeValues":{{{}}})",
                                       begin_request(names_.items), condition, values);
  return pages("Query", names_.items, body, [&](const JsonObject& item) -> Result<bool> {
    auto stored = read_item(item, names_.items, format_.value_name);
    if (!stored) return stored.error();
    return !inside(filter, stored->key) || visit(*stored);
  });
}

Result<void> DynamoDbTable::scan_segment(Scan& scan, int segment, std::vector<StoredItem>& items) {
  std::string body = begin_request(names_.items);
  if (options_.scan_segments > 1) {
    body += fmt::format(R"(,"Segment":{},"TotalSegments":{})", segment, options_.scan_segments);
  }
  std::string values;
  if (const std::string window = window_condition(scan.filter, values); !window.empty()) {
    body += fmt::format(R"(,"FilterExpression":"{}","ExpressionAttributeValues":{{{}}})", window, values);
  }
  return pages("Scan", names_.items, body, [&](const JsonObject& item) -> Result<bool> {
    if (scan.stop) return false;
    auto stored = read_item(item, names_.items, format_.value_name);
    if (!stored) return stored.error();
    ++scan.read;
    if (!inside(scan.filter, stored->key)) return true;
    if (scan.kept++ >= static_cast<std::int64_t>(options_.scan_items_most)) {
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("table '{}': more than {} items to sort in memory (narrow the time range, or "
                                      "name one device)",
                                      names_.items, options_.scan_items_most));
    }
    items.push_back(*std::move(stored));
    return true;
  });
}

Result<std::vector<StoredItem>> DynamoDbTable::scan_sorted(const ItemFilter& filter) {
  const auto segments = static_cast<std::size_t>(std::max(1, options_.scan_segments));
  std::vector<std::vector<StoredItem>> items(segments);
  std::vector<std::future<Result<void>>> readers;
  Scan scan{filter};
  for (std::size_t i = 0; i < segments; ++i) {
    readers.push_back(std::async(
        std::launch::async, [this, &scan, &items, i] { return scan_segment(scan, static_cast<int>(i), items[i]); }));
  }
  std::optional<Error> error;
  for (auto& reader : readers) {
    while (reader.wait_for(kScanTick) != std::future_status::ready) {
      if (scan_tick_ && !scan.stop && !scan_tick_(scan.read)) scan.stop = true;
    }
    const auto result = reader.get();
    if (result) continue;
    scan.stop = true;  // what the others read would be thrown away
    if (!error) error = result.error();
  }
  if (error) return *error;
  if (scan.stop) return std::vector<StoredItem>();
  std::vector<StoredItem> all = std::move(items.front());
  for (std::size_t i = 1; i < segments; ++i) {
    all.insert(all.end(), std::make_move_iterator(items[i].begin()), std::make_move_iterator(items[i].end()));
    items[i] = {};
  }
  std::sort(all.begin(), all.end(), [](const StoredItem& a, const StoredItem& b) { return a.key < b.key; });
  return all;
}

Result<void> DynamoDbTable::scan_items(const ItemFilter& filter, const std::function<bool(const StoredItem&)>& visit) {
  if (filter.device) return query_device(filter, visit);
  const auto items = scan_sorted(filter);
  if (!items) return items.error();
  for (const StoredItem& item : *items) {
    if (!visit(item)) break;
  }
  return {};
}

Result<std::vector<PartitionCheckpoint>> DynamoDbTable::checkpoints() {
  std::vector<PartitionCheckpoint> all;
  auto read =
      pages("Scan", names_.checkpoints, begin_request(names_.checkpoints), [&](const JsonObject& item) -> Result<bool> {
        const auto stream = attribute(item, "stream", "S");
        if (stream && stream->find('@') == std::string_view::npos) return true;  // the definition's row
        auto checkpoint = read_checkpoint(item, names_.checkpoints);
        if (!checkpoint) return checkpoint.error();
        all.push_back(*std::move(checkpoint));
        return true;
      });
  if (!read) return read.error();
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.where < b.where; });
  return all;
}

Result<std::vector<DynamoDbTable::DeadLetterKey>> DynamoDbTable::dead_letter_keys() {
  std::vector<DeadLetterKey> keys;
  const std::string body =
      begin_request(names_.dead_letters) +
      R"(,"ProjectionExpression":"#p,#o","ExpressionAttributeNames":{"#p":"position","#o":"offset"})";
  auto read = pages("Scan", names_.dead_letters, body, [&](const JsonObject& item) -> Result<bool> {
    const auto position = attribute(item, "position", "S");
    if (position && position->find('+') != std::string_view::npos) return true;  // a part
    const auto where = position ? parse_position(*position) : std::nullopt;
    const auto number = attribute(item, "offset", "N");
    const auto offset = number ? parse_number(*number, 0) : std::nullopt;
    if (!where || !offset || *offset < 0 || *offset > INT64_MAX) {
      return Error::fatal(ErrorKind::kData, fmt::format("table '{}': an item whose key is not a position: '{}'",
                                                        names_.dead_letters, position.value_or("")));
    }
    keys.emplace_back(*where, Offset{static_cast<std::int64_t>(*offset)});
    return true;
  });
  if (!read) return read.error();
  std::sort(keys.begin(), keys.end());
  return keys;
}

Result<void> DynamoDbTable::read_parts(StoredDeadLetter& stored) {
  std::string bytes;
  std::string body = begin_request(names_.dead_letters) + R"(,"KeyConditionExpression":"#p = :p",)" +
                     R"("ExpressionAttributeNames":{"#p":"position"},"ExpressionAttributeValues":{":p":{"S":)";
  append_json_string(body, parts_position(stored.letter.where.name(), stored.letter.offset));
  auto read = pages("Query", names_.dead_letters, body + "}}", [&](const JsonObject& item) -> Result<bool> {
    auto part = read_dead_letter_part(item, names_.dead_letters);
    if (!part) return part.error();
    bytes += *part;
    return true;
  });
  if (!read) return read.error();
  return join_parts(stored, bytes, names_.dead_letters);
}

Result<std::vector<DeadLetter>> DynamoDbTable::read_dead_letters(std::span<const DeadLetterKey> keys) {
  std::vector<std::string> texts;
  for (const auto& [where, offset] : keys) {
    std::string text = R"({"position":{"S":)";
    append_json_string(text, where.name());
    texts.push_back(text + fmt::format(R"(}},"offset":{{"N":"{}"}}}})", offset.value()));
  }
  auto items = batch_get(names_.dead_letters, texts);
  if (!items) return items.error();
  std::vector<DeadLetter> letters;
  for (const JsonObject& item : *items) {
    auto stored = read_dead_letter(item, names_.dead_letters);
    if (!stored) return stored.error();
    if (stored->parts > 0) {
      if (auto read = read_parts(*stored); !read) return read.error();
    }
    letters.push_back(std::move(stored->letter));
  }
  std::sort(letters.begin(), letters.end(), [](const DeadLetter& a, const DeadLetter& b) {
    return std::tie(a.where, a.offset) < std::tie(b.where, b.offset);
  });
  return letters;
}

Result<void> DynamoDbTable::scan_dead_letters(const std::function<bool(const DeadLetter&)>& visit) {
  // Keys first, as they are small and must be sorted; then the letters, which may be megabytes each, a few at a time.
  const auto keys = dead_letter_keys();
  if (!keys) return keys.error();
  for (std::size_t at = 0; at < keys->size(); at += kDeadLettersAtOnce) {
    const auto letters = read_dead_letters(
        std::span<const DeadLetterKey>(*keys).subspan(at, std::min(kDeadLettersAtOnce, keys->size() - at)));
    if (!letters) return letters.error();
    for (const DeadLetter& letter : *letters) {
      if (!visit(letter)) return {};
    }
  }
  return {};
}

}  // namespace culvert::dynamodb
