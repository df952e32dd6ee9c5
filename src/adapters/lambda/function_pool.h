// SPDX-License-Identifier: Apache-2.0
// A function's instances as Lambda keeps them: processes of one executable, each with a Runtime API of its own.
//
// Flow    submitted events -> [FunctionPool] -> Runtime API (http::Server) -> the function's runtime -> outcomes.
// Owner   BridgeSession, on one thread, which starts the processes and must live as long as they do; requests of the
//         functions arrive on the servers' threads.
// Time    steady time for time-outs and restarts; wall time only for the deadline that a function is told.
// Bounds  `instances` processes, each with invocations_at_once; events and responses of 6 MB.
// See     docs/operating.md: bridge; Lambda's developer guide, "Runtime API" and "execution environment".
//
// An instance is started when an event waits and no instance is free, so the first invocation of each is a cold start.
// One that crashes, or is killed at a time-out, fails what it was at and is started anew, with back-off while it keeps
// failing before it has begun to work.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "adapters/clock/clock.h"
#include "adapters/http/server.h"
#include "adapters/lambda/function_output.h"
#include "adapters/lambda/function_process.h"
#include "adapters/lambda/invoker.h"
#include "adapters/lambda/process_guard.h"

namespace culvert::lambda {

struct FunctionPoolOptions {
  std::string executable;  // absolute path
  std::string name;        // of the function
  std::string region = "us-east-1";
  int memory_mib = 256;  // told to the function; not enforced
  Millis timeout{60'000};
  Millis init_timeout{10'000};  // to the first request for an invocation; never less than `timeout`
  int instances = 1;
  int invocations_at_once = 1;  // of each instance
  bool freeze = false;          // SIGSTOP between invocations
  // After the function's own variables, which they may replace.
  std::vector<std::pair<std::string, std::string>> environment{};
  FunctionOutput::LineSink output{};
  std::function<void()> wake{};
};

class FunctionPool final : public Invoker {
 public:
  // Starts one instance, so that a function that cannot be started is found at once.
  [[nodiscard]] static Result<std::unique_ptr<FunctionPool>> open(FunctionPoolOptions options, const Clock& clock);
  // Ends the instances: SIGTERM, and SIGKILL half a second later.  What is under way has no outcome any more.
  ~FunctionPool() override;

  void submit(Ticket ticket, std::shared_ptr<const std::string> event) override;
  [[nodiscard]] std::vector<InvocationOutcome> take_outcomes() override;
  [[nodiscard]] Result<SteadyTime> tick(SteadyTime now) override;
  [[nodiscard]] InvokerCounters counters() const override;

  [[nodiscard]] const std::string& function_arn() const { return arn_; }
  // Of instances that run, for tests and status.
  [[nodiscard]] std::vector<pid_t> process_groups() const;

 private:
  struct Pending {
    Ticket ticket;
    std::shared_ptr<const std::string> event;
  };
  struct Active {
    Ticket ticket;
    SteadyTime begun;
  };
  struct Instance {
    std::unique_ptr<http::Server> server;  // as long as the process
    std::unique_ptr<FunctionProcess> process;
    std::deque<std::shared_ptr<http::Responder>> asking;  // for the next invocation
    std::map<std::string, Active> active;                 // by request id
    std::string refused;                                  // the request whose response was too large
    SteadyTime started{};
    SteadyTime restart_at{};
    int false_starts = 0;  // in a row, without having asked for an invocation
    bool ready = false;    // has asked for one
    bool frozen = false;
    std::string init_error;
  };
  using Lock = std::unique_lock<std::mutex>;

  FunctionPool(FunctionPoolOptions options, const Clock& clock, std::unique_ptr<ProcessGuard> guard);
  [[nodiscard]] Result<void> start(std::size_t index, SteadyTime now);
  [[nodiscard]] std::vector<std::string> environment(std::size_t index, std::uint16_t port) const;
  void start_where_needed(SteadyTime now, std::optional<Error>& failure);
  void reap(std::size_t index, const std::string& how, InvocationEnd end, SteadyTime now);
  [[nodiscard]] std::optional<SteadyTime> deadline(const Instance& instance) const;

  // The Runtime API, on a server's thread.
  void handle(std::size_t index, const http::ServerRequest& request, std::shared_ptr<http::Responder> responder);
  void on_next(Instance& instance, std::shared_ptr<http::Responder> responder);
  [[nodiscard]] http::ServerResponse on_response(Instance& instance, const std::string& id,
                                                 const http::ServerRequest& request);
  [[nodiscard]] http::ServerResponse on_error(Instance& instance, const std::string& id,
                                              const http::ServerRequest& request);
  // With the lock held.
  void deliver();
  void deliver_to(Instance& instance);
  void finish(Instance& instance, const std::string& id, InvocationEnd end, std::string text);
  void freeze_if_idle(Instance& instance);
  [[nodiscard]] bool has_room(const Instance& instance) const;

  const FunctionPoolOptions options_;
  const Clock& clock_;
  const std::string arn_;
  std::unique_ptr<ProcessGuard> guard_;
  mutable std::mutex mutex_;
  std::deque<Pending> queue_;
  std::vector<Instance> instances_;
  std::vector<InvocationOutcome> outcomes_;
  InvokerCounters counters_;
  std::unique_ptr<FunctionOutput> output_;
};

}  // namespace culvert::lambda
