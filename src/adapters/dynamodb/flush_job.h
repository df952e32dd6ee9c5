// SPDX-License-Identifier: Apache-2.0
// One flush: dead letters, then items, then the checkpoint, each step with many puts in flight.
//
// Flow    DynamoDbTable::begin_flush -> [FlushJob] -> Api -> FlushResult.
// Owner   itself, while puts are under way; runs on the I/O thread.  The request is its caller's, who keeps it.
// Time    one deadline for the whole flush; retries inside it are the Api's.
// Bounds  its share of PutWindow; a body is made when its put is sent, so memory does not grow with the request.
// See     docs/ARCHITECTURE.md, "Order of writing".
//
// A put that may have been carried out without our knowing is reported kUnknown: the same put is sent again later, and
// its condition decides.  A put that was refused or never arrived is kNotTried.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "adapters/dynamodb/api.h"
#include "adapters/dynamodb/item_codec.h"
#include "pipeline/ports.h"

namespace culvert::dynamodb {

// How many puts may be under way, over all flushes.  Each flush has a share of its own, so that one whose puts wait
// for a throttled table does not keep the others from the connections.
struct PutWindow {
  std::size_t puts_most;
  std::size_t flushes = 0;  // under way

  [[nodiscard]] std::size_t share() const {
    return std::max<std::size_t>(1, puts_most / std::max<std::size_t>(1, flushes));
  }
};

class FlushJob : public std::enable_shared_from_this<FlushJob> {
 public:
  using Done = std::function<void(FlushResult)>;

  FlushJob(Api& api, const TableNames& tables, const ItemFormat& format, const FlushRequest& request, PutWindow& window,
           Api::Steady deadline, Done done);
  void start();

 private:
  // In their order.  Parts come before the dead letter they belong to, so that one that can be seen is whole.
  enum class Step : std::uint8_t { kParts, kDeadLetters, kItems, kCheckpoint, kDone };

  void pump();
  // True if the step before has gone well enough for the next one to begin.
  bool next_step();
  [[nodiscard]] std::size_t size() const;
  void put(std::size_t index);
  [[nodiscard]] std::string body(std::size_t index) const;
  [[nodiscard]] const std::string& table() const;
  void on_result(Step step, std::size_t index, const ApiResult& result);
  void failed(const ApiResult& result);
  template <class Stored>
  bool decided(PutOutcome<Stored>& outcome, const ApiResult& result);
  void item_result(std::size_t index, const ApiResult& result);
  void checkpoint_result(const ApiResult& result);

  Api& api_;
  const TableNames& tables_;
  const ItemFormat& format_;
  const FlushRequest& request_;
  PutWindow& window_;
  const Api::Steady deadline_;
  Done done_;

  struct Part {
    std::size_t letter;
    std::size_t part;
  };
  std::vector<Part> parts_;
  FlushResult result_;
  Step step_ = Step::kParts;
  std::size_t next_ = 0;
  std::size_t in_flight_ = 0;
  bool pumping_ = false;
  bool step_failed_ = false;  // something of this step was not stored for another reason than a conflict
  bool stop_ = false;         // begin no more puts
  bool maybe_done_ = false;   // a dead letter's put may have been carried out
  bool conflict_ = false;
};

// The stored item in the body of a failed condition; nullopt: there is none.
[[nodiscard]] Result<std::optional<boost::json::object>> item_of_conflict(const std::string& body,
                                                                          const std::string& table);

}  // namespace culvert::dynamodb
