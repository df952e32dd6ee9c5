// SPDX-License-Identifier: Apache-2.0
#include "app/cli/config_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <sstream>
#include <utility>

#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#include <toml++/toml.h>

namespace culvert {

namespace {

Error bad_line(const std::string& file, std::size_t line, std::string_view why) {
  return Error::fatal(ErrorKind::kConfiguration, fmt::format("{}: line {}: {}", file, line, why));
}

// The text that a command line would carry for the same value; nullopt for tables and arrays.
std::optional<std::string> scalar_text(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return std::to_string(integer->get());
  if (const auto* truth = node.as_boolean()) return truth->get() ? "true" : "false";
  if (const auto* number = node.as_floating_point()) return fmt::format("{}", number->get());
  if (const auto* date_time = node.as_date_time()) {
    std::ostringstream out;
    out << date_time->get();
    return out.str();
  }
  return std::nullopt;
}

class EntryReader {
 public:
  EntryReader(const std::string& file, ConfigReading& reading) : file_(file), reading_(reading) {}

  // Nested tables come of dotted keys: `a.b = 1` is the key `a.b` of the section.
  void read(const std::string& section, const std::string& prefix, const toml::table& table) {
    for (const auto& [key, node] : table) {
      const std::string name = prefix.empty() ? std::string(key.str()) : fmt::format("{}.{}", prefix, key.str());
      if (const auto* inner = node.as_table()) {
        read(section, name, *inner);
      } else {
        read_values(section, name, node);
      }
    }
  }

  void complain(std::size_t line, std::string_view why) {
    reading_.problems.push_back({line, bad_line(file_, line, why).message});
  }

 private:
  void read_values(const std::string& section, const std::string& key, const toml::node& node) {
    ConfigEntry entry{section, key, {}, node.source().begin.line};
    if (auto text = scalar_text(node)) {
      entry.values.push_back(*std::move(text));
    } else if (const auto* array = node.as_array()) {
      for (const toml::node& element : *array) {
        auto element_text = scalar_text(element);
        if (!element_text) return complain(entry.line, fmt::format("'{}' nests too deep", key));
        entry.values.push_back(*std::move(element_text));
      }
    } else {
      return complain(entry.line, fmt::format("'{}' has a value of a kind that no option takes", key));
    }
    reading_.entries.push_back(std::move(entry));
  }

  const std::string& file_;
  ConfigReading& reading_;
};

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

Error cannot_read(std::string_view what, int error) {
  return Error::fatal(ErrorKind::kConfiguration,
                      fmt::format("{}: cannot be read: {} (check path and permission)", what, std::strerror(error)));
}

Result<std::string> read_descriptor(int descriptor, std::string_view what) {
  std::string text;
  char buffer[4096];
  while (true) {
    const ssize_t count = ::read(descriptor, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot_read(what, errno);
    if (count == 0) return text;
    text.append(buffer, static_cast<std::size_t>(count));
    if (text.size() > kConfigBytesMost) {
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("{}: larger than {} bytes: not a configuration file", what, kConfigBytesMost));
    }
  }
}

constexpr std::string_view kFileReference = "@file:";
constexpr std::string_view kDescriptorReference = "@fd:";

}  // namespace

ConfigReading read_config(std::string_view text, const std::string& file_name) {
  ConfigReading reading;
  EntryReader reader(file_name, reading);
  const toml::parse_result parsed = toml::parse(text, file_name);
  if (!parsed) {
    reader.complain(parsed.error().source().begin.line, parsed.error().description());
    return reading;
  }
  for (const auto& [section, node] : parsed.table()) {
    const auto* table = node.as_table();
    if (table == nullptr) {
      reader.complain(node.source().begin.line,
                      fmt::format("'{}' stands outside of any section (begin with [common] or the command's name, such "
                                  "as [consume])",
                                  section.str()));
      continue;
    }
    // A section without keys is still one whose name has to be known.
    const std::string name(section.str());
    if (table->empty()) reading.entries.push_back(ConfigEntry{name, "", {}, node.source().begin.line});
    reader.read(name, "", *table);
  }
  const auto earlier = [](const auto& a, const auto& b) { return a.line < b.line; };
  std::stable_sort(reading.problems.begin(), reading.problems.end(), earlier);
  return reading;
}

Result<std::vector<ConfigEntry>> parse_config(std::string_view text, const std::string& file_name) {
  ConfigReading reading = read_config(text, file_name);
  if (!reading.problems.empty()) {
    return Error::fatal(ErrorKind::kConfiguration, std::move(reading.problems.front().message));
  }
  return std::move(reading.entries);
}

Result<std::vector<Property>> parse_properties(std::string_view text, const std::string& file_name) {
  std::vector<Property> properties;
  std::size_t line_number = 0;
  while (!text.empty()) {
    ++line_number;
    const auto newline = text.find('\n');
    const std::string_view line = trimmed(text.substr(0, newline));
    text = newline == std::string_view::npos ? std::string_view{} : text.substr(newline + 1);
    if (line.empty() || line.front() == '#' || line.front() == '!') continue;
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return bad_line(file_name, line_number, "is not of the form key=value");
    }
    properties.push_back(Property{std::string(trimmed(line.substr(0, equals))),
                                  std::string(trimmed(line.substr(equals + 1))), line_number});
  }
  return properties;
}

Result<std::string> read_small_file(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return cannot_read(path, errno);
  auto text = read_descriptor(descriptor, path);
  ::close(descriptor);
  return text;
}

bool is_secret_reference(std::string_view value) {
  return value.starts_with(kFileReference) || value.starts_with(kDescriptorReference);
}

Result<std::string> read_secret(std::string_view reference) {
  Result<std::string> text = std::string();
  if (reference.starts_with(kFileReference)) {
    text = read_small_file(std::string(reference.substr(kFileReference.size())));
  } else {
    const std::string_view number = reference.substr(std::min(kDescriptorReference.size(), reference.size()));
    int descriptor = -1;
    const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), descriptor);
    if (error != std::errc{} || end != number.data() + number.size() || descriptor < 0) {
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("'{}' is neither @file:PATH nor @fd:NUMBER", reference));
    }
    text = read_descriptor(descriptor, reference);
  }
  if (!text) return text;
  if (!text->empty() && text->back() == '\n') text->pop_back();
  if (text->empty()) {
    return Error::fatal(ErrorKind::kConfiguration, fmt::format("{}: is empty, a secret was expected", reference));
  }
  return text;
}

}  // namespace culvert
