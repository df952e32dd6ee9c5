// SPDX-License-Identifier: Apache-2.0
#include "app/options/option_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>

#include "app/options/did_you_mean.h"
#include "app/options/values.h"

namespace culvert {

namespace {

std::optional<std::int64_t> parse_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// An ApplyOption from a parser that yields an optional, and the sentence for what it refuses.
template <class Parse, class Target>
ApplyOption assign_parsed(Parse parse, Target* target, std::string refusal) {
  return [parse, target, refusal = std::move(refusal)](std::string_view text, const OptionSource&) -> Result<void> {
    auto value = parse(text);
    if (!value) return refuse_value(text, refusal);
    *target = *std::move(value);
    return {};
  };
}

std::string integer_refusal(OptionSet::IntegerRange range) {
  return fmt::format("is not a whole number from {} to {}", range.first, range.next - 1);
}

auto integer_parser(OptionSet::IntegerRange range) {
  return [range](std::string_view text) -> std::optional<std::int64_t> {
    const auto value = parse_integer(text);
    return value && *value >= range.first && *value < range.next ? value : std::nullopt;
  };
}

constexpr const char* kBytesRefusal = "is not a size such as 65536, 64KiB or 1GiB";
constexpr const char* kDurationRefusal = "is not a duration such as 250ms, 10s, 5m or 1h30m";

}  // namespace

Error refuse_value(std::string_view text, std::string_view why) {
  return Error::fatal(ErrorKind::kUsage, fmt::format("'{}' {}", text, why));
}

Option& OptionSet::add(Option option) {
  CULVERT_CHECK(find(option.name) == nullptr, "an option is declared twice: " + option.name);
  CULVERT_CHECK(option.apply != nullptr, "an option without apply: " + option.name);
  if (option.heading.empty()) option.heading = heading_;
  options_.push_back(std::move(option));
  return options_.back();
}

Option& OptionSet::add_parsed(Name name, std::string_view value_name, std::string default_text, std::string_view help,
                              ApplyOption apply) {
  Option option;
  option.name = name.name;
  option.letter = name.letter;
  option.value_name = value_name;
  option.help = help;
  option.default_text = std::move(default_text);
  option.apply = std::move(apply);
  return add(std::move(option));
}

Option& OptionSet::text(Name name, std::string_view value_name, std::string* target, std::string_view help) {
  return add_parsed(name, value_name, *target, help, [target](std::string_view text, const OptionSource&) {
    if (text.empty()) return Result<void>(refuse_value(text, "is empty"));
    *target = text;
    return Result<void>();
  });
}

Option& OptionSet::flag(Name name, bool* target, std::string_view help) {
  return add_parsed(name, "", "", help, [target](std::string_view text, const OptionSource&) {
    if (text != "true" && text != "false") return Result<void>(refuse_value(text, "is neither true nor false"));
    *target = text == "true";
    return Result<void>();
  });
}

Option& OptionSet::integer(Name name, IntegerRange range, std::int64_t* target, std::string_view help) {
  return add_parsed(name, "N", std::to_string(*target), help,
                    assign_parsed(integer_parser(range), target, integer_refusal(range)));
}

Option& OptionSet::integer(Name name, IntegerRange range, std::optional<std::int64_t>* target, std::string_view help) {
  return add_parsed(name, "N", "", help, assign_parsed(integer_parser(range), target, integer_refusal(range)));
}

Option& OptionSet::count(Name name, std::optional<std::int64_t>* target, std::string_view help) {
  return add_parsed(name, "N", "", help,
                    assign_parsed(parse_count, target, "is not a whole number such as 1000, 50k or 1.5M"));
}

Option& OptionSet::bytes(Name name, std::int64_t* target, std::string_view help) {
  return add_parsed(name, "SIZE", format_bytes(*target), help, assign_parsed(parse_bytes, target, kBytesRefusal));
}

Option& OptionSet::bytes(Name name, std::optional<std::int64_t>* target, std::string_view help) {
  return add_parsed(name, "SIZE", "", help, assign_parsed(parse_bytes, target, kBytesRefusal));
}

Option& OptionSet::share(Name name, std::int64_t* target_ppm, std::string_view help) {
  return add_parsed(name, "SHARE", format_share_ppm(*target_ppm), help,
                    assign_parsed(parse_share_ppm, target_ppm, "is not a share from 0 to 1 such as 0.01 or 1%"));
}

Option& OptionSet::duration(Name name, Millis* target, std::string_view help) {
  return add_parsed(name, "DURATION", format_duration(*target), help,
                    assign_parsed(parse_duration, target, kDurationRefusal));
}

Option& OptionSet::duration(Name name, std::optional<Millis>* target, std::string_view help) {
  return add_parsed(name, "DURATION", "", help, assign_parsed(parse_duration, target, kDurationRefusal));
}

Option& OptionSet::time(Name name, std::optional<EventTime>* target, std::string_view help) {
  return add_parsed(name, "TIME", "", help,
                    assign_parsed(parse_time, target, "is not a time such as 2026-11-23T15:57:00Z"));
}

Option& OptionSet::add_choice(Name name, std::vector<std::string> words, const std::string& shown,
                              std::string_view help, std::function<void(std::size_t)> assign) {
  std::string value_name = fmt::format("{}", fmt::join(words, "|"));
  return add_parsed(name, value_name, shown, help,
                    [words = std::move(words), assign = std::move(assign)](std::string_view text, const OptionSource&) {
                      for (std::size_t i = 0; i < words.size(); ++i) {
                        if (words[i] != text) continue;
                        assign(i);
                        return Result<void>();
                      }
                      return Result<void>(refuse_value(
                          text, fmt::format("is not one of {}{}", fmt::join(words, ", "), did_you_mean(text, words))));
                    });
}

void OptionSet::properties(std::string_view section, ApplyProperty apply) {
  properties_.push_back(Properties{std::string(section), std::move(apply)});
}

std::vector<Error> OptionSet::failed_checks() const {
  std::vector<Error> errors;
  for (const auto& check : checks_) {
    if (auto result = check(); !result) errors.push_back(result.error());
  }
  return errors;
}

Result<void> OptionSet::run_checks() const {
  for (const auto& check : checks_) {
    if (auto result = check(); !result) return result;
  }
  return {};
}

Option* OptionSet::find(std::string_view name) {
  for (Option& option : options_) {
    if (option.name == name) return &option;
  }
  return nullptr;
}

std::vector<std::string> OptionSet::names() const {
  std::vector<std::string> names;
  for (const Option& option : options_) names.push_back(option.name);
  return names;
}

}  // namespace culvert
