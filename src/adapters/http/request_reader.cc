// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/request_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <optional>
#include <utility>

#include "adapters/http/chunk_guard.h"

namespace culvert::http {

namespace {

namespace bhttp = boost::beast::http;

// `http://host/path` is how a proxy asks; only its path matters here.
std::string_view origin_form(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (!target.starts_with(kScheme)) return target;
  const auto slash = target.find('/', kScheme.size());
  return slash == std::string_view::npos ? "/" : target.substr(slash);
}

std::optional<unsigned char> hex_digit(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned char>(c - '0');
  if (c >= 'a' && c <= 'f') return static_cast<unsigned char>(c - 'a' + 10);
  if (c >= 'A' && c <= 'F') return static_cast<unsigned char>(c - 'A' + 10);
  return std::nullopt;
}

std::optional<std::string> percent_decoded(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (text.size() - i < 3) return std::nullopt;
    const auto high = hex_digit(text[i + 1]);
    const auto low = hex_digit(text[i + 2]);
    if (!high || !low) return std::nullopt;
    out += static_cast<char>(*high << 4 | *low);
    i += 2;
  }
  return out;
}

}  // namespace

RequestReader::RequestReader(std::size_t header_bytes_most, std::size_t body_bytes_most)
    : header_bytes_most_(header_bytes_most) {
  header_limit(static_cast<std::uint32_t>(header_bytes_most));
  body_limit(static_cast<std::uint64_t>(body_bytes_most));
}

std::size_t RequestReader::feed(std::string_view bytes) {
  std::size_t taken = 0;
  while (state_ != State::kComplete && state_ != State::kRefused && taken < bytes.size()) {
    if (awaits_more<true>(*this, bytes.size() - taken)) break;
    error_code error;
    const std::size_t used = put(boost::asio::buffer(bytes.data() + taken, bytes.size() - taken), error);
    taken += used;
    if (error && error != bhttp::error::need_more) {
      refuse(error == bhttp::error::header_limit  ? 431
             : error == bhttp::error::body_limit  ? 413
             : error == bhttp::error::bad_version ? 505
                                                  : 400);
      break;
    }
    if (state_ == State::kHeader) header_bytes_ += used;
    if (state_ == State::kHeader && is_header_done()) {
      state_ = State::kBody;
      eager(true);
      check_header();
    }
    if (state_ == State::kBody && is_done()) state_ = State::kComplete;
    if (used == 0) break;
  }
  // Headers are limited by the parser; this is for a chunk's header or a trailer that does not end.
  if (state_ == State::kBody && bytes.size() - taken > header_bytes_most_) refuse(400);
  return taken;
}

void RequestReader::refuse(int status) {
  state_ = State::kRefused;
  refusal_ = status;
}

void RequestReader::check_header() {
  // The parser's own limit lets a header pass that is a little longer, if it comes in one piece.
  if (header_bytes_ > header_bytes_most_) return refuse(431);
  // RFC 9112, section 3.2: exactly one Host in HTTP/1.1.
  const auto hosts = std::count_if(request_.headers.begin(), request_.headers.end(),
                                   [](const Header& header) { return same_name(header.name, "host"); });
  if (hosts > 1 || (hosts == 0 && version_ >= 11)) return refuse(400);
  if (!request_.target.starts_with('/') && !(request_.method == "OPTIONS" && request_.target == "*")) refuse(400);
}

bool RequestReader::expects_continue() const {
  const std::string* expect = find_header(request_.headers, "expect");
  return version_ >= 11 && expect != nullptr && same_name(*expect, "100-continue");
}

void RequestReader::on_request_impl(bhttp::verb, Text method, Text target, int version, error_code& error) {
  if (version != 10 && version != 11) {
    error = bhttp::error::bad_version;
    return;
  }
  version_ = version;
  request_.method.assign(method.data(), method.size());
  request_.target = origin_form({target.data(), target.size()});
}

void RequestReader::on_field_impl(bhttp::field, Text name, Text value, error_code&) {
  request_.headers.push_back(Header{std::string(name), std::string(value)});
}

void RequestReader::on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) {
  // A length is only a claim: room for more is made as bytes arrive.
  constexpr std::uint64_t kReserveMost = 1 << 16;
  if (length) request_.body.reserve(static_cast<std::size_t>(std::min(*length, kReserveMost)));
}

std::size_t RequestReader::on_body_impl(Text body, error_code&) {
  request_.body.append(body.data(), body.size());
  return body.size();
}

std::size_t RequestReader::on_chunk_body_impl(std::uint64_t, Text body, error_code&) {
  request_.body.append(body.data(), body.size());
  return body.size();
}

const std::string* TargetParts::parameter(std::string_view name) const {
  for (const auto& [key, value] : query) {
    if (key == name) return &value;
  }
  return nullptr;
}

Result<TargetParts> parse_target(std::string_view target) {
  const Error refused = Error::fatal(ErrorKind::kUsage, "the request's target is not properly percent-encoded");
  const auto mark = target.find('?');
  auto path = percent_decoded(target.substr(0, mark), false);
  if (!path || path->find('\0') != std::string::npos) return refused;
  TargetParts parts{*std::move(path), {}};
  std::string_view rest = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  while (!rest.empty()) {
    const std::string_view piece = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), piece.size() + 1));
    if (piece.empty()) continue;
    const auto equals = piece.find('=');
    auto key = percent_decoded(piece.substr(0, equals), true);
    auto value = equals == std::string_view::npos ? std::string{} : percent_decoded(piece.substr(equals + 1), true);
    if (!key || !value) return refused;
    parts.query.emplace_back(*std::move(key), *std::move(value));
  }
  return parts;
}

}  // namespace culvert::http
