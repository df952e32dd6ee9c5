// SPDX-License-Identifier: Apache-2.0
#include "app/doctor/connection_check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <boost/json.hpp>
#include <functional>
#include <map>
#include <optional>
#include <regex>

#include "app/options/did_you_mean.h"

namespace culvert {

namespace {

using boost::json::object;
using boost::json::value;

// The line of each member, by its path (`brokers.1.host`); of a text that is JSON.
class LineIndex {
 public:
  explicit LineIndex(std::string_view text) : text_(text) { read_value(""); }
  [[nodiscard]] std::size_t of(const std::string& path) const {
    const auto found = lines_.find(path);
    return found == lines_.end() ? 1 : found->second;
  }

 private:
  void skip(std::string_view characters) {
    for (; at_ < text_.size() && characters.find(text_[at_]) != std::string_view::npos; ++at_) {
      if (text_[at_] == '\n') ++line_;
    }
  }
  std::string read_string() {
    std::string out;
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
      if (at_ < text_.size()) out += text_[at_];
    }
    ++at_;
    return out;
  }
  void read_value(const std::string& path) {
    constexpr std::string_view kBlanks = " \t\r\n";
    skip(kBlanks);
    if (at_ >= text_.size()) return;
    const char first = text_[at_];
    if (first == '"') {
      read_string();
    } else if (first == '{' || first == '[') {
      const char close = first == '{' ? '}' : ']';
      ++at_;
      for (skip(" \t\r\n,"); at_ < text_.size() && text_[at_] != close; skip(" \t\r\n,")) {
        std::string inner = path;
        if (first == '{') {
          const std::size_t line = line_;
          inner += (path.empty() ? "" : ".") + read_string();
          lines_[inner] = line;
          skip(" \t\r\n:");
        }
        read_value(inner);
      }
      ++at_;
    } else {
      while (at_ < text_.size() && std::string_view(",]} \t\r\n").find(text_[at_]) == std::string_view::npos) ++at_;
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
  std::map<std::string, std::size_t> lines_;
};

// A member of the form: how its value is judged (empty: right), and whether it must be there.
struct Member {
  std::string name;
  bool required;
  std::function<std::string(const value&)> judge;
};

std::function<std::string(const value&)> text_like(const char* pattern, std::string example) {
  return [pattern, example = std::move(example)](const value& v) -> std::string {
    const auto* text = v.if_string();
    if (text == nullptr) return fmt::format("is not a text such as \"{}\"", example);
    const bool fits = std::regex_match(std::string(text->data(), text->size()), std::regex(pattern));
    return fits ? std::string() : fmt::format("'{}' is not of the form {}", std::string_view(*text), example);
  };
}

std::function<std::string(const value&)> number_between(std::int64_t least, std::int64_t most) {
  return [least, most](const value& v) -> std::string {
    const auto* number = v.if_int64();
    if (number != nullptr && *number >= least && *number <= most) return {};
    return fmt::format("is not a whole number from {} to {}", least, most);
  };
}

std::string judge_authentication(const value& v) {
  const std::vector<std::string> known{"scram", "iam", "mtls"};
  const auto* text = v.if_string();
  if (text == nullptr) return "is not one of \"scram\", \"iam\", \"mtls\"";
  const std::string word(text->data(), text->size());
  if (std::find(known.begin(), known.end(), word) != known.end()) return {};
  return fmt::format("'{}' is not one of scram, iam, mtls{}", word, did_you_mean(word, known));
}

std::string judge_zones(const value& v) {
  const auto* zones = v.if_array();
  if (zones == nullptr || zones->empty()) return "is not a list of zone ids such as [\"euc1-az1\"]";
  const auto judge = text_like("[a-z0-9]+-az[0-9]+", "euc1-az1");
  for (const value& zone : *zones) {
    if (auto wrong = judge(zone); !wrong.empty()) return wrong;
  }
  return {};
}

std::vector<Member> document_members() {
  return {{"version", true,
           [](const value& v) -> std::string {
             const auto* number = v.if_int64();
             return number != nullptr && *number == 1 ? "" : "is not 1, the only version that this culvert knows";
           }},
          {"cluster", true,
           text_like("arn:aws[a-z-]*:kafka:[a-z0-9-]+:[0-9]{12}:cluster/[0-9A-Za-z-]+/[0-9a-f-]+",
                     "arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/UUID")},
          {"region", true, text_like("[a-z]{2}(-[a-z]+)+-[0-9]", "eu-central-1")},
          {"kafka_version", true, text_like("[0-9]+[.][0-9]+[.][0-9x]+([.]kraft)?", "3.9.x.kraft")},
          {"authentication", true, judge_authentication},
          {"client_idle_ms_max", false, number_between(1'000, 6'000'000)},
          {"brokers", true, [](const value& v) -> std::string {
             return v.is_object() && !v.get_object().empty() ? "" : "is not an object with a member for each broker";
           }}};
}

std::vector<Member> broker_members() {
  return {{"host", true, text_like("b-[1-9][0-9]?[.][a-z0-9.-]+", "b-1.name.kafka.eu-central-1.amazonaws.com")},
          {"port", true, number_between(1, 65'535)},
          {"service_name", false,
           text_like("com[.]amazonaws[.]vpce[.][a-z0-9-]+[.]vpce-svc-[0-9a-f]+",
                     "com.amazonaws.vpce.REGION.vpce-svc-0123456789abcdef0")},
          {"zone_ids", false, judge_zones}};
}

class Checker {
 public:
  Checker(std::string_view text, const std::string& file) : index_(text), file_(file) {}

  void check(const object& members, const std::vector<Member>& form, const std::string& path) {
    const std::string dot = path.empty() ? "" : path + ".";
    for (const auto& entry : members) {
      const std::string name(entry.key());
      const auto known = std::find_if(form.begin(), form.end(), [&](const Member& m) { return m.name == name; });
      if (known == form.end()) {
        std::vector<std::string> names;
        names.reserve(form.size());
        for (const Member& member : form) names.push_back(member.name);
        complain(dot + name, fmt::format("unknown member '{}'{}", name, did_you_mean(name, names)));
      } else if (auto wrong = known->judge(entry.value()); !wrong.empty()) {
        complain(dot + name, fmt::format("{} {}", name, wrong));
      }
    }
    for (const Member& member : form) {
      if (member.required && !members.contains(member.name)) complain(path, fmt::format("{} is missing", member.name));
    }
  }

  void check_brokers(const object& brokers) {
    const std::regex id("[1-9][0-9]?");
    for (const auto& entry : brokers) {
      const std::string name(entry.key());
      const std::string path = "brokers." + name;
      if (!std::regex_match(name, id)) complain(path, fmt::format("'{}' is not a broker's id (1 to 99)", name));
      const auto* broker = entry.value().if_object();
      if (broker == nullptr) {
        complain(path, fmt::format("broker {} is not an object with host and port", name));
        continue;
      }
      check(*broker, broker_members(), path);
      if (broker->contains("service_name") && !broker->contains("zone_ids")) {
        complain(path, fmt::format("broker {}: service_name without zone_ids", name));
      }
    }
  }

  void complain(const std::string& path, std::string_view why) { complain_at(index_.of(path), why); }
  void complain_at(std::size_t line, std::string_view why) {
    problems_.push_back({line, fmt::format("{}: line {}: {}", file_, line, why)});
  }

  [[nodiscard]] std::vector<LineProblem> take() {
    std::stable_sort(problems_.begin(), problems_.end(), [](const auto& a, const auto& b) { return a.line < b.line; });
    return std::move(problems_);
  }

 private:
  LineIndex index_;
  const std::string& file_;
  std::vector<LineProblem> problems_;
};

}  // namespace

std::vector<LineProblem> check_connection(std::string_view text, const std::string& file_name) {
  boost::json::parser parser;
  boost::json::error_code failed;
  const std::size_t read = parser.write(text.data(), text.size(), failed);
  if (failed) {
    const auto line =
        1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(read), '\n'));
    return {{line, fmt::format("{}: line {}: this is no JSON: {}", file_name, line, failed.message())}};
  }
  const value document = parser.release();
  Checker checker(text, file_name);
  const auto* members = document.if_object();
  if (members == nullptr) {
    checker.complain_at(1, "the document is not an object");
    return checker.take();
  }
  checker.check(*members, document_members(), "");
  const auto* brokers = members->if_contains("brokers");
  if (brokers != nullptr && brokers->is_object()) checker.check_brokers(brokers->get_object());
  return checker.take();
}

}  // namespace culvert
