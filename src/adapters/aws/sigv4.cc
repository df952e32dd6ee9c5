// SPDX-License-Identifier: Apache-2.0
#include "adapters/aws/sigv4.h"

#include <fmt/format.h>

#include <algorithm>

#include "model/time.h"

namespace culvert::aws {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// Without white space at the ends, and with one space for each run of it.
void append_trimmed(std::string& out, std::string_view value) {
  if (value.find_first_of(" \t\r\n") == std::string_view::npos) {
    out.append(value);
    return;
  }
  bool pending_space = false;
  bool any = false;
  for (const char c : value) {
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      pending_space = any;
      continue;
    }
    if (pending_space) out += ' ';
    pending_space = false;
    any = true;
    out += c;
  }
}

// RFC 3986 section 5.2.4 and empty segments removed; then encoded (once more: the path is encoded as it is sent).
std::string canonical_path(std::string_view path) {
  if (path == "/" || path.empty()) return "/";
  std::vector<std::string_view> segments;
  for (std::string_view rest = path; !rest.empty();) {
    const auto slash = rest.find('/');
    const auto segment = rest.substr(0, slash);
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      segments.push_back(segment);
    } else if (!segments.empty()) {
      segments.pop_back();
    }
  }
  std::string out;
  for (const auto segment : segments) out += "/" + uri_encode(segment);
  if (out.empty() || path.ends_with('/')) out += '/';
  return out;
}

std::string canonical_query(const QueryPairs& pairs) {
  if (pairs.empty()) return {};
  QueryPairs encoded;
  encoded.reserve(pairs.size());
  for (const auto& [name, value] : pairs) encoded.emplace_back(uri_encode(name), uri_encode(value));
  std::sort(encoded.begin(), encoded.end());
  std::string out;
  for (const auto& [name, value] : encoded) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

std::string percent_decode(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const int high = text[i] == '%' && i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = high >= 0 ? hex_digit(text[i + 2]) : -1;
    if (low >= 0) {
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

QueryPairs parse_query(std::string_view query) {
  QueryPairs pairs;
  while (!query.empty()) {
    const auto pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    pairs.emplace_back(percent_decode(pair.substr(0, equals)),
                       equals == std::string_view::npos ? "" : percent_decode(pair.substr(equals + 1)));
  }
  return pairs;
}

CanonicalRequest canonical_request(const CanonicalInput& input) {
  std::vector<std::pair<std::string, std::string_view>> headers;
  headers.reserve(input.headers.size());
  for (const http::Header& header : input.headers) headers.emplace_back(lower(header.name), header.value);
  // Stable, as values of one name are joined in the order of the request.
  std::stable_sort(headers.begin(), headers.end(), [](const auto& a, const auto& b) { return a.first < b.first; });

  CanonicalRequest canonical;
  std::string& text = canonical.text;
  text.reserve(512);
  text.append(input.method).append("\n").append(canonical_path(input.path)).append("\n");
  text.append(canonical_query(input.query));
  for (std::size_t i = 0; i < headers.size(); ++i) {
    if (i > 0 && headers[i].first == headers[i - 1].first) {
      text += ',';
    } else {
      text.append("\n").append(headers[i].first).append(":");
      if (i > 0) canonical.signed_headers += ';';
      canonical.signed_headers += headers[i].first;
    }
    append_trimmed(text, headers[i].second);
  }
  text.append("\n\n").append(canonical.signed_headers).append("\n").append(input.body_sha256_hex);
  return canonical;
}

std::string amz_date(std::chrono::sys_seconds time) {
  const std::string iso = format_utc(EventTime{time.time_since_epoch().count() * 1000});
  std::string text;
  for (const char c : std::string_view(iso).substr(0, 19)) {
    if (c != '-' && c != ':') text += c;
  }
  return text + "Z";
}

std::optional<std::chrono::sys_seconds> parse_amz_date(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  const auto part = [&](std::size_t at, std::size_t count) { return text.substr(at, count); };
  const auto time = parse_utc(
      fmt::format("{}-{}-{}T{}:{}:{}Z", part(0, 4), part(4, 2), part(6, 2), part(9, 2), part(11, 2), part(13, 2)));
  if (!time) return std::nullopt;
  return std::chrono::sys_seconds{std::chrono::seconds{time->value() / 1000}};
}

std::string Signer::scope(std::string_view date) const {
  return std::string(date.substr(0, 8)) + "/" + region_ + "/" + service_ + "/aws4_request";
}

const Digest& Signer::signing_key(std::string_view day, const Credentials& credentials) {
  if (key_day_ != day || key_secret_ != credentials.secret_access_key) {
    key_day_ = day;
    key_secret_ = credentials.secret_access_key;
    const Digest date_key = hmac_sha256("AWS4" + key_secret_, day);
    const Digest region_key = hmac_sha256(as_text(date_key), region_);
    const Digest service_key = hmac_sha256(as_text(region_key), service_);
    key_ = hmac_sha256(as_text(service_key), "aws4_request");
  }
  return key_;
}

std::string Signer::signature(const std::string& canonical_request_text, const std::string& date,
                              const Credentials& credentials) {
  const std::string to_sign =
      fmt::format("{}\n{}\n{}\n{}", kAlgorithm, date, scope(date), hex(sha256(canonical_request_text)));
  const Digest& key = signing_key(std::string_view(date).substr(0, 8), credentials);
  return hex(hmac_sha256(as_text(key), to_sign));
}

bool Signer::fits(const http::Request& request, const std::string& host, const Credentials& credentials,
                  std::chrono::sys_seconds now) const {
  const Template& t = template_;
  return t.made && t.time == now && t.access_key_id == credentials.access_key_id &&
         t.session_token == credentials.session_token && t.host == host && t.method == request.method &&
         t.target == request.target && t.headers == request.headers;
}

void Signer::make_template(const http::Request& request, const std::string& host, const Credentials& credentials,
                           std::chrono::sys_seconds now) {
  template_ = {now,
               credentials.access_key_id,
               credentials.session_token,
               host,
               request.method,
               request.target,
               request.headers,
               amz_date(now),
               {},
               {},
               {},
               true};
  Template& t = template_;
  std::vector<http::Header> headers = request.headers;
  headers.push_back({"X-Amz-Date", t.date});
  if (!t.session_token.empty()) headers.push_back({"X-Amz-Security-Token", t.session_token});
  headers.push_back({"Host", host});
  const std::string_view target = request.target;
  const auto question = target.find('?');
  CanonicalRequest canonical = canonical_request(
      {request.method, target.substr(0, question),
       question == std::string_view::npos ? QueryPairs{} : parse_query(target.substr(question + 1)), headers, ""});
  t.canonical = std::move(canonical.text);
  t.to_sign = fmt::format("{}\n{}\n{}\n", kAlgorithm, t.date, scope(t.date));
  t.authorization = fmt::format("{} Credential={}/{}, SignedHeaders={}, Signature=", kAlgorithm, t.access_key_id,
                                scope(t.date), canonical.signed_headers);
}

void Signer::sign(http::Request& request, const std::string& host, const Credentials& credentials,
                  std::chrono::sys_seconds now) {
  if (!fits(request, host, credentials, now)) make_template(request, host, credentials, now);
  const Template& t = template_;
  // Both texts in one place that is kept: a put would otherwise take memory for each text and for each digest's.
  scratch_ = t.canonical;
  append_hex(scratch_, sha256(request.body));
  const Digest canonical = sha256(scratch_);
  scratch_ = t.to_sign;
  append_hex(scratch_, canonical);
  const Digest& key = signing_key(std::string_view(t.date).substr(0, 8), credentials);
  const Digest signature = hmac_sha256(as_text(key), scratch_);
  std::string authorization;
  authorization.reserve(t.authorization.size() + 2 * signature.size());
  authorization += t.authorization;
  append_hex(authorization, signature);
  request.headers.push_back({"X-Amz-Date", t.date});
  if (!t.session_token.empty()) request.headers.push_back({"X-Amz-Security-Token", t.session_token});
  request.headers.push_back({"Authorization", std::move(authorization)});
}

std::string Signer::presign(std::string_view method, const std::string& host, std::string_view path, QueryPairs query,
                            const Credentials& credentials, std::chrono::sys_seconds now, std::chrono::seconds valid) {
  const std::string date = amz_date(now);
  query.emplace_back("X-Amz-Algorithm", kAlgorithm);
  query.emplace_back("X-Amz-Credential", credentials.access_key_id + "/" + scope(date));
  query.emplace_back("X-Amz-Date", date);
  query.emplace_back("X-Amz-Expires", std::to_string(valid.count()));
  query.emplace_back("X-Amz-SignedHeaders", "host");
  if (!credentials.session_token.empty()) query.emplace_back("X-Amz-Security-Token", credentials.session_token);
  const std::vector<http::Header> headers{{"host", host}};
  const std::string empty_hash = hex(sha256(""));
  const CanonicalRequest canonical = canonical_request({method, path, query, headers, empty_hash});
  return fmt::format("{}?{}&X-Amz-Signature={}", path, canonical_query(query),
                     signature(canonical.text, date, credentials));
}

}  // namespace culvert::aws
