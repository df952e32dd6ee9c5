// SPDX-License-Identifier: Apache-2.0
// DynamoDB inside a test: the calls culvert makes, with real conditions and real signatures, and every way to fail.
//
// Flow    DynamoDbTable -> loopback HTTP -> [DynamoDbFake]: signature -> fault -> operation -> reply, or its loss.
// Owner   a test; one thread carries out the calls, one after the other, so that they are linearised.
// Time    signatures are judged by the wall clock plus clock_offset, as the service does: five minutes either way.
// Bounds  memory only; items of 400 KB, pages of page_bytes.
// See     src/adapters/dynamodb/dynamodb_table.h.  It throttles and loses replies, which DynamoDB Local never does, and
//         checks signatures, which that does not; Local checks what we believe of DynamoDB.
#pragma once

#include <atomic>
#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "adapters/aws/sigv4.h"
#include "adapters/clock/clock.h"
#include "fakes/http_fake_server.h"

namespace culvert::fakes {

enum class CallFault : std::uint8_t {
  kNone,
  kThrottled,        // refused: ProvisionedThroughputExceededException
  kInternalError,    // 500, not carried out
  kUnavailable,      // 503 with a body that is not JSON, as a load balancer answers; not carried out
  kErrorAfterApply,  // carried out, then 500
  kRequestLost,      // connection reset, not carried out
  kReplyLost,        // carried out, then connection reset
  kReplyCut,         // carried out, half of the reply comes
  kAppliedLate,      // connection reset; carried out later, before a call that comes after `late_by`
  kSilent,           // carried out, no reply, the connection stays open
  kTokenExpired,     // ExpiredTokenException
};

struct FakeCall {
  std::string operation;  // PutItem, ..
  std::string table;      // of the request; empty for BatchGetItem
  std::uint64_t number;   // 1, 2, 3, .. over the life of the fake
};

// Shares of calls, each from 0 to 1, drawn independently of what the call is.
struct FaultShares {
  double throttled = 0;
  double internal_error = 0;
  double unavailable = 0;
  double error_after_apply = 0;
  double request_lost = 0;
  double reply_lost = 0;
  double reply_cut = 0;
  double applied_late = 0;
};

class DynamoDbFake {
 public:
  using FaultPolicy = std::function<CallFault(const FakeCall&)>;

  DynamoDbFake();
  DynamoDbFake(const DynamoDbFake&) = delete;
  DynamoDbFake& operator=(const DynamoDbFake&) = delete;
  ~DynamoDbFake();

  [[nodiscard]] std::string url() const { return server_.url(); }
  [[nodiscard]] HttpFakeServer& server() { return server_; }
  // What the environment of a client of this fake holds.
  [[nodiscard]] std::map<std::string, std::string> environment() const;
  [[nodiscard]] std::function<std::optional<std::string>(const char*)> environment_reader() const;

  void set_faults(FaultPolicy policy);
  void set_faults(const FaultShares& shares, std::uint64_t seed);
  void set_delay(std::chrono::microseconds delay);
  // The service's clock minus ours.
  void set_clock_offset(std::chrono::seconds offset);
  // Accept this session token only; others are expired.  Empty: any.
  void require_session_token(const std::string& token);
  void set_page_bytes(std::size_t bytes);
  // Every BatchGetItem answers at most this many keys and hands the others back.
  void set_batch_keys_most(std::size_t keys);
  // For throughput measurements: the fake's own cost, not the client's.
  void set_verify_signatures(bool verify);
  // New tables stay CREATING for so many DescribeTable calls.
  void set_creating_calls(int calls);

  [[nodiscard]] std::uint64_t calls(const std::string& operation) const;
  [[nodiscard]] std::uint64_t refused_signatures() const;
  [[nodiscard]] std::vector<boost::json::object> items(const std::string& table) const;
  [[nodiscard]] std::string time_to_live(const std::string& table) const;  // attribute; empty: off
  void create_table(const std::string& name, std::string_view hash, std::string_view hash_type, std::string_view range,
                    std::string_view range_type);
  // Writes without any condition, as a foreign program may.
  void put_raw(const std::string& table, const std::string& item_json);
  // Removes an item as expiry does; the key as in the API, by its two attributes.
  void remove(const std::string& table, const std::string& key_json);
  // Carries out what kAppliedLate holds back.
  void apply_late_now();

 private:
  struct Table;
  struct Tables;
  struct Late {
    std::chrono::steady_clock::time_point due;
    std::string operation;
    std::string body;
  };

  FakeReply handle(const FakeRequest& request);
  FakeReply carry_out(const std::string& operation, const std::string& body);
  [[nodiscard]] std::optional<FakeReply> check_signature(const FakeRequest& request);
  void apply_due(std::chrono::steady_clock::time_point now);

  mutable std::mutex mutex_;
  std::unique_ptr<Tables> tables_;
  SystemClock clock_;
  FaultPolicy policy_;
  std::chrono::microseconds delay_{0};
  std::chrono::seconds clock_offset_{0};
  std::string session_token_;
  bool verify_signatures_ = true;
  std::map<std::string, std::uint64_t> calls_;
  std::uint64_t call_number_ = 0;
  std::uint64_t refused_signatures_ = 0;
  std::vector<Late> late_;
  std::map<std::string, aws::Signer> signers_;  // by region
  HttpFakeServer server_;                       // last: its thread uses the others
};

}  // namespace culvert::fakes
