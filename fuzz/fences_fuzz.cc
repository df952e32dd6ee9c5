// SPDX-License-Identifier: Apache-2.0
// The texts that tables store (fences, covered ranges, definition) on arbitrary input.
//
// Flow    what a parser takes is printed, and the print must be taken again and mean the same.
// Owner   libFuzzer, or replay_main.cc.
// Time    none.
// Bounds  none of its own.
// See     docs/formats.md.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "model/check.h"
#include "model/definition.h"
#include "pipeline/checkpoint.h"
#include "pipeline/fence.h"

namespace culvert {
namespace {

template <class Parse, class Print>
void round_trip(std::string_view text, Parse parse, Print print) {
  const auto parsed = parse(text);
  if (!parsed.ok()) {
    CULVERT_CHECK(!parsed.error().message.empty(), "a refusal without a message");
    return;
  }
  const std::string printed = print(*parsed);
  const auto again = parse(printed);
  CULVERT_CHECK(again.ok(), printed);
  CULVERT_CHECK(*again == *parsed, printed);
  CULVERT_CHECK(print(*again) == printed, printed);
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace culvert;
  const std::string text(data, data + size);
  round_trip(text, parse_fences, fences_text);
  round_trip(text, parse_ranges, ranges_text);
  round_trip(text, parse_definition, definition_text);
  return 0;
}
