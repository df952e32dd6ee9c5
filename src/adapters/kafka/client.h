// SPDX-License-Identifier: Apache-2.0
// One librdkafka instance with its configuration, log and error callbacks.  Private to adapters/kafka.
//
// Flow    KafkaConfig -> [Client] -> used by Consumer, PartitionReader, Producer and Admin.
// Owner   exactly one of those; the librdkafka handle is destroyed with it, within a bounded time.
// Time    durations only.
// Bounds  memory is librdkafka's, limited by the properties that each user sets.
// See     config.h; librdkafka's INTRODUCTION on threads: callbacks other than the log's and the token's run inside a
//         poll.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "adapters/kafka/config.h"
#include "adapters/kafka/handle.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert::kafka {

// Receives what librdkafka reports while it is polled.  Never called from another thread than the polling one.
class ClientObserver {
 public:
  ClientObserver() = default;
  ClientObserver(const ClientObserver&) = delete;
  ClientObserver& operator=(const ClientObserver&) = delete;
  virtual ~ClientObserver() = default;

  // `error` is what `code` means to a user, with the brokers and the remedy.
  virtual void on_error(rd_kafka_resp_err_t code, const Error& error) = 0;
  virtual void on_rebalance(rd_kafka_resp_err_t /*code*/, const rd_kafka_topic_partition_list_t* /*partitions*/) {}
  virtual void on_delivery(const rd_kafka_message_t* /*message*/) {}
};

class Client {
 public:
  // `settings` are the caller's own, applied last; `observer` must outlive the client.
  [[nodiscard]] static Result<std::unique_ptr<Client>> open(const KafkaConfig& config, Role role,
                                                            std::span<const Property> settings,
                                                            ClientObserver* observer);
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  // Waits up to destroy_wait() for librdkafka's threads; then leaves them to the process's end, because a client that
  // cannot be closed must not keep a program from ending.
  ~Client();

  [[nodiscard]] rd_kafka_t* get() const { return rk_; }
  [[nodiscard]] const std::string& bootstrap() const;
  void log(LogLevel level, std::string_view text) const;
  // Called before destruction when a group was not left in order: a second attempt inside destroy could hang.
  void skip_group_close() { skip_group_close_ = true; }
  void set_destroy_wait(Millis wait) { destroy_wait_ = wait; }

 private:
  struct Context;
  Client() = default;
  static void on_log(const rd_kafka_t* rk, int level, const char* facility, const char* text);
  static void on_error(rd_kafka_t* rk, int code, const char* reason, void* opaque);
  static void on_token_due(rd_kafka_t* rk, const char* config, void* opaque);
  static void on_rebalance(rd_kafka_t* rk, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions,
                           void* opaque);
  static void on_delivery(rd_kafka_t* rk, const rd_kafka_message_t* message, void* opaque);

  // Shared with a thread that may still be destroying the handle after this object is gone.
  std::shared_ptr<Context> context_;
  rd_kafka_t* rk_ = nullptr;
  bool skip_group_close_ = false;
  Millis destroy_wait_{5'000};
};

}  // namespace culvert::kafka
