// SPDX-License-Identifier: Apache-2.0
#include "model/definition.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <utility>
#include <vector>

namespace culvert {

std::string_view window_kind_name(WindowKind kind) {
  switch (kind) {
    case WindowKind::kTumbling:
      return "tumbling";
    case WindowKind::kHopping:
      return "hopping";
    case WindowKind::kBatch:
      return "batch";
  }
  return "";
}

namespace {

constexpr std::int64_t kSizeMost = 366LL * 86'400'000;
constexpr std::int64_t kWindowsMost = 1000;

std::string encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte == '%' || byte == '=' || byte == 0x7f) {
      out += fmt::format("%{:02X}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned byte = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const auto [end, error] = std::from_chars(text.data() + i + 1, text.data() + i + 3, byte, 16);
    if (error != std::errc{} || end != text.data() + i + 3) return std::nullopt;
    out += static_cast<char>(byte);
    i += 2;
  }
  return out;
}

std::string_view unit_name(TimestampUnit unit) {
  switch (unit) {
    case TimestampUnit::kText:
      return "text";
    case TimestampUnit::kSeconds:
      return "s";
    case TimestampUnit::kMilliseconds:
      return "ms";
  }
  return "";
}

// The pairs in their order in the text.  Names are part of the stored format (docs/formats.md).
std::vector<std::pair<std::string_view, std::string>> pairs(const Definition& d) {
  return {{"windows", std::string(window_kind_name(d.kind))},
          {"size", format_duration(d.size)},
          {"advance", format_duration(d.advance)},
          {"out_of_orderness", format_duration(d.out_of_orderness)},
          {"allowed_lateness", format_duration(d.allowed_lateness)},
          {"max_future", format_duration(d.max_future)},
          {"device_field", d.fields.device},
          {"timestamp_field", d.fields.timestamp},
          {"value_field", d.fields.value},
          {"timestamp_unit", std::string(unit_name(d.timestamp_unit))},
          {"key_type", d.key_type == KeyType::kNumber ? "number" : "string"},
          {"record_bytes_max", std::to_string(d.record_bytes_max)},
          {"value_name", d.value_name}};
}

Error bad_text(std::string_view text, std::string_view why) {
  return Error::fatal(ErrorKind::kData, fmt::format("stored definition '{}' cannot be read: {} (was the table written "
                                                    "by a newer culvert?)",
                                                    text, why));
}

using Values = std::map<std::string, std::string, std::less<>>;

// Reads one enumeration by trying each of its values' names.
template <class Enum, class Name>
bool read_enum(const std::string& text, Enum last, Name name, Enum& out) {
  for (int i = 0; i <= static_cast<int>(last); ++i) {
    if (name(static_cast<Enum>(i)) == text) {
      out = static_cast<Enum>(i);
      return true;
    }
  }
  return false;
}

bool read_duration(const std::string& text, Millis& out) {
  const auto duration = parse_duration(text);
  if (duration) out = *duration;
  return duration.has_value();
}

// Assigns one pair; false if the value is not one of the field's.
bool assign(Definition& d, std::string_view name, const std::string& value) {
  if (name == "windows") return read_enum(value, WindowKind::kBatch, window_kind_name, d.kind);
  if (name == "size") return read_duration(value, d.size);
  if (name == "advance") return read_duration(value, d.advance);
  if (name == "out_of_orderness") return read_duration(value, d.out_of_orderness);
  if (name == "allowed_lateness") return read_duration(value, d.allowed_lateness);
  if (name == "max_future") return read_duration(value, d.max_future);
  if (name == "device_field") return d.fields.device = value, true;
  if (name == "timestamp_field") return d.fields.timestamp = value, true;
  if (name == "value_field") return d.fields.value = value, true;
  if (name == "timestamp_unit") return read_enum(value, TimestampUnit::kMilliseconds, unit_name, d.timestamp_unit);
  if (name == "value_name") return d.value_name = value, true;
  if (name == "key_type") {
    d.key_type = value == "string" ? KeyType::kString : KeyType::kNumber;
    return value == "string" || value == "number";
  }
  if (name == "record_bytes_max") {
    const auto number = DeviceId::parse_number(value);
    if (number) d.record_bytes_max = *number;
    return number.has_value();
  }
  return false;
}

Error option_error(std::string message) { return Error::fatal(ErrorKind::kConfiguration, std::move(message)); }

bool is_name(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    if (!letter) return false;
  }
  return true;
}

}  // namespace

Result<void> validate(const Definition& d) {
  if (d.kind != WindowKind::kBatch) {
    if (d.size.count() < 1 || d.size.count() > kSizeMost) {
      return option_error(fmt::format("--window {}: a window is 1ms to 366d long", format_duration(d.size)));
    }
    if (d.advance.count() < 1 || d.advance > d.size || d.size.count() % d.advance.count() != 0) {
      return option_error(fmt::format("--advance {}: the window ({}) must be a multiple of the advance",
                                      format_duration(d.advance), format_duration(d.size)));
    }
    if (d.size.count() / d.advance.count() > kWindowsMost) {
      return option_error(fmt::format("--advance {}: a reading would belong to {} windows, at most {} are allowed",
                                      format_duration(d.advance), d.size.count() / d.advance.count(), kWindowsMost));
    }
    if ((d.size == d.advance) != (d.kind == WindowKind::kTumbling)) {
      return option_error("the window kind contradicts size and advance");
    }
  }
  if (d.out_of_orderness.count() < 0 || d.allowed_lateness.count() < 0 || d.max_future.count() < 0) {
    return option_error("--out-of-orderness, --allowed-lateness and --max-future are not negative");
  }
  const Fields& f = d.fields;
  if (f.device.empty() || f.timestamp.empty() || f.value.empty() || f.device == f.timestamp || f.device == f.value ||
      f.timestamp == f.value) {
    return option_error("--device-field, --timestamp-field and --value-field must be three different names");
  }
  if (d.record_bytes_max < 2 || d.record_bytes_max > (1LL << 30)) {
    return option_error("--record-bytes-max must be 2 bytes to 1 GiB");
  }
  if (!is_name(d.value_name)) {
    return option_error(fmt::format("--value-name '{}': 1 to 64 letters, digits or underscores", d.value_name));
  }
  return {};
}

std::string definition_text(const Definition& definition) {
  std::string text;
  for (const auto& [name, value] : pairs(definition)) {
    if (!text.empty()) text += ' ';
    text += fmt::format("{}={}", name, encode(value));
  }
  return text;
}

Result<Definition> parse_definition(std::string_view text) {
  Values values;
  for (std::string_view rest = text; !rest.empty();) {
    const auto space = rest.find(' ');
    const auto pair = rest.substr(0, space);
    rest.remove_prefix(space == std::string_view::npos ? rest.size() : space + 1);
    const auto equals = pair.find('=');
    if (equals == std::string_view::npos) return bad_text(text, fmt::format("'{}' is not a pair", pair));
    auto value = decode(pair.substr(equals + 1));
    if (!value) return bad_text(text, fmt::format("'{}' is not encoded as it should be", pair));
    values.emplace(pair.substr(0, equals), *std::move(value));
  }
  Definition definition;
  for (const auto& [name, unused] : pairs(definition)) {
    const auto found = values.find(name);
    if (found == values.end()) return bad_text(text, fmt::format("'{}' is missing", name));
    if (!assign(definition, name, found->second)) return bad_text(text, fmt::format("'{}' has a bad value", name));
    values.erase(found);
  }
  if (!values.empty()) return bad_text(text, fmt::format("'{}' is unknown", values.begin()->first));
  return definition;
}

std::string definition_difference(const Definition& table, const Definition& now) {
  const auto before = pairs(table);
  const auto after = pairs(now);
  std::string text;
  for (std::size_t i = 0; i < before.size(); ++i) {
    if (before[i].second == after[i].second) continue;
    if (!text.empty()) text += "; ";
    text += fmt::format("{}: table has {}, now {}", before[i].first, before[i].second, after[i].second);
  }
  return text;
}

}  // namespace culvert
