// SPDX-License-Identifier: Apache-2.0
// Bytes of a connection to one Response, by Beast's parser.
//
// Flow    Connection feeds what it reads -> [ResponseReader] -> Response.
// Owner   a Connection holds one per exchange.  Internal to adapters/http.
// Time    none.
// Bounds  header and body limits of the Client; beyond them an error.
// See     RFC 9112.
#pragma once

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "adapters/http/message.h"

namespace culvert::http {

class ResponseReader final : public boost::beast::http::basic_parser<false> {
 public:
  ResponseReader(std::size_t header_bytes_most, std::size_t body_bytes_most, bool head_request) {
    header_limit(static_cast<std::uint32_t>(header_bytes_most));
    body_limit(static_cast<std::uint64_t>(body_bytes_most));
    eager(true);
    if (head_request) skip(true);
    constexpr std::size_t kHeadersUsual = 8;  // DynamoDB answers with seven
    response_.headers.reserve(kHeadersUsual);
  }
  [[nodiscard]] Response& response() { return response_; }

 private:
  using error_code = boost::beast::error_code;
  using Text = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb, Text, Text, int, error_code&) override {}
  void on_response_impl(int code, Text, int, error_code&) override { response_.status = code; }
  void on_field_impl(boost::beast::http::field, Text name, Text value, error_code&) override {
    response_.headers.push_back(Header{std::string(name), std::string(value)});
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    // A length is only a claim, but what it reserves takes no memory before bytes arrive.  An invocation of 6 MB would
    // otherwise be copied again each time that it outgrows its room.
    constexpr std::uint64_t kReserveMost = std::uint64_t{8} << 20;
    if (length) response_.body.reserve(static_cast<std::size_t>(std::min(*length, kReserveMost)));
  }
  std::size_t on_body_impl(Text body, error_code&) override {
    response_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, Text, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, Text body, error_code&) override {
    response_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  Response response_;
};

}  // namespace culvert::http
