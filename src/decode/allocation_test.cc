// SPDX-License-Identifier: Apache-2.0
// Counts what the decoder takes from the heap: nothing for a record, once its scratch has grown.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "decode/json_decoder.h"

namespace {
std::atomic<std::int64_t> allocations{0};
}

// Replaces the program's: the only way to see what a library call takes.  Not inlined, because g++ 12 would then see a
// free() of what `new` returned.
[[gnu::noinline]] void* operator new(std::size_t size) {
  ++allocations;
  if (void* const memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace culvert {
namespace {

std::int64_t allocations_for(JsonDecoder& decoder, const std::vector<std::string>& values) {
  const auto pass = [&] {
    for (const std::string& value : values) {
      Reading reading;
      decoder.decode(Record{Offset{0}, RecordTime{1'682'942'400'000}, std::nullopt, value}, reading);
    }
  };
  pass();
  const std::int64_t before = allocations;
  pass();
  return allocations - before;
}

std::vector<std::string> records(const char* pattern) {
  std::vector<std::string> made;
  for (int i = 0; i < 100; ++i) made.push_back(fmt::format(fmt::runtime(pattern), i, 1'234'567'890'123'456'000 + i));
  return made;
}

TEST(DecodeAllocations, TheCounterCounts) {
  const std::int64_t before = allocations;
  EXPECT_FALSE(records("x").empty());
  EXPECT_GT(allocations - before, 5);
}

TEST(DecodeAllocations, NoRecordTakesMemory) {
  for (const char* pattern :
       {R"({{"device_id": {1}, "timestamp": "2023-05-01T12:00:00.123456", "temperature": {0}.5}})",
        R"({{"seq": {1}, "device_id": {0}, "timestamp": "2023-05-01T12:00:00.123456", "temperature": {0}.5}})",
        R"({{"\u0064evice_id": {1}, "timestamp": "2023-05-01T12\u003a00:00.123456", "temperature": {0}.5}})",
        R"({{"device_id": "{1}-{1}-{1}-\u00f6", "timestamp": "2023-05-01T12:00:00.123456", "temperature": {0}}})",
        R"({{"device_id": "{1}", "timestamp": "2023-05-01T12:00:00Z", "temperature": {0}, "x": [[[[{{}}]]]]}})",
        R"({{"device_id": {0}, "timestamp": "2099-05-01T12:00:00.123456", "temperature": {0}}})",
        R"({{"device_id": {0}, "timestamp": "yesterday", "temperature": {0}}})", R"({{"device_id": {0})", "[{0}]"}) {
    for (const KeyType key_type : {KeyType::kNumber, KeyType::kString}) {
      for (const ShapedPath path : {ShapedPath::kOn, ShapedPath::kOff}) {
        Definition definition;
        definition.key_type = key_type;
        JsonDecoder decoder(definition, path);
        EXPECT_EQ(allocations_for(decoder, records(pattern)), 0) << pattern;
      }
    }
  }
}

}  // namespace
}  // namespace culvert
