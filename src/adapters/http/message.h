// SPDX-License-Identifier: Apache-2.0
// Requests, responses and where they go: plain values, so that users of the client do not compile Boost.
//
// Flow    adapter -> [Request] -> Client -> [Outcome] -> adapter.
// Owner   values.
// Time    time-outs in milliseconds.
// Bounds  none of their own: the Client limits what it reads.
// See     RFC 9110, RFC 9112.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/result.h"

namespace culvert::http {

// Where connections go; the key of the pool.
struct Endpoint {
  bool tls = true;
  std::string host;  // a name or an address literal, without brackets
  std::uint16_t port = 443;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;

  // The Host header: the port only where it is not the scheme's own.
  [[nodiscard]] std::string authority() const;
  // For people: `https://host:port`.
  [[nodiscard]] std::string text() const;
};

struct Url {
  Endpoint endpoint;
  std::string target = "/";  // path and query
};

// `http://host[:port][/path][?query]` or https; no user information, no fragment.  Error: kConfiguration, fatal.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

struct Header {
  std::string name;
  std::string value;
  friend bool operator==(const Header&, const Header&) = default;
};

// ASCII case is ignored in header names.
[[nodiscard]] bool same_name(std::string_view a, std::string_view b);
[[nodiscard]] const std::string* find_header(const std::vector<Header>& headers, std::string_view name);

// A Date header: `Tue, 24 Nov 2026 10:00:00 GMT`, the one form in use.
[[nodiscard]] std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text);

inline constexpr std::chrono::milliseconds kNoTimeout = std::chrono::milliseconds::max();

// Host, Content-Length and Connection are the client's to add; a header with a control character is refused.
struct Request {
  std::string method = "GET";
  std::string target = "/";
  std::vector<Header> headers{};
  std::string body{};
  // From the first byte sent to the whole response; none: the client's own.
  std::optional<std::chrono::milliseconds> timeout{};
};

struct Response {
  int status = 0;
  std::vector<Header> headers;
  std::string body;

  [[nodiscard]] const std::string* header(std::string_view name) const { return find_header(headers, name); }
};

struct Failure {
  Error error;
  // True: some of the request left this machine, so the server may have acted on it.  False: it cannot have.
  bool maybe_sent = false;
};

// A response of whatever status, or why there is none.
class Outcome {
 public:
  Outcome(Response response) : response_(std::move(response)) {}  // NOLINT(google-explicit-constructor)
  Outcome(Failure failure) : failure_(std::move(failure)) {}      // NOLINT(google-explicit-constructor)

  [[nodiscard]] bool ok() const { return response_.has_value(); }
  [[nodiscard]] Response& response() {
    CULVERT_CHECK(ok(), "response() of an exchange that failed");
    return *response_;
  }
  [[nodiscard]] const Response& response() const {
    CULVERT_CHECK(ok(), "response() of an exchange that failed");
    return *response_;
  }
  [[nodiscard]] const Failure& failure() const {
    CULVERT_CHECK(!ok(), "failure() of an exchange that has a response");
    return failure_;
  }

 private:
  std::optional<Response> response_;
  Failure failure_;
};

}  // namespace culvert::http
