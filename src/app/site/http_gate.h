// SPDX-License-Identifier: Apache-2.0
// Who may read what the program serves over HTTP.
//
// Flow    ServerRequest -> [HttpGate] -> let in, or which refusal; the login form's token -> a cookie.
// Owner   HttpSite.
// Time    none: a session lasts as long as the process.
// Bounds  none of its own: the server limits requests.
// See     docs/security.md: HTTP.
//
// Without a token only loopback is served, and only to requests that name it: a page of another site whose name was
// made to point at 127.0.0.1 (DNS rebinding) sends its own name as Host.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "adapters/http/server.h"

namespace culvert {

enum class GateVerdict : std::uint8_t {
  kOpen,
  kForeignHost,  // 403
  kNoToken,      // 401
};

class HttpGate {
 public:
  // `secret` is random, of this process.  No token: loopback only.
  HttpGate(std::string bound_address, std::optional<std::string> token, std::string secret);

  [[nodiscard]] GateVerdict judge(const http::ServerRequest& request) const;
  // The value of Set-Cookie, if the token is right.
  [[nodiscard]] std::optional<std::string> login(std::string_view token) const;
  [[nodiscard]] bool has_token() const { return token_.has_value(); }

 private:
  [[nodiscard]] bool own_host(std::string_view host) const;
  [[nodiscard]] bool same(std::string_view a, std::string_view b) const;

  const std::string bound_address_;
  const std::optional<std::string> token_;
  const std::string secret_;
  std::string session_;
};

}  // namespace culvert
