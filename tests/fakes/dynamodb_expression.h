// SPDX-License-Identifier: Apache-2.0
// The part of DynamoDB's expression language that culvert uses, for the fake.
//
// Flow    DynamoDbFake -> [holds] -> does this condition hold for this item?
// Owner   pure functions.
// Time    none.
// Bounds  terms joined by AND: attribute_exists, attribute_not_exists, comparisons, BETWEEN.  Anything else is refused
//         as a ValidationException, so that a test cannot pass on an expression that was not understood.
// See     dynamodb_fake.h.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "model/result.h"

namespace culvert::fakes {

// Equal as DynamoDB compares: numbers by value, maps without order.
[[nodiscard]] bool same_attribute(const boost::json::value& a, const boost::json::value& b);

// Order of two attributes of the same scalar type (N or S); nullopt if they have none.
[[nodiscard]] std::optional<std::strong_ordering> compare_attributes(const boost::json::value& a,
                                                                     const boost::json::value& b);

struct ExpressionContext {
  const boost::json::object* names = nullptr;   // ExpressionAttributeNames
  const boost::json::object* values = nullptr;  // ExpressionAttributeValues
};

// `item` is null where there is none.  Error: the expression cannot be read.
[[nodiscard]] Result<bool> holds(std::string_view expression, const ExpressionContext& context,
                                 const boost::json::object* item);

}  // namespace culvert::fakes
