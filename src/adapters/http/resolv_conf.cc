// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/resolv_conf.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "adapters/http/dns_message.h"

namespace culvert::http {

namespace {

constexpr std::size_t kServersMost = 3;
constexpr std::size_t kSearchMost = 6;

std::string lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

// The next word of a line, or an empty view.
std::string_view take_word(std::string_view& line) {
  const auto first = line.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return line = {};
  line.remove_prefix(first);
  const auto word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

std::string_view take_line(std::string_view& text, std::string_view comment) {
  const auto end = text.find('\n');
  auto line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line.substr(0, line.find_first_of(comment));
}

std::optional<int> option_value(std::string_view word, std::string_view name, int most) {
  if (!word.starts_with(name)) return std::nullopt;
  word.remove_prefix(name.size());
  int value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || value < 0) return std::nullopt;
  return std::min(value, most);
}

void read_options(std::string_view line, ResolvConf& conf) {
  for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
    if (const auto ndots = option_value(word, "ndots:", 15)) conf.ndots = *ndots;
    if (const auto attempts = option_value(word, "attempts:", 5)) conf.attempts = std::max(1, *attempts);
    if (const auto timeout = option_value(word, "timeout:", 30)) {
      conf.timeout = std::chrono::seconds{std::max(1, *timeout)};
    }
  }
}

void read_search(std::string_view line, ResolvConf& conf) {
  conf.search.clear();  // the last search or domain line is the one that counts
  for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
    while (word.ends_with('.')) word.remove_suffix(1);
    if (is_dns_name(word) && conf.search.size() < kSearchMost) conf.search.push_back(lowered(word));
  }
}

}  // namespace

ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  while (!text.empty()) {
    auto line = take_line(text, "#;");
    const auto keyword = take_word(line);
    if (keyword == "nameserver") {
      const auto address = Address::parse(take_word(line));
      if (address && conf.servers.size() < kServersMost) conf.servers.push_back(*address);
    } else if (keyword == "search" || keyword == "domain") {
      read_search(line, conf);
    } else if (keyword == "options") {
      read_options(line, conf);
    }
  }
  if (conf.servers.empty()) conf.servers.push_back(Address::v4(127, 0, 0, 1));
  return conf;
}

std::vector<Address> find_in_hosts(std::string_view text, std::string_view host) {
  std::vector<Address> addresses;
  while (!text.empty()) {
    auto line = take_line(text, "#");
    const auto address = Address::parse(take_word(line));
    if (!address) continue;
    for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
      if (lowered(word) != host) continue;
      if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) addresses.push_back(*address);
      break;
    }
  }
  return addresses;
}

std::vector<std::string> search_candidates(const ResolvConf& conf, std::string_view host) {
  std::vector<std::string> names;
  const auto add = [&](std::string name) {
    if (is_dns_name(name)) names.push_back(std::move(name));
  };
  if (host.ends_with('.')) {
    add(lowered(host.substr(0, host.size() - 1)));
    return names;
  }
  const std::string whole = lowered(host);
  const bool as_it_is_first = std::count(whole.begin(), whole.end(), '.') >= conf.ndots;
  if (as_it_is_first) add(whole);
  for (const std::string& domain : conf.search) add(fmt::format("{}.{}", whole, domain));
  if (!as_it_is_first) add(whole);
  return names;
}

}  // namespace culvert::http
