// SPDX-License-Identifier: Apache-2.0
// One partition that is being read, and the patience with a client that says that the log does not hold its position or
// that does not seek yet.
// Private to adapters/kafka.
//
// Flow    messages of librdkafka -> sorted into [Lane] by Consumer or PartitionReader -> Records.
// Owner   Consumer and PartitionReader hold one for each partition that they read.
// Time    steady clock, for the patience.
// Bounds  the space of a lane's longest run.
// See     position.h, batch.h.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "adapters/kafka/client.h"
#include "adapters/kafka/handle.h"
#include "adapters/kafka/polled.h"
#include "adapters/kafka/position.h"

namespace culvert::kafka {

// A leader that has just started, or a validation by the leader's epoch that a change of leader overtook, can refuse a
// position that the log holds.  So it is asked again before it is believed: what is true stays true.  Until it is
// fetched from again, nothing that arrives is delivered.
class Suspicion {
 public:
  using Clock = std::chrono::steady_clock;

  // The position was refused.  False: so often by now that it is to be believed.
  [[nodiscard]] bool refused(Clock::time_point now);
  [[nodiscard]] bool open() const { return open_; }
  // Open, and fetching has not been begun again.
  [[nodiscard]] bool waits() const { return open_ && !asked_again_; }
  [[nodiscard]] bool due(Clock::time_point now) const { return waits() && now >= ask_again_at_; }
  void asked_again() { asked_again_ = open_; }
  // The client fetches from the position.
  void close() { open_ = false; }
  // A record or the log's end came: the next refusal is another one.
  void clear() { times_ = 0; }
  // For the log: `asked again, as its leader may just have changed (1 of 5)`.
  [[nodiscard]] std::string note() const;

 private:
  int times_ = 0;
  bool open_ = false;
  bool asked_again_ = false;
  Clock::time_point ask_again_at_;
};

// How long the client has refused to seek.  While it starts, stops or checks a partition it always does, for longer on
// a busy machine and however often it is asked: only time tells that something is wrong.
class SeekRefusals {
 public:
  using Clock = std::chrono::steady_clock;

  // True: it has gone on for so long that somebody should be told.
  [[nodiscard]] bool refused(Clock::time_point now);
  // The client seeks, or was made to fetch anew: the next refusal is another one.
  void clear() { since_.reset(); }

 private:
  std::optional<Clock::time_point> since_;
};

struct Lane {
  Claim claim;
  Position position{Offset{0}};
  bool started = false;  // its position is known and fetching may begin
  bool paused = false;
  bool seek_wanted = false;  // and not carried out yet
  SeekRefusals seek_refusals;
  Suspicion suspicion;
  std::int32_t leader_epoch = -1;                      // of the last delivered record; -1: not known
  const rd_kafka_message_t* last_delivered = nullptr;  // of the present refill
  std::vector<Record> records;                         // of the present batch
  std::vector<RecordMetadata> metadata;                // beside them, if wanted

  // At the end of a refill: its messages are given back before anybody asks for the epoch.
  void keep_epoch();
  // Before fetching begins again at the position.
  void begin_again();
  // As librdkafka names it.  While a refusal is in question with the epoch of the last delivered record, so that the
  // leader is asked whether it still has that record.
  [[nodiscard]] TopicPartitionList list(const std::string& topic) const;
  // Tells the client to fetch from the position.  Refused while it is still starting or checking the partition: nothing
  // is delivered until a later call succeeds.  An error: it has been refused for so long that it is told.
  [[nodiscard]] std::optional<Error> carry_out_seek(const Client& client, const std::string& topic);
  // True: the refusal is not believed yet, and said so in the log.
  [[nodiscard]] bool doubt_refusal(const Client& client, const std::string& topic, const Error& error);
};

}  // namespace culvert::kafka
