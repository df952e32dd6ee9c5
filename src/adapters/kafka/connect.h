// SPDX-License-Identifier: Apache-2.0
// The first contact with a cluster: is it there, does it let us in, does the topic exist.  Private to adapters/kafka.
//
// Flow    Consumer, PartitionReader and Producer connect() before they start, because a client in use reports a wrong
//         password or authority only as one more reason to try again.
// Owner   free functions over the caller's client; ErrorNotes belong to the caller.
// Time    at most `timeout`; a refusal ends it at once.
// Bounds  none of its own.
// See     errors.h.
#pragma once

#include <optional>
#include <string>

#include "adapters/kafka/client.h"
#include "adapters/kafka/config.h"
#include "adapters/kafka/log_queries.h"
#include "model/result.h"
#include "model/time.h"

namespace culvert::kafka {

// Remembers what a client reports while it is polled, so that a failing request can say why.
class ErrorNotes final : public ClientObserver {
 public:
  void on_error(rd_kafka_resp_err_t code, const Error& error) override;

  // The first error that waiting will not cure.
  [[nodiscard]] const std::optional<Error>& final_error() const { return final_; }
  // The latest error of any kind; "all brokers down" only if there is no better.
  [[nodiscard]] const std::optional<Error>& latest() const { return latest_; }

 private:
  std::optional<Error> final_;
  std::optional<Error> latest_;
};

// Asks for metadata until it comes: of one topic, or (null) of the cluster alone.  `notes` are told of the client's
// errors by its observer, or are it.
[[nodiscard]] Result<Handle<const rd_kafka_metadata_t>> ask_metadata(const Client& client, const ErrorNotes& notes,
                                                                     const std::string* topic, Millis timeout);
[[nodiscard]] Result<TopicDescription> connect(const Client& client, const ErrorNotes& notes, const std::string& topic,
                                               Millis timeout);

}  // namespace culvert::kafka
