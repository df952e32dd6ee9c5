// SPDX-License-Identifier: Apache-2.0
// The options of one command, declared once: name, unit, help, and how a text becomes a value.
//
// Flow    Command::declare fills an OptionSet -> options.h reads file, environment and flags into it -> help.h prints
//         it.
// Owner   the program, one per command; it holds pointers to the command's variables, which must outlive it.
// Time    none.
// Bounds  values are checked while they are read; a set never holds a value that its parser refused.
// See     options.h for the order of precedence.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/result.h"
#include "model/time.h"

namespace culvert {

enum class SourceKind : std::uint8_t { kFile, kEnvironment, kCommandLine };

// Where a value came from, for messages and for what a source may hold (secrets: only files).
struct OptionSource {
  SourceKind kind = SourceKind::kCommandLine;
  std::string name;  // `--window`, `CULVERT_CONSUME__WINDOW`, `culvert.toml: line 3: window`
};

// Errors come from refuse_value(), or from what the value names (a file that cannot be read).  The reader puts the
// source before the message.
using ApplyOption = std::function<Result<void>(std::string_view text, const OptionSource& source)>;

struct Option {
  std::string name;          // `window`: --window on the command line, `window` in a file
  char letter = 0;           // `b`: -b; 0: none
  std::string value_name;    // `DURATION`; empty: a flag
  std::string help;          // one or two sentences, with the unit
  std::string default_text;  // as shown by help; empty: none
  std::string heading;       // the group it is shown under
  bool required = false;
  bool repeatable = false;
  bool positional = false;  // bare words (one, unless repeatable) are its values, too; at most one in a set
  ApplyOption apply;
  bool given = false;  // set by the reader
};

class OptionSet {
 public:
  OptionSet() = default;
  OptionSet(const OptionSet&) = delete;
  OptionSet& operator=(const OptionSet&) = delete;

  // The group that help shows the following options under.
  void heading(std::string_view text) { heading_ = text; }

  // The general form; everything below is made of it.  The returned option may be changed further.
  Option& add(Option option);

  struct Name {
    std::string_view name;
    char letter = 0;
    Name(const char* text, char short_name = 0)
        : name(text), letter(short_name) {}  // NOLINT(google-explicit-constructor)
  };
  Option& text(Name name, std::string_view value_name, std::string* target, std::string_view help);
  Option& flag(Name name, bool* target, std::string_view help);
  // Half-open: first <= value < next.
  struct IntegerRange {
    std::int64_t first;
    std::int64_t next;
  };
  Option& integer(Name name, IntegerRange range, std::int64_t* target, std::string_view help);
  Option& integer(Name name, IntegerRange range, std::optional<std::int64_t>* target, std::string_view help);
  Option& count(Name name, std::optional<std::int64_t>* target, std::string_view help);
  Option& bytes(Name name, std::int64_t* target, std::string_view help);
  Option& bytes(Name name, std::optional<std::int64_t>* target, std::string_view help);
  Option& share(Name name, std::int64_t* target_ppm, std::string_view help);
  Option& duration(Name name, Millis* target, std::string_view help);
  Option& duration(Name name, std::optional<Millis>* target, std::string_view help);
  Option& time(Name name, std::optional<EventTime>* target, std::string_view help);

  // One of a few words.  `help` need not repeat them.
  template <class Enum>
  Option& choice(Name name, std::vector<std::pair<std::string, Enum>> choices, Enum* target, std::string_view help) {
    std::vector<std::string> words;
    std::string shown;
    for (const auto& [word, value] : choices) {
      words.push_back(word);
      if (value == *target) shown = word;
    }
    return add_choice(name, std::move(words), shown, help,
                      [choices = std::move(choices), target](std::size_t index) { *target = choices[index].second; });
  }

  // Every `key = value` of a free-form section of the configuration file and of the environment (`[kafka]`).
  using ApplyProperty =
      std::function<Result<void>(const std::string& key, const std::string& value, const OptionSource& source)>;
  void properties(std::string_view section, ApplyProperty apply);

  // Run after all sources are read, in the order added: what no single option can check.
  void finish(std::function<Result<void>()> check) { checks_.push_back(std::move(check)); }
  [[nodiscard]] Result<void> run_checks() const;
  // What all of them say, for whoever reports more than the first.
  [[nodiscard]] std::vector<Error> failed_checks() const;

  [[nodiscard]] Option* find(std::string_view name);
  [[nodiscard]] const std::deque<Option>& options() const { return options_; }
  [[nodiscard]] std::deque<Option>& options() { return options_; }
  [[nodiscard]] std::vector<std::string> names() const;

  struct Properties {
    std::string section;
    ApplyProperty apply;
  };
  [[nodiscard]] const std::vector<Properties>& property_sections() const { return properties_; }

 private:
  Option& add_choice(Name name, std::vector<std::string> words, const std::string& shown, std::string_view help,
                     std::function<void(std::size_t)> assign);
  Option& add_parsed(Name name, std::string_view value_name, std::string default_text, std::string_view help,
                     ApplyOption apply);

  std::string heading_ = "Options";
  std::deque<Option> options_;  // a deque: add() hands out references
  std::vector<Properties> properties_;
  std::vector<std::function<Result<void>()>> checks_;
};

// `'TEXT' is not a duration such as 10s`.  The reader decides between usage (64) and configuration (78) by the source.
[[nodiscard]] Error refuse_value(std::string_view text, std::string_view why);

}  // namespace culvert
