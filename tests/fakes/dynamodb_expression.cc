// SPDX-License-Identifier: Apache-2.0
#include "fakes/dynamodb_expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <vector>

#include "adapters/dynamodb/item_codec.h"

namespace culvert::fakes {

namespace {

namespace json = boost::json;

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

// `{"N": value}`: the type's letter and the value.
const json::object::value_type* single(const json::value& attribute) {
  const auto* object = attribute.if_object();
  return object == nullptr || object->size() != 1 ? nullptr : object->begin();
}

std::optional<Int128> number(const json::value& text) {
  const auto* string = text.if_string();
  return string == nullptr ? std::nullopt : dynamodb::parse_number(view(*string), 12);
}

bool same_map(const json::value& a, const json::value& b) {
  const auto* left = a.if_object();
  const auto* right = b.if_object();
  if (left == nullptr || right == nullptr || left->size() != right->size()) return false;
  return std::all_of(left->begin(), left->end(), [&](const auto& entry) {
    const auto* other = right->if_contains(entry.key());
    return other != nullptr && same_attribute(entry.value(), *other);
  });
}

bool same_list(const json::value& a, const json::value& b) {
  const auto* left = a.if_array();
  const auto* right = b.if_array();
  return left != nullptr && right != nullptr &&
         std::equal(left->begin(), left->end(), right->begin(), right->end(), same_attribute);
}

class Parser {
 public:
  Parser(std::string_view text, const ExpressionContext& context, const json::object* item)
      : whole_(text), context_(context), item_(item) {
    split(text);
  }

  Result<bool> run() {
    bool all = true;
    do {
      const bool term_holds = term();
      all = all && term_holds;
    } while (good_ && take("AND"));
    if (!good_ || at_ != words_.size()) {
      return Error::fatal(ErrorKind::kUsage, fmt::format("Invalid expression: {}", whole_));
    }
    return all;
  }

 private:
  void split(std::string_view text) {
    std::string word;
    const auto flush = [&] {
      if (!word.empty()) words_.push_back(std::exchange(word, {}));
    };
    for (const char c : text) {
      if (c == ' ' || c == '(' || c == ')' || c == ',') {
        flush();
        if (c != ' ') words_.emplace_back(1, c);
      } else {
        word += c;
      }
    }
    flush();
  }
  bool take(std::string_view word) {
    if (at_ >= words_.size() || words_[at_] != word) return false;
    ++at_;
    return true;
  }
  std::string next() {
    if (at_ < words_.size()) return words_[at_++];
    good_ = false;
    return {};
  }
  // The attribute a path names, or null.
  const json::value* path() {
    std::string name = next();
    if (name.starts_with('#')) {
      const auto* alias = context_.names == nullptr ? nullptr : context_.names->if_contains(name);
      if (alias == nullptr || !alias->is_string()) {
        good_ = false;
        return nullptr;
      }
      name = view(alias->get_string());
    }
    return item_ == nullptr ? nullptr : item_->if_contains(name);
  }
  const json::value* operand() {
    const std::string name = next();
    const auto* value =
        context_.values == nullptr || !name.starts_with(':') ? nullptr : context_.values->if_contains(name);
    good_ = good_ && value != nullptr;
    return value;
  }
  bool term() {
    for (const auto& [function, wanted] :
         {std::pair<std::string_view, bool>{"attribute_exists", true}, {"attribute_not_exists", false}}) {
      if (!take(function)) continue;
      good_ = good_ && take("(");
      const bool there = path() != nullptr;
      good_ = good_ && take(")");
      return there == wanted;
    }
    const json::value* left = path();
    const std::string op = next();
    const json::value* right = operand();
    const json::value* upper = nullptr;
    if (op == "BETWEEN") {
      good_ = good_ && take("AND");
      upper = operand();
    }
    if (!good_ || left == nullptr) return false;
    if (op == "=") return same_attribute(*left, *right);
    if (op == "<>") return !same_attribute(*left, *right);
    const auto order = compare_attributes(*left, *right);
    if (op == "<") return order && *order < 0;
    if (op == "<=") return order && *order <= 0;
    if (op == ">") return order && *order > 0;
    if (op == ">=") return order && *order >= 0;
    if (op == "BETWEEN") {
      const auto above = compare_attributes(*left, *upper);
      return order && *order >= 0 && above && *above <= 0;
    }
    good_ = false;
    return false;
  }

  std::string_view whole_;
  const ExpressionContext& context_;
  const json::object* item_;
  std::vector<std::string> words_;
  std::size_t at_ = 0;
  bool good_ = true;
};

}  // namespace

bool same_attribute(const json::value& a, const json::value& b) {
  const auto* left = single(a);
  const auto* right = single(b);
  if (left == nullptr || right == nullptr || left->key() != right->key()) return false;
  if (left->key() == "N") {
    const auto x = number(left->value());
    return x && x == number(right->value());
  }
  if (left->key() == "M") return same_map(left->value(), right->value());
  if (left->key() == "L") return same_list(left->value(), right->value());
  return left->value() == right->value();
}

std::optional<std::strong_ordering> compare_attributes(const json::value& a, const json::value& b) {
  const auto* left = single(a);
  const auto* right = single(b);
  if (left == nullptr || right == nullptr || left->key() != right->key()) return std::nullopt;
  if (left->key() == "N") {
    const auto x = number(left->value());
    const auto y = number(right->value());
    if (!x || !y) return std::nullopt;
    return *x < *y ? std::strong_ordering::less : *x > *y ? std::strong_ordering::greater : std::strong_ordering::equal;
  }
  if (left->key() != "S" || !left->value().is_string() || !right->value().is_string()) return std::nullopt;
  return view(left->value().get_string()) <=> view(right->value().get_string());
}

Result<bool> holds(std::string_view expression, const ExpressionContext& context, const json::object* item) {
  return Parser(expression, context, item).run();
}

}  // namespace culvert::fakes
