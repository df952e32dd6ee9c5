// SPDX-License-Identifier: Apache-2.0
#include "model/device.h"

#include <gtest/gtest.h>

#include <boost/unordered/unordered_flat_map.hpp>
#include <utility>
#include <vector>

namespace culvert {
namespace {

TEST(DeviceId, NumberAndTextAreDifferentDevices) {
  EXPECT_NE(DeviceId{std::int64_t{7}}, DeviceId{std::string_view{"7"}});
  EXPECT_EQ(DeviceId{std::int64_t{7}}.to_text(), "7");
  EXPECT_EQ(DeviceId{std::string_view{"pump-7"}}.to_text(), "pump-7");
}

TEST(DeviceId, CopiesAndMovesOwnTheirText) {
  DeviceId a{std::string_view{"a device with a name longer than any small buffer"}};
  DeviceId b = a;
  DeviceId c = std::move(a);
  EXPECT_EQ(b, c);
  b = DeviceId{std::int64_t{1}};
  EXPECT_EQ(b.to_text(), "1");
  EXPECT_EQ(c.to_text(), "a device with a name longer than any small buffer");
  c = c;  // NOLINT(clang-diagnostic-self-assign-overloaded): self-assignment is the case
  EXPECT_EQ(c.to_text(), "a device with a name longer than any small buffer");
}

TEST(DeviceId, OrdersNumbersByValueThenTextByBytes) {
  const std::vector<DeviceId> sorted{DeviceId{std::int64_t{-5}}, DeviceId{std::int64_t{3}}, DeviceId{std::int64_t{20}},
                                     DeviceId{std::string_view{"10"}}, DeviceId{std::string_view{"9"}}};
  for (std::size_t i = 1; i < sorted.size(); ++i) EXPECT_LT(sorted[i - 1], sorted[i]);
}

TEST(DeviceId, OnlyCanonicalTextIsANumber) {
  EXPECT_EQ(DeviceId::parse_number("-9223372036854775808"), INT64_MIN);
  for (const char* text : {"", "-0", "+1", "01", "1.0", "9223372036854775808", "1 "}) {
    EXPECT_FALSE(DeviceId::parse_number(text)) << text;
  }
}

TEST(DeviceHash, MapIsSearchedByReferenceWithoutMakingAnOwner) {
  boost::unordered_flat_map<DeviceId, int, DeviceHash, DeviceEqual> map;
  for (int i = 0; i < 1000; ++i) {
    map.emplace(DeviceId{std::int64_t{i}}, i);
    map.emplace(DeviceId{std::string_view{std::to_string(i)}}, -i);
  }
  ASSERT_EQ(map.size(), 2000U);
  EXPECT_EQ(map.find(DeviceRef{std::int64_t{999}})->second, 999);
  EXPECT_EQ(map.find(DeviceRef{std::string_view{"999"}})->second, -999);
  EXPECT_EQ(map.find(DeviceRef{std::string_view{"1000"}}), map.end());
}

}  // namespace
}  // namespace culvert
