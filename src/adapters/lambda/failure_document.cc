// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/failure_document.h"

#include <fmt/format.h>

#include "model/check.h"
#include "model/json_text.h"

namespace culvert::lambda {

namespace {

std::string time_text(RecordTime time) { return json_string(format_utc(EventTime{time.value()})); }

std::string_view condition(DiscardReason reason) {
  return reason == DiscardReason::kRecordAge ? "RecordAgeExceeded" : "RetryAttemptsExhausted";
}

std::string response_context(const std::optional<DeliveryFailure>& last) {
  if (!last) return "null";
  return fmt::format(R"({{"statusCode":{},"executedVersion":"$LATEST","functionError":{}}})", last->status,
                     last->function_error.empty() ? "null" : json_string(last->function_error));
}

std::string batch_info(const EventWriter& writer, const Discard& discard, std::size_t payload_bytes) {
  const EventRecord& first = *discard.records.front();
  const std::string& arn = writer.origin().source_arn;
  return fmt::format(R"({{"batchSize":{},"eventSourceArn":{},"bootstrapServers":{},"payloadSize":{},)"
                     R"("recordInfo":{{"offset":"{}","timestamp":{}}}}})",
                     discard.records.size(), arn.empty() ? "null" : json_string(arn),
                     json_string(writer.origin().bootstrap_servers), payload_bytes, first.offset.value(),
                     first.timestamp ? time_text(*first.timestamp) : "null");
}

}  // namespace

std::string failure_document(const EventWriter& writer, const Discard& discard, const std::string& function_arn,
                             const std::string& request_id, RecordTime now) {
  CULVERT_CHECK(!discard.records.empty(), "a discarded batch without records");
  const std::string event = writer.write(discard.records);
  return fmt::format(
      R"({{"requestContext":{{"requestId":{},"functionArn":{},"condition":"{}","approximateInvokeCount":{}}},)"
      R"("responseContext":{},"version":"1.0","timestamp":{},"KafkaBatchInfo":{},"payload":{}}})",
      json_string(request_id), json_string(function_arn), condition(discard.reason), discard.invocations,
      response_context(discard.last), time_text(now), batch_info(writer, discard, event.size()), json_string(event));
}

}  // namespace culvert::lambda
