// SPDX-License-Identifier: Apache-2.0
#include "json_judge.h"

#include <rapidjson/memorystream.h>
#include <rapidjson/reader.h>

namespace culvert {

Judgement judge_json(std::string_view text) {
  rapidjson::MemoryStream stream(text.data(), text.size());
  rapidjson::Reader reader;
  rapidjson::BaseReaderHandler<> handler;
  constexpr unsigned kFlags =
      rapidjson::kParseNumbersAsStringsFlag | rapidjson::kParseValidateEncodingFlag | rapidjson::kParseIterativeFlag;
  const auto result = reader.Parse<kFlags>(stream, handler);
  if (result.Code() == rapidjson::kParseErrorNumberTooBig) return Judgement::kUnsure;
  // A NUL ends the text for RapidJSON, wherever it stands.
  return !result.IsError() && stream.Tell() == text.size() ? Judgement::kAccepts : Judgement::kRefuses;
}

}  // namespace culvert
