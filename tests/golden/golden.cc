// SPDX-License-Identifier: Apache-2.0
#include "golden.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>
#include <set>

namespace culvert::golden {

namespace {

constexpr std::size_t kBytesMost = 64 << 20;

Error malformed(const std::string& file, int line, std::string_view what) {
  return Error::fatal(ErrorKind::kData, fmt::format("{}:{}: {}", file, line, what));
}

// Reads a number that takes all of `text`.
std::optional<std::size_t> whole_number(std::string_view text, int base) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Result<std::string> unescape(std::string_view text) {
  const auto bad = [&](std::string_view what) {
    return Error::fatal(ErrorKind::kData, fmt::format("'{}': {}", text.substr(0, 80), what));
  };
  std::string out;
  while (!text.empty()) {
    if (text.starts_with("\\x")) {
      const auto byte = whole_number(text.substr(2, 2), 16);
      if (text.size() < 4 || !byte) return bad("\\x needs two hexadecimal digits");
      out.push_back(static_cast<char>(*byte));
      text.remove_prefix(4);
    } else if (text.starts_with("\\*")) {
      const std::size_t open = text.find('(');
      const std::size_t close = text.find(')');
      if (open == text.npos || close == text.npos || close < open) return bad("\\* needs a number and (text)");
      const auto times = whole_number(text.substr(2, open - 2), 10);
      const auto inner = unescape(text.substr(open + 1, close - open - 1));
      if (!inner.ok()) return inner.error();
      if (!times || *times * inner->size() > kBytesMost)
        return bad("\\* needs a number, and a result of at most 64 MiB");
      for (std::size_t i = 0; i < *times; ++i) out += *inner;
      text.remove_prefix(close + 1);
    } else {
      out.push_back(text.front());
      text.remove_prefix(1);
    }
  }
  return out;
}

Result<std::vector<Case>> parse_golden(std::string_view content, const std::string& file) {
  std::vector<Case> cases;
  std::set<std::string, std::less<>> names;
  int number = 0;
  while (!content.empty()) {
    ++number;
    const std::size_t end = std::min(content.find('\n'), content.size());
    const std::string_view line = content.substr(0, end);
    content.remove_prefix(std::min(end + 1, content.size()));
    if (line.empty() || line.front() == '#') continue;
    const std::size_t colon = line.find(':');
    if (colon == line.npos) return malformed(file, number, "a line is `keyword: text`, a comment or empty");
    const std::string keyword{line.substr(0, colon)};
    std::string_view text = line.substr(colon + 1);
    if (!text.empty() && text.front() != ' ') return malformed(file, number, "one space stands behind the colon");
    if (!text.empty()) text.remove_prefix(1);
    if (!text.empty() && text.back() == ' ') return malformed(file, number, "a space at the end is written \\x20");
    if (keyword == "case") {
      if (text.empty() || !names.emplace(text).second) return malformed(file, number, "a name is needed, once only");
      cases.push_back({std::string(text), "", {}, file, number});
    } else if (cases.empty()) {
      return malformed(file, number, "a case starts with `case: name`");
    } else if (keyword == "about") {
      cases.back().about = text;
    } else {
      cases.back().lines.push_back({keyword, std::string(text), number});
    }
  }
  for (const Case& each : cases) {
    if (each.about.empty()) return malformed(file, each.number, "the case says nothing about itself (about: ..)");
    if (each.lines.empty()) return malformed(file, each.number, "the case states nothing");
  }
  return cases;
}

Result<std::vector<Case>> read_golden(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(in), {}};
  if (!in && !in.eof()) return Error::fatal(ErrorKind::kIo, fmt::format("{}: cannot be read", file.string()));
  auto cases = parse_golden(content, file.filename().string());
  if (cases.ok() && cases->empty()) return Error::fatal(ErrorKind::kData, fmt::format("{}: no case", file.string()));
  return cases;
}

Result<std::vector<Case>> read_golden_folder(const std::filesystem::path& folder) {
  std::vector<std::filesystem::path> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  if (files.empty()) return Error::fatal(ErrorKind::kIo, fmt::format("{}: no .txt file", folder.string()));
  std::sort(files.begin(), files.end());
  std::vector<Case> all;
  for (const auto& file : files) {
    auto cases = read_golden(file);
    if (!cases.ok()) return cases.error();
    std::move(cases->begin(), cases->end(), std::back_inserter(all));
  }
  return all;
}

Result<Definition> definition_with(std::string_view pairs) {
  std::string text = definition_text(Definition{});
  for (std::size_t at = 0; at < pairs.size();) {
    const std::size_t end = std::min(pairs.find(' ', at), pairs.size());
    const std::string pair(pairs.substr(at, end - at));
    const std::string name = pair.substr(0, pair.find('=') + 1);
    const std::size_t found = (" " + text).find(" " + name);
    if (found == std::string::npos) {
      return Error::fatal(ErrorKind::kData, fmt::format("'{}': a definition has no such name", pair));
    }
    text.replace(found, std::min(text.find(' ', found), text.size()) - found, pair);
    at = end + 1;
  }
  return parse_definition(text);
}

}  // namespace culvert::golden
