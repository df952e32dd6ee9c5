// SPDX-License-Identifier: Apache-2.0
// AWS Signature Version 4: requests signed by headers, URLs signed by their query.
//
// Flow    an AWS request and credentials -> canonical request -> string to sign -> [Signer] -> signed request.
// Owner   a Signer belongs to one client of one service; not for several threads.
// Time    the caller's: UTC seconds.  A service refuses what is more than five minutes away from its own clock.
// Bounds  keeps one signing key, and what does not change from one request of a second to the next: nearly all of the
//         canonical request, so that signing costs little more than hashing the body.
// See     AWS, "Create a signed AWS API request" (IAM user guide).  Verified by the published vectors in
//         tests/golden/sigv4.txt and a second implementation, tests/aws/sigv4_vectors.py.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/aws/digest.h"
#include "adapters/http/message.h"

namespace culvert::aws {

// Secret: never logged, never part of an error.
struct Credentials {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;                           // empty: long-lived credentials
  std::optional<std::chrono::sys_seconds> expires_at;  // absent: they do not expire
};

// Decoded names and values.
using QueryPairs = std::vector<std::pair<std::string, std::string>>;
[[nodiscard]] QueryPairs parse_query(std::string_view query);

struct CanonicalInput {
  std::string_view method;
  std::string_view path;  // as it stands in the request line, without the query
  QueryPairs query;
  const std::vector<http::Header>& headers;  // all of them are signed
  std::string_view body_sha256_hex;
};

struct CanonicalRequest {
  std::string text;
  std::string signed_headers;  // `host;x-amz-date;..`
};

[[nodiscard]] CanonicalRequest canonical_request(const CanonicalInput& input);

// `20150830T123600Z`
[[nodiscard]] std::string amz_date(std::chrono::sys_seconds time);
[[nodiscard]] std::optional<std::chrono::sys_seconds> parse_amz_date(std::string_view text);

class Signer {
 public:
  Signer(std::string region, std::string service) : region_(std::move(region)), service_(std::move(service)) {}

  // Adds X-Amz-Date, X-Amz-Security-Token and Authorization; every header that is there already is signed, and `host`
  // (the Host header the HTTP client will send).
  void sign(http::Request& request, const std::string& host, const Credentials& credentials,
            std::chrono::sys_seconds now);

  // `path?query` with the signature in the query, valid for `valid` from `now`; only `host` is signed and the body is
  // empty.
  [[nodiscard]] std::string presign(std::string_view method, const std::string& host, std::string_view path,
                                    QueryPairs query, const Credentials& credentials, std::chrono::sys_seconds now,
                                    std::chrono::seconds valid);

  // The signature alone, for whoever verifies one.
  [[nodiscard]] std::string signature(const std::string& canonical_request_text, const std::string& date,
                                      const Credentials& credentials);

  [[nodiscard]] const std::string& region() const { return region_; }

 private:
  // Everything of a signature but the body's hash.
  struct Template {
    std::chrono::sys_seconds time{};
    std::string access_key_id;
    std::string session_token;
    std::string host;
    std::string method;
    std::string target;
    std::vector<http::Header> headers;
    std::string date;
    std::string canonical;      // up to the body's hash
    std::string to_sign;        // up to the canonical request's hash
    std::string authorization;  // up to the signature
    bool made = false;
  };
  [[nodiscard]] bool fits(const http::Request& request, const std::string& host, const Credentials& credentials,
                          std::chrono::sys_seconds now) const;
  void make_template(const http::Request& request, const std::string& host, const Credentials& credentials,
                     std::chrono::sys_seconds now);
  [[nodiscard]] std::string scope(std::string_view date) const;
  const Digest& signing_key(std::string_view day, const Credentials& credentials);

  std::string region_;
  std::string service_;
  Template template_;
  std::string scratch_;  // of sign()
  std::string key_day_;
  std::string key_secret_;
  Digest key_{};
};

}  // namespace culvert::aws
