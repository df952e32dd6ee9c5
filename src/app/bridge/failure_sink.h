// SPDX-License-Identifier: Apache-2.0
// Where documents about discarded batches go: a directory or a topic.
//
// Flow    BridgeSession's discards -> [FailureSink] -> files or records -> redrive.
// Owner   the bridge command; one thread.
// Time    wall time in file names; a topic's acknowledgement is waited for, at most kTopicPatience.
// Bounds  a document at a time.
// See     docs/formats.md: on-failure document.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "adapters/clock/clock.h"
#include "adapters/kafka/config.h"
#include "adapters/kafka/producer.h"
#include "model/result.h"

namespace culvert {

class FailureSink {
 public:
  FailureSink() = default;
  FailureSink(const FailureSink&) = delete;
  FailureSink& operator=(const FailureSink&) = delete;
  virtual ~FailureSink() = default;

  // The largest document that it takes.
  [[nodiscard]] virtual std::size_t document_bytes_most() const = 0;
  // It is durable when this returns.  A retriable error leaves open whether it is there.
  [[nodiscard]] virtual Result<void> put(std::string_view document) = 0;
};

// One file each, `<time>-<uuid>.json`, complete from the moment that it can be seen.
class FailureDirectory final : public FailureSink {
 public:
  // Makes the directory if it is not there.  Error: kIo, kPermission.
  [[nodiscard]] static Result<std::unique_ptr<FailureSink>> open(std::string path, const Clock& clock);
  [[nodiscard]] std::size_t document_bytes_most() const override { return 64 << 20; }
  [[nodiscard]] Result<void> put(std::string_view document) override;

 private:
  FailureDirectory(std::string path, const Clock& clock) : path_(std::move(path)), clock_(clock) {}

  const std::string path_;
  const Clock& clock_;
};

class FailureTopic final : public FailureSink {
 public:
  [[nodiscard]] static Result<std::unique_ptr<FailureSink>> open(const kafka::KafkaConfig& config, std::string topic);
  // Below the 1 MB that brokers take by default.
  [[nodiscard]] std::size_t document_bytes_most() const override { return 900'000; }
  [[nodiscard]] Result<void> put(std::string_view document) override;

 private:
  FailureTopic(std::string topic, std::unique_ptr<kafka::Producer> producer)
      : topic_(std::move(topic)), producer_(std::move(producer)) {}

  const std::string topic_;
  std::unique_ptr<kafka::Producer> producer_;
};

}  // namespace culvert
