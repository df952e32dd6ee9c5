// SPDX-License-Identifier: Apache-2.0
// What one poll of a Consumer or PartitionReader yields.
//
// Flow    Kafka -> [Polled] -> the command's loop, which feeds one PartitionPipeline per assignment.
// Owner   Records borrow from the Consumer or PartitionReader and are valid until its next poll, close or destruction;
//         every other alternative owns what it holds.
// Time    none.
// Bounds  a Records holds at most batch_records_max records.
// See     consumer.h, reader.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "model/ids.h"
#include "model/record.h"
#include "model/result.h"

namespace culvert::kafka {

// Records of one claim in offset order.  Offsets may have gaps: compaction and transactions leave them.
enum class TimestampType : std::uint8_t { kNone, kCreateTime, kLogAppendTime };

struct HeaderView {
  std::string_view name;
  std::optional<std::string_view> value;  // absent: null
};

// What a Record leaves out, for those who pass records on instead of decoding them.
struct RecordMetadata {
  TimestampType timestamp_type = TimestampType::kNone;
  std::vector<HeaderView> headers;  // in the record's order; a name may come more than once
};

struct PartitionRecords {
  Claim claim;
  std::span<const Record> records;  // never empty
  // As many as records, if ConsumerOptions::with_metadata asked for it; else empty.
  std::span<const RecordMetadata> metadata{};
};

// Nothing within the time-out.
struct Nothing {};

// At most one run for each claim, so that a seek while one run is dealt with concerns none of the others.
struct Records {
  std::span<const PartitionRecords> runs;
  std::size_t count = 0;  // over all runs
};

// Answer with Consumer::start() for each of them, in any order and at leisure: the group is kept alive by polling, and
// fetching begins when the last one is answered.  May be empty: more members than partitions.
struct Assigned {
  std::vector<Claim> claims;
};

// No record of these claims follows.  Drain them, then answer with Consumer::revoke_done().
struct Revoked {
  std::vector<Claim> claims;
  bool lost = false;  // another member may own them already: what is committed to Kafka from here on is refused
};

// Everything below `next` was delivered (or is not there); comes again whenever the end is reached again.
struct EndReached {
  Claim claim;
  Offset next;
};

// A fatal error ends the program; with a retriable one the client goes on by itself, and polling must go on too.
struct Failed {
  Error error;
};

using Polled = std::variant<Nothing, Records, Assigned, Revoked, EndReached, Failed>;

// Half-open: the log holds, or held, records at log_start <= offset < log_end; log_end is the next offset to be
// written (to readers of committed records: the first offset of the oldest open transaction, if there is one).
struct LogRange {
  Offset log_start;
  Offset log_end;
  friend bool operator==(const LogRange&, const LogRange&) = default;
};

}  // namespace culvert::kafka
