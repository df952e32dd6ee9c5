// SPDX-License-Identifier: Apache-2.0
// Bytes of a connection to one ServerRequest, by Beast's parser.
//
// Flow    ServerSession feeds what it reads -> [RequestReader] -> ServerRequest, or the status that refuses it.
// Owner   a ServerSession holds one per request.  Internal to adapters/http.
// Time    none.
// Bounds  header and body limits of the Server; beyond them 431 and 413.
// See     RFC 9112.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "adapters/http/server.h"

namespace culvert::http {

class RequestReader final : private boost::beast::http::basic_parser<true> {
 public:
  RequestReader(std::size_t header_bytes_most, std::size_t body_bytes_most);

  enum class State : std::uint8_t { kHeader, kBody, kComplete, kRefused };

  // Takes what it can of `bytes` and returns how many; what is left is to be presented again with more behind it.
  std::size_t feed(std::string_view bytes);

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] int refusal() const { return refusal_; }  // kRefused: the status to answer with
  [[nodiscard]] bool expects_continue() const;            // kBody: the client waits for `100 Continue`
  [[nodiscard]] bool keeps_alive() const { return keep_alive(); }
  [[nodiscard]] bool chunks_allowed() const { return version_ >= 11; }
  [[nodiscard]] ServerRequest& request() { return request_; }

 private:
  using Parser = boost::beast::http::basic_parser<true>;
  using error_code = boost::beast::error_code;
  using Text = boost::beast::string_view;

  void refuse(int status);
  void check_header();

  void on_request_impl(boost::beast::http::verb, Text method, Text target, int version, error_code&) override;
  void on_response_impl(int, Text, int, error_code&) override {}
  void on_field_impl(boost::beast::http::field, Text name, Text value, error_code&) override;
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override;
  std::size_t on_body_impl(Text body, error_code&) override;
  void on_chunk_header_impl(std::uint64_t, Text, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, error_code&) override;
  void on_finish_impl(error_code&) override {}

  const std::size_t header_bytes_most_;
  std::size_t header_bytes_ = 0;
  ServerRequest request_;
  State state_ = State::kHeader;
  int refusal_ = 0;
  int version_ = 11;
};

// A target's parts, percent-decoded.
struct TargetParts {
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;  // in order; `+` is a space

  [[nodiscard]] const std::string* parameter(std::string_view name) const;
};

// Error (kUsage): a `%` that two hexadecimal digits do not follow, or a NUL in the path.
[[nodiscard]] Result<TargetParts> parse_target(std::string_view target);

}  // namespace culvert::http
