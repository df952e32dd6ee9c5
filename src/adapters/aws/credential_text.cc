// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/credential_text.h"

#include <fmt/format.h>

#include <array>
#include <boost/json.hpp>
#include <utility>

#include "model/time.h"

namespace culvert::aws {

namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string_view section_name(std::string_view line) {
  auto name = trim(line.substr(1, line.find(']') - 1));
  constexpr std::string_view kPrefix = "profile ";
  if (name.starts_with(kPrefix)) name = trim(name.substr(kPrefix.size()));
  return name;
}

// The text between `<tag>` and `</tag>` with the five predefined entities replaced; empty if there is none.
std::string element(std::string_view xml, std::string_view tag) {
  const std::string open = fmt::format("<{}>", tag);
  const auto begin = xml.find(open);
  if (begin == std::string_view::npos) return {};
  const auto from = begin + open.size();
  const auto end = xml.find(fmt::format("</{}>", tag), from);
  if (end == std::string_view::npos) return {};
  static constexpr std::array<std::pair<std::string_view, char>, 5> kEntities{
      {{"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}}};
  std::string text;
  for (std::string_view rest = trim(xml.substr(from, end - from)); !rest.empty();) {
    std::size_t used = 1;
    char c = rest.front();
    for (const auto& [entity, meaning] : kEntities) {
      if (rest.starts_with(entity)) {
        used = entity.size();
        c = meaning;
        break;
      }
    }
    text += c;
    rest.remove_prefix(used);
  }
  return text;
}

Result<Credentials> complete(Credentials credentials, std::string_view expiration) {
  if (credentials.access_key_id.empty() || credentials.secret_access_key.empty()) {
    return Error::retriable_error(ErrorKind::kUnavailable, "the response holds no access key");
  }
  if (!expiration.empty()) {
    const auto time = parse_utc(expiration);
    if (!time) return Error::retriable_error(ErrorKind::kUnavailable, "the response's Expiration cannot be read");
    credentials.expires_at = std::chrono::sys_seconds{std::chrono::seconds{time->value() / 1000}};
  }
  return credentials;
}

}  // namespace

std::optional<Profile> find_profile(std::string_view file, std::string_view name) {
  std::optional<Profile> profile;
  bool inside = false;
  while (!file.empty()) {
    const auto end = file.find('\n');
    const std::string_view raw = file.substr(0, end);
    file.remove_prefix(end == std::string_view::npos ? file.size() : end + 1);
    const auto line = trim(raw);
    if (line.empty() || line.front() == '#' || line.front() == ';') continue;
    if (line.front() == '[') {
      inside = section_name(line) == name;
      if (inside && !profile) profile.emplace();
      continue;
    }
    const auto equals = line.find('=');
    const bool nested = raw.front() == ' ' || raw.front() == '\t';  // a sub-setting of the line above
    if (!inside || nested || equals == std::string_view::npos) continue;
    (*profile)[std::string(trim(line.substr(0, equals)))] = std::string(trim(line.substr(equals + 1)));
  }
  return profile;
}

Result<Credentials> credentials_from_json(std::string_view text) {
  boost::json::error_code failed;
  const auto value = boost::json::parse(boost::json::string_view(text.data(), text.size()), failed);
  const auto* object = failed ? nullptr : value.if_object();
  if (object == nullptr) return Error::retriable_error(ErrorKind::kUnavailable, "the response is no JSON object");
  const auto text_of = [&](const char* name) {
    const auto* found = object->if_contains(name);
    const auto* string = found == nullptr ? nullptr : found->if_string();
    return string == nullptr ? std::string() : std::string(string->data(), string->size());
  };
  Credentials credentials{text_of("AccessKeyId"), text_of("SecretAccessKey"), text_of("Token"), std::nullopt};
  return complete(std::move(credentials), text_of("Expiration"));
}

Result<Credentials> credentials_from_sts(std::string_view xml) {
  Credentials credentials{element(xml, "AccessKeyId"), element(xml, "SecretAccessKey"), element(xml, "SessionToken"),
                          std::nullopt};
  return complete(std::move(credentials), element(xml, "Expiration"));
}

XmlError read_xml_error(std::string_view xml) { return {element(xml, "Code"), element(xml, "Message")}; }

std::string sts_error(std::string_view xml) {
  const XmlError error = read_xml_error(xml);
  return error.code.empty() ? "no reason given" : fmt::format("{}: {}", error.code, error.message);
}

}  // namespace culvert::aws
