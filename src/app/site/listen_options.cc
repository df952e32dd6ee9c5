// SPDX-License-Identifier: Apache-2.0
#include "app/site/listen_options.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "adapters/http/address.h"
#include "app/cli/config_file.h"

namespace culvert {

namespace {

constexpr std::size_t kTokenFewest = 20;
constexpr std::size_t kTokenMost = 512;

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return port;
}

bool loopback(const std::string& address) {
  const auto parsed = http::Address::parse(address);
  return parsed && parsed->loopback();
}

}  // namespace

std::optional<ListenAddress> parse_listen(std::string_view text) {
  ListenAddress listen;
  if (const auto port = parse_port(text)) {
    listen.port = *port;
    return listen;
  }
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) return std::nullopt;
  std::string_view host = text.substr(0, colon);
  const bool bracketed = host.starts_with('[') && host.ends_with(']');
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  const auto address = http::Address::parse(host);
  if (!address || (address->family == http::AddressFamily::kV6) != bracketed) return std::nullopt;
  listen.address = address->text();
  listen.port = *port;
  return listen;
}

void ListenOptions::declare(OptionSet& options, std::string_view by_default) {
  options.heading("Dashboard, metrics and health over HTTP");
  Option listen;
  listen.name = "listen";
  listen.value_name = "[ADDRESS:]PORT|off";
  listen.help =
      "Serve the dashboard, /metrics, /healthz and /readyz here; port 0 takes a free one. Without an address only this "
      "machine can connect.";
  listen.default_text = by_default.empty() ? "off" : std::string(by_default);
  if (!by_default.empty()) address_ = parse_listen(by_default);
  listen.apply = [this](std::string_view text, const OptionSource&) -> Result<void> {
    if (text == "off") {
      address_.reset();
      return {};
    }
    const auto parsed = parse_listen(text);
    if (!parsed) return refuse_value(text, "is neither PORT, ADDRESS:PORT nor off (names are not looked up)");
    address_ = parsed;
    return {};
  };
  options.add(std::move(listen));
  options.flag("listen-public", &public_,
               "Allow an --listen address that other machines can reach; needs --listen-token-file.");
  options.text("listen-token-file", "FILE", &token_file_,
               "The token that readers must know, as Authorization: Bearer or at the login page.");
  options.finish([this] { return check(); });
}

Result<void> ListenOptions::check() const {
  if (!address_ || loopback(address_->address)) return {};
  const std::string at =
      fmt::format("--listen {}:{} can be reached by other machines", address_->address, address_->port);
  if (!public_) {
    return Error::fatal(ErrorKind::kUsage,
                        at + ": say --listen-public --listen-token-file FILE, or listen on 127.0.0.1");
  }
  if (token_file_.empty()) return Error::fatal(ErrorKind::kUsage, at + ": it needs --listen-token-file FILE");
  return {};
}

Result<std::optional<ListenSettings>> ListenOptions::settings() const {
  if (!address_) return std::optional<ListenSettings>{};
  ListenSettings settings{*address_, std::nullopt};
  if (!token_file_.empty()) {
    auto token = read_secret("@file:" + token_file_);
    if (!token) return token.error().within("--listen-token-file");
    const bool printable = std::all_of(token->begin(), token->end(), [](char c) { return c > ' ' && c < 0x7f; });
    if (!printable || token->size() < kTokenFewest || token->size() > kTokenMost) {
      return Error::fatal(ErrorKind::kConfiguration,
                          fmt::format("--listen-token-file {}: a token is {} to {} characters without spaces (for "
                                      "instance: openssl rand -hex 24)",
                                      token_file_, kTokenFewest, kTokenMost));
    }
    settings.token = *std::move(token);
  }
  return std::optional<ListenSettings>(std::move(settings));
}

}  // namespace culvert
