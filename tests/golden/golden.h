// SPDX-License-Identifier: Apache-2.0
// Golden cases: texts that state what goes in and what must come out, to be read without knowing any C++.
//
// Flow    tests/golden/*/*.txt -> [read_golden] -> the test that runs the cases of that folder.
// Owner   the test.
// Time    none.
// Bounds  a file is read as a whole.
// See     the head of tests/golden/poison.txt, which says what a case looks like.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "model/definition.h"
#include "model/result.h"

namespace culvert::golden {

// `keyword: text`, in the order of the file.
struct Line {
  std::string keyword;
  std::string text;  // as written, without what the escapes stand for
  int number = 0;    // in the file, from 1
};

struct Case {
  std::string name;         // of `case:`, unique in its file
  std::string about;        // of `about:`
  std::vector<Line> lines;  // all others
  std::string file;
  int number = 0;  // of the line that opens it

  [[nodiscard]] std::string where(const Line& line) const { return file + ":" + std::to_string(line.number); }
};

// Every case of a file.  An error names the file and the line.
[[nodiscard]] Result<std::vector<Case>> read_golden(const std::filesystem::path& file);
[[nodiscard]] Result<std::vector<Case>> parse_golden(std::string_view content, const std::string& file);

// Every case of every .txt file of a folder, by file name; an error if there is none.
[[nodiscard]] Result<std::vector<Case>> read_golden_folder(const std::filesystem::path& folder);

// What `text` stands for: `\xHH` is a byte, `\*N(text)` is N times the text up to the next closing parenthesis (write
// that one as \x29), in which \xHH holds too.  Any other backslash is itself, so that JSON is written as it is.
[[nodiscard]] Result<std::string> unescape(std::string_view text);

// The default definition with `pairs` of the definition text in place of its own.
[[nodiscard]] Result<Definition> definition_with(std::string_view pairs);

}  // namespace culvert::golden
