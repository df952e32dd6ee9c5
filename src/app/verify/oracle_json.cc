// SPDX-License-Identifier: Apache-2.0
#include "app/verify/oracle_json.h"

#include <array>
#include <utility>

namespace culvert::oracle {

namespace {

void append_utf8(std::string& out, std::uint32_t c) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(static_cast<unsigned char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 + c / 0x40);
    put(0x80 + c % 0x40);
  } else if (c < 0x10000) {
    put(0xe0 + c / 0x1000);
    put(0x80 + c / 0x40 % 0x40);
    put(0x80 + c % 0x40);
  } else {
    put(0xf0 + c / 0x40000);
    put(0x80 + c / 0x1000 % 0x40);
    put(0x80 + c / 0x40 % 0x40);
    put(0x80 + c % 0x40);
  }
}

// Cuts the text into tokens.
class Lexer {
 public:
  explicit Lexer(std::string_view text) : rest_(text) {}

  void skip_space() {
    const auto first = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(first == std::string_view::npos ? rest_.size() : first);
  }
  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] char peek() const { return rest_.empty() ? '\0' : rest_.front(); }
  bool take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool word(std::string_view expected) {
    if (!rest_.starts_with(expected)) return false;
    rest_.remove_prefix(expected.size());
    return true;
  }

  // -? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?
  bool number(std::string& out) {
    const std::string_view all = rest_;
    take('-');
    if (!take('0') && digits() == 0) return false;
    if (take('.') && digits() == 0) return false;
    if (take('e') || take('E')) {
      if (!take('+')) take('-');
      if (digits() == 0) return false;
    }
    out.assign(all.substr(0, all.size() - rest_.size()));
    return true;
  }

  // Behind the opening quote.
  bool string(std::string& out) {
    out.clear();
    while (!rest_.empty()) {
      const char c = rest_.front();
      if (c == '"') return take('"');
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' ? !escape(out) : !character(out)) return false;
    }
    return false;
  }

 private:
  std::size_t digits() {
    std::size_t count = 0;
    while (!rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9') {
      rest_.remove_prefix(1);
      ++count;
    }
    return count;
  }

  // One code point: its value is worked out first and written again; only the shortest form gives the same bytes.
  bool character(std::string& out) {
    const auto lead = static_cast<unsigned char>(rest_.front());
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xc0 ? 0
                               : lead < 0xe0 ? 2
                               : lead < 0xf0 ? 3
                               : lead < 0xf8 ? 4
                                             : 0;
    if (length == 0 || rest_.size() < length) return false;
    constexpr std::array<std::uint32_t, 5> kLeadBits{0, 0x80, 0x20, 0x10, 0x08};
    std::uint32_t value = lead % kLeadBits.at(length);
    for (std::size_t i = 1; i < length; ++i) {
      const auto next = static_cast<unsigned char>(rest_[i]);
      if (next / 0x40 != 2) return false;
      value = value * 0x40 + next % 0x40;
    }
    if (value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return false;
    const std::size_t before = out.size();
    append_utf8(out, value);
    if (std::string_view(out).substr(before) != rest_.substr(0, length)) return false;
    rest_.remove_prefix(length);
    return true;
  }

  bool hex4(std::uint32_t& value) {
    if (rest_.size() < 4) return false;
    value = 0;
    for (int i = 0; i < 4; ++i) {
      constexpr std::string_view kLower = "0123456789abcdef";
      constexpr std::string_view kUpper = "0123456789ABCDEF";
      auto digit = kLower.find(rest_.front());
      if (digit == std::string_view::npos) digit = kUpper.find(rest_.front());
      if (digit == std::string_view::npos) return false;
      value = value * 16 + static_cast<std::uint32_t>(digit);
      rest_.remove_prefix(1);
    }
    return true;
  }

  bool escape(std::string& out) {
    rest_.remove_prefix(1);
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (const auto at = kNames.find(peek()); !rest_.empty() && at != std::string_view::npos) {
      out += kMeanings[at];
      rest_.remove_prefix(1);
      return true;
    }
    std::uint32_t first = 0;
    if (!take('u') || !hex4(first)) return false;
    if (first >= 0xd800 && first <= 0xdbff) {
      std::uint32_t second = 0;
      if (!word("\\u") || !hex4(second) || second < 0xdc00 || second > 0xdfff) return false;
      append_utf8(out, 0x10000 + (first - 0xd800) * 0x400 + (second - 0xdc00));
      return true;
    }
    if (first >= 0xdc00 && first <= 0xdfff) return false;
    append_utf8(out, first);
    return true;
  }

  std::string_view rest_;
};

// A push-down automaton: what is open, and what may come next.
class Parser {
 public:
  explicit Parser(std::string_view text) : lexer_(text) {}

  std::optional<JsonDocument> run() {
    while (lexer_.skip_space(), !lexer_.done()) {
      if (!step()) return std::nullopt;
    }
    if (next_ != Next::kEnd) return std::nullopt;
    return std::move(document_);
  }

 private:
  enum class Next { kValue, kValueOrClose, kNameOrClose, kName, kColon, kCommaOrClose, kEnd };

  bool step() {
    switch (next_) {
      case Next::kValue:
        return value();
      case Next::kValueOrClose:
        return lexer_.peek() == ']' ? close() : value();
      case Next::kNameOrClose:
        return lexer_.peek() == '}' ? close() : name();
      case Next::kName:
        return name();
      case Next::kColon:
        next_ = Next::kValue;
        return lexer_.take(':');
      case Next::kCommaOrClose:
        if (!lexer_.take(',')) return close();
        next_ = open_.back() == '{' ? Next::kName : Next::kValue;
        return true;
      case Next::kEnd:
        return false;
    }
    return false;
  }

  bool name() {
    std::string text;
    if (!lexer_.take('"') || !lexer_.string(text)) return false;
    if (open_.size() == 1) document_.members.push_back({std::move(text), JsonType::kNull, {}});
    next_ = Next::kColon;
    return true;
  }

  bool value() {
    std::string text;
    JsonType type = JsonType::kNull;
    bool good = true;
    switch (lexer_.peek()) {
      case '{':
      case '[':
        return open();
      case '"':
        type = JsonType::kString;
        good = lexer_.take('"') && lexer_.string(text);
        break;
      case 'n':
        good = lexer_.word("null");
        break;
      case 't':
      case 'f':
        type = JsonType::kBoolean;
        good = lexer_.word("true") || lexer_.word("false");
        break;
      default:
        type = JsonType::kNumber;
        good = lexer_.number(text);
    }
    note(type, std::move(text));
    next_ = open_.empty() ? Next::kEnd : Next::kCommaOrClose;
    return good;
  }

  bool open() {
    const bool object = lexer_.take('{');
    if (!object) lexer_.take('[');
    note(object ? JsonType::kObject : JsonType::kArray, {});
    open_ += object ? '{' : '[';
    next_ = object ? Next::kNameOrClose : Next::kValueOrClose;
    return true;
  }

  bool close() {
    if (!lexer_.take(open_.back() == '{' ? '}' : ']')) return false;
    open_.pop_back();
    next_ = open_.empty() ? Next::kEnd : Next::kCommaOrClose;
    return true;
  }

  void note(JsonType type, std::string text) {
    if (open_.empty()) {
      document_.type = type;
    } else if (open_.size() == 1 && open_.front() == '{') {
      document_.members.back().type = type;
      document_.members.back().text = std::move(text);
    }
  }

  Lexer lexer_;
  Next next_ = Next::kValue;
  std::string open_;  // the brackets, outermost first
  JsonDocument document_;
};

}  // namespace

std::optional<JsonDocument> parse_json(std::string_view text) { return Parser(text).run(); }

}  // namespace culvert::oracle
