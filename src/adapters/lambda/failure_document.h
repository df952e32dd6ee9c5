// SPDX-License-Identifier: Apache-2.0
// What an event source mapping tells its on-failure destination about a batch that it gave up.
//
// Flow    Mapping's Discard -> [failure_document] -> a file or a topic -> redrive.
// Owner   a free function.
// Time    `now` is the moment of giving up, wall time.
// Bounds  the event, escaped: at most about twice batch_bytes_most.
// See     docs/formats.md: on-failure document.
#pragma once

#include <string>

#include "adapters/lambda/event_writer.h"
#include "adapters/lambda/mapping.h"

namespace culvert::lambda {

[[nodiscard]] std::string failure_document(const EventWriter& writer, const Discard& discard,
                                           const std::string& function_arn, const std::string& request_id,
                                           RecordTime now);

}  // namespace culvert::lambda
