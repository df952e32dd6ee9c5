// SPDX-License-Identifier: Apache-2.0
// Where a command serves its page, metrics and health.
//
// Flow    --listen, --listen-public, --listen-token-file -> [ListenOptions] -> HttpSite.
// Owner   the command.
// Time    none.
// Bounds  a token is 20 to 512 printable characters.
// See     docs/security.md: HTTP.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "app/options/option_set.h"

namespace culvert {

struct ListenAddress {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;
  friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

// `PORT`, `ADDRESS:PORT`, `[V6]:PORT`, `localhost:PORT`; port 0 is a free one.
[[nodiscard]] std::optional<ListenAddress> parse_listen(std::string_view text);

struct ListenSettings {
  ListenAddress address;
  std::optional<std::string> token;
};

class ListenOptions {
 public:
  ListenOptions() = default;
  ListenOptions(const ListenOptions&) = delete;
  ListenOptions& operator=(const ListenOptions&) = delete;
  ~ListenOptions() = default;

  // `by_default`: what is served without --listen; empty: nothing.
  void declare(OptionSet& options, std::string_view by_default);

  // Absent: nothing is served.  Reads the token.  Error (kConfiguration): the token's file cannot be used.
  [[nodiscard]] Result<std::optional<ListenSettings>> settings() const;

 private:
  [[nodiscard]] Result<void> check() const;

  std::optional<ListenAddress> address_;
  bool public_ = false;
  std::string token_file_;
};

}  // namespace culvert
