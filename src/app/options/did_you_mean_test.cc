// SPDX-License-Identifier: Apache-2.0
#include "app/options/did_you_mean.h"

#include <gtest/gtest.h>

#include <vector>

namespace culvert {
namespace {

TEST(EditDistance, CountsEachKindOfMistakeOnce) {
  EXPECT_EQ(edit_distance("window", "window"), 0U);
  EXPECT_EQ(edit_distance("windo", "window"), 1U);
  EXPECT_EQ(edit_distance("windoww", "window"), 1U);
  EXPECT_EQ(edit_distance("wondow", "window"), 1U);
  EXPECT_EQ(edit_distance("winodw", "window"), 1U) << "a swap of neighbours is one mistake";
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3U);
}

TEST(DidYouMean, NamesTheNearestWordOnlyIfItIsNear) {
  const std::vector<std::string> known{"window", "advance", "allowed-lateness", "group"};
  EXPECT_EQ(did_you_mean("windwo", known), " (did you mean 'window'?)");
  EXPECT_EQ(did_you_mean("alowed-latness", known), " (did you mean 'allowed-lateness'?)");
  EXPECT_EQ(did_you_mean("allowed", known), " (did you mean 'allowed-lateness'?)") << "the beginning of a word";
  EXPECT_EQ(did_you_mean("temperature", known), "");
  EXPECT_EQ(did_you_mean("", known), "");
}

}  // namespace
}  // namespace culvert
