// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/event_writer.h"

#include <fmt/format.h>

#include <string_view>

#include "model/json_text.h"

namespace culvert::lambda {

namespace {

constexpr std::string_view kTail = "}}";

// Where an event goes: into a text, or into a count of its bytes.  One function writes both, so they cannot differ.
struct Text {
  std::string& out;
  void put(std::string_view text) { out += text; }
  void put_base64(std::string_view bytes) { out += base64(bytes); }
};

struct Count {
  std::size_t bytes = 0;
  void put(std::string_view text) { bytes += text.size(); }
  void put_base64(std::string_view plain) { bytes += (plain.size() + 2) / 3 * 4; }
};

template <class Sink>
void put_number(Sink& sink, std::int64_t number) {
  const fmt::format_int digits(number);
  sink.put({digits.data(), digits.size()});
}

std::string_view type_name(RecordTimeType type) {
  switch (type) {
    case RecordTimeType::kCreateTime:
      return "CREATE_TIME";
    case RecordTimeType::kLogAppendTime:
      return "LOG_APPEND_TIME";
    case RecordTimeType::kNone:
      break;
  }
  return "NO_TIMESTAMP_TYPE";
}

// Each byte as a signed number, as the service writes it.
template <class Sink>
void put_header(Sink& sink, const EventHeader& header) {
  sink.put("{");
  sink.put(json_string(header.name));
  if (!header.value) return sink.put(":null}");
  sink.put(":[");
  for (std::size_t i = 0; i < header.value->size(); ++i) {
    if (i > 0) sink.put(",");
    put_number(sink, static_cast<signed char>((*header.value)[i]));
  }
  sink.put("]}");
}

template <class Sink>
void put_bytes(Sink& sink, std::string_view name, const std::optional<std::string>& bytes) {
  if (!bytes) return;  // null: the member is left out
  sink.put(name);
  sink.put_base64(*bytes);
  sink.put("\"");
}

template <class Sink>
void put_record(Sink& sink, std::string_view topic, const EventRecord& record) {
  sink.put(R"({"topic":")");
  sink.put(topic);
  sink.put(R"(","partition":)");
  put_number(sink, record.claim.partition.value());
  sink.put(R"(,"offset":)");
  put_number(sink, record.offset.value());
  sink.put(R"(,"timestamp":)");
  put_number(sink, record.timestamp ? record.timestamp->value() : -1);
  sink.put(R"(,"timestampType":")");
  sink.put(type_name(record.timestamp_type));
  sink.put("\"");
  put_bytes(sink, R"(,"key":")", record.key);
  put_bytes(sink, R"(,"value":")", record.value);
  sink.put(R"(,"headers":[)");
  for (std::size_t i = 0; i < record.headers.size(); ++i) {
    if (i > 0) sink.put(",");
    put_header(sink, record.headers[i]);
  }
  sink.put("]}");
}

std::string make_head(const EventOrigin& origin) {
  std::string head = R"({"eventSource":)";
  if (origin.kind == EventSourceKind::kMsk) {
    head += R"("aws:kafka","eventSourceArn":)" + json_string(origin.source_arn);
  } else {
    head += R"("SelfManagedKafka")";
  }
  return head + R"(,"bootstrapServers":)" + json_string(origin.bootstrap_servers) + R"(,"records":{)";
}

}  // namespace

EventWriter::EventWriter(EventOrigin origin)
    : origin_(std::move(origin)), head_(make_head(origin_)), frame_bytes_(head_.size() + kTail.size()) {}

std::string EventWriter::partition_key(PartitionId partition) const {
  return fmt::format("{}-{}", origin_.topic, partition.value());
}

std::size_t EventWriter::partition_bytes(PartitionId partition) const {
  constexpr std::string_view kAround = R"("":[],)";
  return partition_key(partition).size() + kAround.size();
}

std::size_t EventWriter::record_bytes(const EventRecord& record) const {
  Count count;
  put_record(count, origin_.topic, record);
  return count.bytes + 1;  // and the comma
}

std::string EventWriter::write(std::span<const EventRecord* const> records) const {
  std::string event = head_;
  Text text{event};
  for (std::size_t i = 0; i < records.size(); ++i) {
    const PartitionId partition = records[i]->claim.partition;
    if (i == 0 || partition != records[i - 1]->claim.partition) {
      event += i == 0 ? "\"" : "],\"";
      event += partition_key(partition);
      event += "\":[";
    } else {
      event += ',';
    }
    put_record(text, origin_.topic, *records[i]);
  }
  if (!records.empty()) event += ']';
  event += kTail;
  return event;
}

}  // namespace culvert::lambda
