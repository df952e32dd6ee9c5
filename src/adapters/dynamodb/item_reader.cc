// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <utility>
#include <vector>

#include "adapters/dynamodb/base64.h"
#include "adapters/dynamodb/item_codec.h"

namespace culvert::dynamodb {

namespace {

namespace json = boost::json;

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

// Reads the attributes of one item; remembers the first one that is not as it should be.
class Attributes {
 public:
  Attributes(const JsonItem& item, std::string_view table) : item_(item), table_(table) {}

  // The value inside `{"N": value}` and its like; null if the attribute is absent or of another type.
  [[nodiscard]] const json::value* typed(std::string_view name, std::string_view type) const {
    return typed_in(item_, name, type);
  }
  static const json::value* typed_in(const json::object& object, std::string_view name, std::string_view type) {
    const auto* attribute = object.if_contains(json::string_view(name.data(), name.size()));
    const auto* wrapper = attribute == nullptr ? nullptr : attribute->if_object();
    return wrapper == nullptr ? nullptr : wrapper->if_contains(json::string_view(type.data(), type.size()));
  }
  [[nodiscard]] std::optional<std::string_view> text(std::string_view name, std::string_view type) const {
    const auto* value = typed(name, type);
    const auto* string = value == nullptr ? nullptr : value->if_string();
    return string == nullptr ? std::nullopt : std::optional(view(*string));
  }
  [[nodiscard]] bool has(std::string_view name) const {
    return item_.if_contains(json::string_view(name.data(), name.size())) != nullptr;
  }

  std::string required_text(std::string_view name) { return std::string(required(name, text(name, "S"))); }
  Int128 required_number(std::string_view name, int digits) {
    const auto number = text(name, "N");
    const auto value = number ? parse_number(*number, digits) : std::nullopt;
    if (!value) fail(name);
    return value.value_or(0);
  }
  std::int64_t required_int(std::string_view name) {
    const Int128 value = required_number(name, 0);
    const auto narrow = static_cast<std::int64_t>(value);
    if (narrow != value) fail(name);
    return narrow;
  }
  std::optional<std::int64_t> optional_int(std::string_view name) {
    return has(name) ? std::optional(required_int(name)) : std::nullopt;
  }
  EventTime required_time(std::string_view name) {
    const auto time = parse_utc(required(name, text(name, "S")));
    if (!time) fail(name);
    return time.value_or(EventTime{});
  }
  void fail(std::string_view name) {
    if (bad_.empty()) bad_ = name;
  }
  [[nodiscard]] bool good() const { return bad_.empty(); }

  [[nodiscard]] Error error() const {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("table '{}': item {}: attribute '{}' is missing or not what culvert writes (does "
                                    "something else write to this table?)",
                                    table_, key_text(), bad_));
  }

 private:
  std::string_view required(std::string_view name, std::optional<std::string_view> value) {
    if (!value) fail(name);
    return value.value_or(std::string_view());
  }
  // For people: the key attributes of whichever of the three tables it is.
  [[nodiscard]] std::string key_text() const {
    std::string out;
    for (const std::string_view name : {"device_id", "window_start", "stream", "partition", "position", "offset"}) {
      auto value = text(name, "S");
      if (!value) value = text(name, "N");
      if (value) out += fmt::format("{}{}={}", out.empty() ? "" : " ", name, value->substr(0, 300));
    }
    return out.empty() ? "without a key" : out;
  }

  const JsonItem& item_;
  std::string_view table_;
  std::string bad_;
};

bool read_offset(const json::value* attribute, Offset& offset) {
  const auto* wrapper = attribute == nullptr ? nullptr : attribute->if_object();
  const auto* number = wrapper == nullptr ? nullptr : wrapper->if_contains("N");
  const auto* text = number == nullptr ? nullptr : number->if_string();
  const auto parsed = text == nullptr ? std::nullopt : parse_number(view(*text), 0);
  if (!parsed || *parsed < 0 || *parsed > INT64_MAX) return false;
  offset = Offset{static_cast<std::int64_t>(*parsed)};
  return true;
}

bool read_holes(const json::value& list, Offset next, std::vector<OffsetRange>& holes) {
  const auto* entries = list.if_array();
  if (entries == nullptr || entries->size() > kHolesMost) return false;
  Offset above{0};
  for (const json::value& entry : *entries) {
    const auto* wrapper = entry.if_object();
    const auto* inner = wrapper == nullptr ? nullptr : wrapper->if_contains("L");
    const auto* pair = inner == nullptr ? nullptr : inner->if_array();
    OffsetRange hole;
    if (pair == nullptr || pair->size() != 2 || !read_offset(&(*pair)[0], hole.first) ||
        !read_offset(&(*pair)[1], hole.next) || hole.first < above || hole.empty() || hole.next > next) {
      return false;
    }
    holes.push_back(hole);
    above = hole.next;
  }
  return true;
}

bool read_fences(const json::value* map, Fences& fences) {
  const auto* entries = map == nullptr ? nullptr : map->if_object();
  if (entries == nullptr || entries->empty()) return false;
  for (const auto& entry : *entries) {
    const auto* wrapper = entry.value().if_object();
    const auto* inner = wrapper == nullptr ? nullptr : wrapper->if_contains("M");
    const auto* fence = inner == nullptr ? nullptr : inner->if_object();
    if (fence == nullptr) return false;
    Offset next;
    std::vector<OffsetRange> holes;
    const auto* holes_list = Attributes::typed_in(*fence, "holes", "L");
    if (!read_offset(fence->if_contains("next"), next) || holes_list == nullptr ||
        !read_holes(*holes_list, next, holes)) {
      return false;
    }
    fences.set({entry.key().data(), entry.key().size()}, Fence{next, std::move(holes)});
  }
  return true;
}

Micro required_micro(Attributes& attributes, const std::string& name) {
  const Int128 value = attributes.required_number(name, 6);
  if (value < -kMicroMost.value() || value > kMicroMost.value()) {
    attributes.fail(name);
    return {};
  }
  return Micro{static_cast<std::int64_t>(value)};
}

ItemKey key_of(Attributes& attributes) {
  ItemKey key;
  if (const auto number = attributes.text("device_id", "N")) {
    const auto value = parse_number(*number, 0);
    if (!value || *value < INT64_MIN || *value > INT64_MAX) {
      attributes.fail("device_id");
    } else {
      key.device = DeviceId{static_cast<std::int64_t>(*value)};
    }
  } else {
    const auto text = attributes.text("device_id", "S");
    if (!text || text->empty() || text->size() > kDeviceBytesMost) {
      attributes.fail("device_id");
    } else {
      key.device = DeviceId{*text};
    }
  }
  key.window_start = attributes.required_time("window_start");
  return key;
}

void read_payload(Attributes& attributes, std::string_view name, std::optional<std::string>& out) {
  if (!attributes.has(name)) return;
  const auto text = attributes.text(name, "B");
  out = text ? decode_base64(*text) : std::nullopt;
  if (!out) attributes.fail(name);
}

std::optional<std::size_t> read_size(Attributes& attributes, std::string_view name) {
  const auto size = attributes.optional_int(name);
  if (size && *size < 0) attributes.fail(name);
  return size && *size >= 0 ? std::optional(static_cast<std::size_t>(*size)) : std::nullopt;
}

}  // namespace

std::optional<std::string_view> attribute(const JsonItem& item, std::string_view name, std::string_view type) {
  return Attributes(item, {}).text(name, type);
}

std::optional<Int128> parse_number(std::string_view text, int digits) {
  const auto exponent_at = text.find_first_of("eE");
  if (exponent_at == std::string_view::npos) return parse_scaled(text, digits);
  std::string_view exponent_text = text.substr(exponent_at + 1);
  if (exponent_text.starts_with('+')) exponent_text.remove_prefix(1);
  int exponent = 0;
  const auto [end, error] =
      std::from_chars(exponent_text.data(), exponent_text.data() + exponent_text.size(), exponent);
  // Beyond DynamoDB's own range; the bound keeps the plain text below short.
  if (error != std::errc{} || end != exponent_text.data() + exponent_text.size() || exponent > 130 || exponent < -130) {
    return std::nullopt;
  }
  std::string_view mantissa = text.substr(0, exponent_at);
  const bool negative = mantissa.starts_with('-');
  if (negative) mantissa.remove_prefix(1);
  const auto point = mantissa.find('.');
  std::string plain(mantissa.substr(0, point));
  auto whole = static_cast<std::ptrdiff_t>(plain.size()) + exponent;
  if (point != std::string_view::npos) plain += mantissa.substr(point + 1);
  if (plain.empty() || plain.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  if (whole <= 0) {
    plain.insert(0, static_cast<std::size_t>(1 - whole), '0');
    whole = 1;
  }
  if (static_cast<std::size_t>(whole) > plain.size()) plain.append(static_cast<std::size_t>(whole) - plain.size(), '0');
  if (static_cast<std::size_t>(whole) < plain.size()) {
    while (plain.size() > static_cast<std::size_t>(whole) && plain.back() == '0') plain.pop_back();
    if (plain.size() > static_cast<std::size_t>(whole)) plain.insert(static_cast<std::size_t>(whole), ".");
  }
  return parse_scaled(negative ? "-" + plain : plain, digits);
}

std::optional<StreamPartition> parse_stream(std::string_view stream, std::int64_t partition) {
  const auto at = stream.rfind('@');
  if (at == std::string_view::npos || at == 0) return std::nullopt;
  const auto generation = DeviceId::parse_number(stream.substr(at + 1));
  if (!generation || *generation < 1 || partition < 0 || partition > INT32_MAX) return std::nullopt;
  return StreamPartition{std::string(stream.substr(0, at)), *generation,
                         PartitionId{static_cast<std::int32_t>(partition)}};
}

std::optional<StreamPartition> parse_position(std::string_view position) {
  const auto slash = position.rfind('/');
  if (slash == std::string_view::npos) return std::nullopt;
  const auto partition = DeviceId::parse_number(position.substr(slash + 1));
  return partition ? parse_stream(position.substr(0, slash), *partition) : std::nullopt;
}

Result<ItemKey> read_item_key(const JsonItem& item, std::string_view table) {
  Attributes attributes(item, table);
  ItemKey key = key_of(attributes);
  if (!attributes.good()) return attributes.error();
  return key;
}

Result<StoredItem> read_item(const JsonItem& item, std::string_view table, std::string_view value_name) {
  Attributes attributes(item, table);
  const std::string stem(value_name);
  StoredItem stored;
  stored.key = key_of(attributes);
  stored.window_end = attributes.required_time("window_stop");
  Accumulator& a = stored.image.aggregate;
  a.count = attributes.required_int("count");
  if (a.count < 1 || a.count > kCountMost) attributes.fail("count");
  a.sum = attributes.required_number("sum_" + stem, 6);
  a.sum_squares = attributes.required_number("sumsq", 12);
  a.min = required_micro(attributes, "min_" + stem);
  a.max = required_micro(attributes, "max_" + stem);
  // Numbers that contradict each other would end the program later, in the middle of a summary.
  if (attributes.good() && !consistent(a)) attributes.fail("sumsq");
  if (!read_fences(attributes.typed("fences", "M"), stored.image.fences)) attributes.fail("fences");
  if (!attributes.good()) return attributes.error();
  return stored;
}

Result<PartitionCheckpoint> read_checkpoint(const JsonItem& item, std::string_view table) {
  Attributes attributes(item, table);
  PartitionCheckpoint result;
  const std::string stream = attributes.required_text("stream");
  if (auto where = parse_stream(stream, attributes.required_int("partition"))) {
    result.where = *std::move(where);
  } else {
    attributes.fail("stream");
  }
  Checkpoint& c = result.checkpoint;
  c.start = Offset{attributes.required_int("start")};
  c.next = Offset{attributes.required_int("next")};
  if (const auto time = attributes.optional_int("max_event_time")) c.progress.max_event_time = EventTime{*time};
  if (const auto time = attributes.optional_int("max_timestamp")) c.progress.max_timestamp = RecordTime{*time};
  c.progress.counts = {attributes.required_int("records"), attributes.required_int("folded"),
                       attributes.required_int("late"), attributes.required_int("dead_letters")};
  c.definition = attributes.required_text("definition");
  c.topic_id = attributes.required_text("topic_id");
  const std::string emission = attributes.required_text("emission");
  if (emission != "early" && emission != "final") attributes.fail("emission");
  c.emission = emission == "final" ? Emission::kFinal : Emission::kEarly;
  auto ranges = parse_ranges(attributes.required_text("ranges"));
  if (ranges.ok()) {
    c.ranges = *std::move(ranges);
  } else {
    attributes.fail("ranges");
  }
  if (c.start.value() < 0 || c.next < c.start) attributes.fail("next");
  if (!attributes.good()) return attributes.error();
  return result;
}

Result<StoredDeadLetter> read_dead_letter(const JsonItem& item, std::string_view table) {
  Attributes attributes(item, table);
  StoredDeadLetter stored;
  DeadLetter& letter = stored.letter;
  if (auto where = parse_position(attributes.required_text("position"))) {
    letter.where = *std::move(where);
  } else {
    attributes.fail("position");
  }
  letter.offset = Offset{attributes.required_int("offset")};
  if (const auto time = attributes.optional_int("timestamp")) letter.timestamp = RecordTime{*time};
  const auto reason = reason_from_name(attributes.required_text("reason"));
  if (!reason) attributes.fail("reason");
  letter.reason = reason.value_or(DeadLetterReason::kNone);
  letter.detail = attributes.required_text("detail");
  stored.parts = read_size(attributes, "parts").value_or(0);
  if (stored.parts > 0) {
    stored.key_bytes = read_size(attributes, "key_bytes");
    stored.value_bytes = read_size(attributes, "value_bytes");
  } else {
    read_payload(attributes, "key", letter.key);
    read_payload(attributes, "value", letter.value);
  }
  if (!attributes.good()) return attributes.error();
  return stored;
}

Result<std::string> read_dead_letter_part(const JsonItem& item, std::string_view table) {
  Attributes attributes(item, table);
  std::optional<std::string> part;
  read_payload(attributes, "part", part);
  if (!part) attributes.fail("part");
  if (!attributes.good()) return attributes.error();
  return *std::move(part);
}

Result<void> join_parts(StoredDeadLetter& stored, std::string_view bytes, std::string_view table) {
  const std::size_t key = stored.key_bytes.value_or(0);
  if (key > bytes.size() || bytes.size() - key != stored.value_bytes.value_or(0)) {
    return Error::fatal(ErrorKind::kData,
                        fmt::format("table '{}': dead letter {} offset {}: its parts hold {} bytes, not {}", table,
                                    stored.letter.where.name(), stored.letter.offset.value(), bytes.size(),
                                    key + stored.value_bytes.value_or(0)));
  }
  if (stored.key_bytes) stored.letter.key = std::string(bytes.substr(0, key));
  if (stored.value_bytes) stored.letter.value = std::string(bytes.substr(key));
  return {};
}

}  // namespace culvert::dynamodb
