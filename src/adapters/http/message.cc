// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/message.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "adapters/http/address.h"
#include "adapters/http/dns_message.h"
#include "model/time.h"

namespace culvert::http {

namespace {

std::string bracketed(const std::string& host) { return host.find(':') == std::string::npos ? host : "[" + host + "]"; }

Error bad_url(std::string_view text, std::string_view why) {
  return Error::fatal(ErrorKind::kConfiguration,
                      fmt::format("URL '{}': {} (expected http[s]://host[:port][/path])", text, why));
}

bool printable(std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte <= ' ' || byte >= 0x7f) return false;
  }
  return true;
}

// Splits `host`, `host:port`, `[v6]` or `[v6]:port`; false if it is none of them.
bool split_authority(std::string_view authority, std::string_view& host, std::string_view& port) {
  if (authority.starts_with('[')) {
    const auto close = authority.find(']');
    if (close == std::string_view::npos) return false;
    host = authority.substr(1, close - 1);
    authority.remove_prefix(close + 1);
    if (host.find(':') == std::string_view::npos || (!authority.empty() && authority.front() != ':')) return false;
    port = authority.empty() ? authority : authority.substr(1);
    return authority.empty() || !port.empty();
  }
  const auto colon = authority.find(':');
  host = authority.substr(0, colon);
  if (colon == std::string_view::npos) return true;
  port = authority.substr(colon + 1);
  return !port.empty();
}

}  // namespace

std::string Endpoint::authority() const {
  return port == (tls ? 443 : 80) ? bracketed(host) : fmt::format("{}:{}", bracketed(host), port);
}

std::string Endpoint::text() const { return fmt::format("{}://{}:{}", tls ? "https" : "http", bracketed(host), port); }

Result<Url> parse_url(std::string_view text) {
  Url url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
    url.endpoint.tls = false;
    url.endpoint.port = 80;
  } else {
    return bad_url(text, "the scheme is missing or unknown");
  }
  if (!printable(rest)) return bad_url(text, "it holds a space or a control character");
  if (rest.find('#') != std::string_view::npos) return bad_url(text, "a fragment makes no sense here");
  const auto authority = rest.substr(0, rest.find_first_of("/?"));
  if (authority.find('@') != std::string_view::npos)
    return bad_url("...", "user and password are not accepted in a URL");
  rest.remove_prefix(authority.size());
  std::string_view host;
  std::string_view port;
  if (!split_authority(authority, host, port)) return bad_url(text, "host and port cannot be told apart");
  if (!Address::parse(host) && !is_dns_name(host.ends_with('.') ? host.substr(0, host.size() - 1) : host)) {
    return bad_url(text, fmt::format("'{}' is neither an address nor a host name", host));
  }
  url.endpoint.host = host;
  if (!port.empty()) {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.endpoint.port);
    if (error != std::errc{} || end != port.data() + port.size() || url.endpoint.port == 0) {
      return bad_url(text, fmt::format("'{}' is no port", port));
    }
  }
  if (!rest.empty()) url.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
  return url;
}

bool same_name(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

const std::string* find_header(const std::vector<Header>& headers, std::string_view name) {
  for (const Header& header : headers) {
    if (same_name(header.name, name)) return &header.value;
  }
  return nullptr;
}

std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text) {
  constexpr std::array<std::string_view, 12> kMonths{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  if (text.size() != 29 || !text.ends_with(" GMT")) return std::nullopt;
  const auto month = std::find(kMonths.begin(), kMonths.end(), text.substr(8, 3));
  if (month == kMonths.end()) return std::nullopt;
  const auto time = parse_utc(fmt::format("{}-{:02}-{}T{}Z", text.substr(12, 4), month - kMonths.begin() + 1,
                                          text.substr(5, 2), text.substr(17, 8)));
  if (!time) return std::nullopt;
  return std::chrono::sys_seconds{std::chrono::seconds{time->value() / 1000}};
}

}  // namespace culvert::http
