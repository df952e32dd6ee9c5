// SPDX-License-Identifier: Apache-2.0
// A function behind an invocation endpoint: a container with a runtime interface emulator, or a local Lambda.
//
// Flow    submitted events -> [UrlFunction] -> POST by http::Client -> outcomes.
// Owner   BridgeSession, on one thread; answers arrive on the client's.
// Time    an invocation that is not answered within its time-out and a little more is unreachable.
// Bounds  `connections` at once; the client's queue above it.
// See     docs/operating.md: bridge; Lambda's API reference, "Invoke".
//
// Requests are not signed, so Lambda's own endpoints refuse them.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "adapters/http/client.h"
#include "adapters/lambda/invoker.h"

namespace culvert::lambda {

struct UrlFunctionOptions {
  std::string url;  // without a path: that of the emulator in AWS's base images
  Millis timeout{60'000};
  int connections = 1;
  std::function<void()> wake{};
};

class UrlFunction final : public Invoker {
 public:
  // Error (kConfiguration): the URL cannot be used.
  [[nodiscard]] static Result<std::unique_ptr<UrlFunction>> open(UrlFunctionOptions options, const Clock& clock);
  ~UrlFunction() override;

  void submit(Ticket ticket, std::shared_ptr<const std::string> event) override;
  [[nodiscard]] std::vector<InvocationOutcome> take_outcomes() override;
  [[nodiscard]] Result<SteadyTime> tick(SteadyTime now) override;
  [[nodiscard]] InvokerCounters counters() const override;

 private:
  UrlFunction(UrlFunctionOptions options, http::Url url, const Clock& clock);
  void take(InvocationOutcome outcome);

  const UrlFunctionOptions options_;
  const http::Url url_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::vector<InvocationOutcome> outcomes_;
  InvokerCounters counters_;
  http::DnsResolver resolver_;
  std::unique_ptr<http::Client> client_;  // last: its callbacks use the rest
};

// What an endpoint's answer means.
[[nodiscard]] InvocationOutcome read_invocation_answer(const http::Response& response);

}  // namespace culvert::lambda
