// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/batch_response.h"

#include <gtest/gtest.h>

namespace culvert::lambda {
namespace {

TEST(BatchResponse, WhatMeansThatAllSucceeded) {
  for (const char* body : {"", "null", "{}", R"({"batchItemFailures":[]})", R"({"batchItemFailures":null})",
                           R"({"statusCode":200})", " { } "}) {
    const BatchResponse response = parse_batch_response(body);
    EXPECT_TRUE(response.malformed.empty()) << body << ": " << response.malformed;
    EXPECT_TRUE(response.failures.empty()) << body;
  }
}

TEST(BatchResponse, NamesPartitionsAndOffsets) {
  const BatchResponse response =
      parse_batch_response(R"({"batchItemFailures":[{"itemIdentifier":{"partition":"topic-0","offset":100}},)"
                           R"({"itemIdentifier":{"offset":0,"partition":"a-b-7","other":1}}]})");
  EXPECT_EQ(response.malformed, "");
  EXPECT_EQ(response.failures, (std::vector<ItemFailure>{{"topic-0", 100}, {"a-b-7", 0}}));
}

TEST(BatchResponse, WhatCannotBeReadFailsTheWholeBatch) {
  for (const char* body : {"ok", "\"ok\"", "[]", "{", R"({"batchItemFailures":{}})", R"({"batchItemFailures":[1]})",
                           R"({"batchItemFailures":[{}]})", R"({"batchItemFailures":[{"itemIdentifier":null}]})",
                           R"({"batchItemFailures":[{"itemIdentifier":"topic-0"}]})",
                           R"({"batchItemFailures":[{"itemIdentifier":{"partition":"","offset":1}}]})",
                           R"({"batchItemFailures":[{"itemIdentifier":{"topic-partition":"topic-0","offset":1}}]})",
                           R"({"batchItemFailures":[{"itemIdentifier":{"partition":"topic-0","offset":"1"}}]})",
                           R"({"batchItemFailures":[{"itemIdentifier":{"partition":"topic-0","offset":1.5}}]})"}) {
    EXPECT_FALSE(parse_batch_response(body).malformed.empty()) << body;
  }
}

}  // namespace
}  // namespace culvert::lambda
