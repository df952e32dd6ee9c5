// SPDX-License-Identifier: Apache-2.0
#include "app/site/http_gate.h"

#include <openssl/crypto.h>

#include "adapters/aws/digest.h"

namespace culvert {

namespace {

constexpr std::string_view kCookie = "culvert_session";
constexpr std::string_view kBearer = "bearer ";

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

std::optional<std::string_view> cookie(std::string_view header) {
  while (!header.empty()) {
    const auto piece = trimmed(header.substr(0, header.find(';')));
    header.remove_prefix(
        std::min(header.size(), header.find(';') == std::string_view::npos ? header.size() : header.find(';') + 1));
    if (piece.size() > kCookie.size() && piece.starts_with(kCookie) && piece[kCookie.size()] == '=') {
      return piece.substr(kCookie.size() + 1);
    }
  }
  return std::nullopt;
}

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const auto next = host.find(']') + 1;
    const bool whole = next == host.size() || (next < host.size() && host[next] == ':');
    return next == 0 || !whole ? std::string_view{} : host.substr(0, next);
  }
  return host.substr(0, host.find(':'));
}

}  // namespace

HttpGate::HttpGate(std::string bound_address, std::optional<std::string> token, std::string secret)
    : bound_address_(std::move(bound_address)), token_(std::move(token)), secret_(std::move(secret)) {
  // The cookie proves that its owner knew the token, without being it.
  if (token_) session_ = aws::hex(aws::hmac_sha256(secret_, "session:" + *token_));
}

// Both are hashed with a key nobody knows, so that neither length nor a common beginning shows in the time it takes.
bool HttpGate::same(std::string_view a, std::string_view b) const {
  const aws::Digest left = aws::hmac_sha256(secret_, a);
  const aws::Digest right = aws::hmac_sha256(secret_, b);
  return ::CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

bool HttpGate::own_host(std::string_view host) const {
  const std::string_view name = without_port(host);
  return name == "127.0.0.1" || http::same_name(name, "localhost") || name == "[::1]" || name == bound_address_ ||
         name == "[" + bound_address_ + "]";
}

GateVerdict HttpGate::judge(const http::ServerRequest& request) const {
  if (!token_) {
    const std::string* host = request.header("host");
    return host == nullptr || own_host(*host) ? GateVerdict::kOpen : GateVerdict::kForeignHost;
  }
  if (const std::string* authorization = request.header("authorization")) {
    const std::string_view text = *authorization;
    if (text.size() > kBearer.size() && http::same_name(text.substr(0, kBearer.size()), kBearer) &&
        same(trimmed(text.substr(kBearer.size())), *token_)) {
      return GateVerdict::kOpen;
    }
  }
  if (const std::string* cookies = request.header("cookie")) {
    const auto session = cookie(*cookies);
    if (session && same(*session, session_)) return GateVerdict::kOpen;
  }
  return GateVerdict::kNoToken;
}

std::optional<std::string> HttpGate::login(std::string_view token) const {
  if (!token_ || !same(token, *token_)) return std::nullopt;
  return std::string(kCookie) + "=" + session_ + "; Path=/; HttpOnly; SameSite=Strict";
}

}  // namespace culvert
