// SPDX-License-Identifier: Apache-2.0
#include "adapters/lambda/function_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "adapters/lambda/event_writer.h"
#include "adapters/lambda/request_ids.h"
#include "model/json_text.h"

namespace culvert::lambda {

namespace {

constexpr std::string_view kPrefix = "/2018-06-01/runtime/";
constexpr std::string_view kInvocation = "invocation/";
constexpr std::size_t kResponseBytesMost = kEventBytesMost;
// Above it the server refuses by itself; below, the function is told why.
constexpr std::size_t kBodyBytesMost = 64 << 20;
constexpr Millis kTerminationGrace{500};
constexpr Millis kKillPatience{5'000};
constexpr Millis kIdleTick{1'000};
constexpr Millis kFirstRestart{100};
constexpr Millis kRestartMost{10'000};

http::ServerResponse json_answer(int status, std::string body) {
  return {status, {{"Content-Type", "application/json"}}, std::move(body)};
}

http::ServerResponse accepted() { return json_answer(202, R"({"status":"OK"})"); }

http::ServerResponse refusal(int status, std::string_view type, std::string_view message) {
  return json_answer(status,
                     fmt::format(R"({{"errorMessage":{},"errorType":{}}})", json_string(message), json_string(type)));
}

Millis passed(SteadyTime from, SteadyTime to) { return std::chrono::duration_cast<Millis>(to - from); }

Millis restart_delay(int false_starts) {
  return std::min(kRestartMost, kFirstRestart * (1 << std::min(false_starts, 10)));
}

std::int64_t epoch_ms(WallTime time) { return std::chrono::duration_cast<Millis>(time.time_since_epoch()).count(); }

}  // namespace

FunctionPool::FunctionPool(FunctionPoolOptions options, const Clock& clock, std::unique_ptr<ProcessGuard> guard)
    : options_(std::move(options)),
      clock_(clock),
      arn_(fmt::format("arn:aws:lambda:{}:000000000000:function:{}", options_.region, options_.name)),
      guard_(std::move(guard)),
      instances_(static_cast<std::size_t>(options_.instances)),
      output_(std::make_unique<FunctionOutput>(
          [this](int instance, std::string_view line) {
            if (options_.output) options_.output(instance, line);
          },
          [this] {
            if (options_.wake) options_.wake();
          })) {}

Result<std::unique_ptr<FunctionPool>> FunctionPool::open(FunctionPoolOptions options, const Clock& clock) {
  auto guard = ProcessGuard::start();
  if (!guard) return guard.error();
  std::unique_ptr<FunctionPool> pool(new FunctionPool(std::move(options), clock, *std::move(guard)));
  if (auto started = pool->start(0, clock.steady()); !started) return started.error();
  return pool;
}

FunctionPool::~FunctionPool() {
  std::vector<std::unique_ptr<FunctionProcess>> processes;
  {
    const Lock lock(mutex_);
    for (Instance& instance : instances_) {
      if (instance.process) processes.push_back(std::move(instance.process));
    }
  }
  for (const auto& process : processes) process->terminate();
  const SteadyTime end = clock_.steady() + kTerminationGrace;
  for (auto& process : processes) {
    (void)process->wait(std::max(Millis{0}, passed(clock_.steady(), end)));
    const pid_t group = process->group();
    process.reset();  // kills what is left
    guard_->forget(group);
  }
  // The servers' threads use this object until they are gone.
  for (Instance& instance : instances_) instance.server.reset();
}

// ---------------------------------------------------------------------------------------------------------- processes

std::vector<std::string> FunctionPool::environment(std::size_t index, std::uint16_t port) const {
  const std::string stream = fmt::format("instance[{}]", index);
  std::map<std::string, std::string> variables{
      {"AWS_LAMBDA_RUNTIME_API", fmt::format("127.0.0.1:{}", port)},
      {"AWS_LAMBDA_FUNCTION_NAME", options_.name},
      {"AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"},
      {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE", std::to_string(options_.memory_mib)},
      {"AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"},
      {"AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/" + options_.name},
      {"AWS_LAMBDA_LOG_STREAM_NAME", stream},
      {"AWS_REGION", options_.region},
      {"AWS_DEFAULT_REGION", options_.region},
      {"_HANDLER", "bootstrap"},
      {"LAMBDA_TASK_ROOT", std::filesystem::path(options_.executable).parent_path().string()},
      {"LANG", "en_US.UTF-8"},
      {"PATH", "/usr/local/bin:/usr/bin:/bin"},
      {"TZ", ":UTC"},
  };
  for (const auto& [name, value] : options_.environment) variables[name] = value;
  std::vector<std::string> result;
  result.reserve(variables.size());
  for (const auto& [name, value] : variables) result.push_back(fmt::format("{}={}", name, value));
  return result;
}

Result<void> FunctionPool::start(std::size_t index, SteadyTime now) {
  http::ServerOptions server_options;
  server_options.connections_most = 64;
  server_options.body_bytes_most = kBodyBytesMost;
  // A runtime keeps its connection while it works on an invocation, and while it is frozen.
  server_options.idle_timeout = std::chrono::hours(24);
  auto server = http::Server::listen(server_options, [this, index](const http::ServerRequest& request, auto responder) {
    handle(index, request, std::move(responder));
  });
  if (!server) return server.error();
  const FunctionCommand command{options_.executable, std::filesystem::path(options_.executable).parent_path().string(),
                                environment(index, (*server)->port())};
  auto process = FunctionProcess::start(command);
  if (!process) return process.error();
  guard_->watch((*process)->group());
  output_->add(static_cast<int>(index), (*process)->take_output(), (*process)->end_descriptor());
  const Lock lock(mutex_);
  Instance& instance = instances_[index];
  // The function may have been quicker than we are: what it has asked for already stays.
  instance.server = *std::move(server);
  instance.process = *std::move(process);
  instance.started = now;
  ++counters_.cold_starts;
  deliver_to(instance);
  freeze_if_idle(instance);
  return {};
}

void FunctionPool::start_where_needed(SteadyTime now, std::optional<Error>& failure) {
  std::size_t needed = 0;
  std::vector<std::size_t> off;
  {
    const Lock lock(mutex_);
    needed = queue_.size();
    for (std::size_t i = 0; i < instances_.size(); ++i) {
      const Instance& instance = instances_[i];
      if (!instance.process && now >= instance.restart_at) off.push_back(i);
      // One that is starting will take an event as soon as it asks.
      if (instance.process && !instance.ready) needed -= std::min<std::size_t>(needed, 1);
    }
  }
  for (const std::size_t index : off) {
    if (needed == 0) return;
    --needed;
    if (auto started = start(index, now); !started) {
      instances_[index].restart_at = now + kFirstRestart;
      failure = started.error();
      return;
    }
  }
}

// The process has ended, or is to be ended: fails what it was at.
void FunctionPool::reap(std::size_t index, const std::string& how, InvocationEnd end, SteadyTime now) {
  std::unique_ptr<FunctionProcess> process;
  std::unique_ptr<http::Server> server;
  {
    const Lock lock(mutex_);
    process = std::move(instances_[index].process);
    server = std::move(instances_[index].server);
  }
  process->kill();
  if (!process->wait(kKillPatience) && options_.output) {
    options_.output(static_cast<int>(index), "[culvert] the process does not end although it was killed");
  }
  server->stop();  // no request of this process comes after this
  guard_->forget(process->group());
  const Lock lock(mutex_);
  Instance& instance = instances_[index];
  while (!instance.active.empty()) finish(instance, instance.active.begin()->first, end, how);
  if (end == InvocationEnd::kCrash) ++counters_.crashes;
  if (!instance.ready) {
    // Lambda fails the invocation that it started the instance for.
    const std::string text =
        instance.init_error.empty() ? "before it asked for an invocation: " + how : instance.init_error;
    if (!queue_.empty()) {
      outcomes_.push_back({queue_.front().ticket, InvocationEnd::kCrash, random_request_id(), 200, text, Millis{0}});
      queue_.pop_front();
    }
  }
  Instance next;
  next.false_starts = instance.ready ? 0 : instance.false_starts + 1;
  next.restart_at = instance.ready ? now : now + restart_delay(instance.false_starts);
  instance = std::move(next);
}

std::optional<SteadyTime> FunctionPool::deadline(const Instance& instance) const {
  if (!instance.process) return std::nullopt;
  if (!instance.ready) return instance.started + std::max(options_.init_timeout, options_.timeout);
  std::optional<SteadyTime> earliest;
  for (const auto& [id, active] : instance.active) {
    const SteadyTime at = active.begun + options_.timeout;
    if (!earliest || at < *earliest) earliest = at;
  }
  return earliest;
}

Result<SteadyTime> FunctionPool::tick(SteadyTime now) {
  for (std::size_t i = 0; i < instances_.size(); ++i) {
    std::optional<std::string> ended;
    std::optional<SteadyTime> until;
    bool ready = false;
    {
      const Lock lock(mutex_);
      Instance& instance = instances_[i];
      if (!instance.process) continue;
      ended = instance.process->ended();
      until = deadline(instance);
      ready = instance.ready;
    }
    if (ended) {
      reap(i, "Runtime exited with error: " + *ended, InvocationEnd::kCrash, now);
    } else if (until && now >= *until) {
      const double seconds = std::chrono::duration<double>(options_.timeout).count();
      if (ready) {
        reap(i, fmt::format("Task timed out after {:.2f} seconds", seconds), InvocationEnd::kTimeout, now);
      } else {
        reap(i, "it did not ask for an invocation in time", InvocationEnd::kCrash, now);
      }
    }
  }
  std::optional<Error> failure;
  start_where_needed(now, failure);
  if (failure && !failure->retriable) return *failure;
  SteadyTime next = now + kIdleTick;
  const Lock lock(mutex_);
  for (const Instance& instance : instances_) {
    if (const auto until = deadline(instance)) next = std::min(next, *until);
    if (!instance.process && !queue_.empty()) next = std::min(next, std::max(instance.restart_at, now + Millis{1}));
  }
  return next;
}

// -------------------------------------------------------------------------------------------------------- Runtime API

void FunctionPool::handle(std::size_t index, const http::ServerRequest& request,
                          std::shared_ptr<http::Responder> responder) {
  const Lock lock(mutex_);
  Instance& instance = instances_[index];
  std::string_view path = request.target;
  const bool known = path.starts_with(kPrefix);
  if (known) path.remove_prefix(kPrefix.size());
  const auto answer = [&](http::ServerResponse response) { responder->respond(std::move(response)); };
  if (known && path == "invocation/next" && request.method == "GET") return on_next(instance, std::move(responder));
  if (known && path == "init/error" && request.method == "POST") {
    instance.init_error = request.body;
    return answer(accepted());
  }
  if (known && path.starts_with(kInvocation) && request.method == "POST") {
    path.remove_prefix(kInvocation.size());
    const auto slash = path.find('/');
    const std::string id(path.substr(0, slash));
    const std::string_view what = slash == std::string_view::npos ? std::string_view{} : path.substr(slash + 1);
    if (what == "response") return answer(on_response(instance, id, request));
    if (what == "error") return answer(on_error(instance, id, request));
  }
  answer(refusal(404, "NotFound", fmt::format("the Runtime API has no {} {}", request.method, request.target)));
}

void FunctionPool::on_next(Instance& instance, std::shared_ptr<http::Responder> responder) {
  const auto loops = static_cast<std::size_t>(options_.invocations_at_once);
  if (instance.active.size() + instance.asking.size() >= loops) {
    responder->respond(
        refusal(403, "InvalidStateTransition", "the next invocation was asked for before the last one was answered"));
    return;
  }
  instance.ready = true;
  instance.asking.push_back(std::move(responder));
  deliver_to(instance);
  freeze_if_idle(instance);
  if (options_.wake) options_.wake();
}

http::ServerResponse FunctionPool::on_response(Instance& instance, const std::string& id,
                                               const http::ServerRequest& request) {
  if (instance.active.count(id) == 0) return refusal(400, "InvalidRequestID", "Invalid request ID");
  if (request.body.size() > kResponseBytesMost) {
    const std::string message = fmt::format("Exceeded maximum allowed payload size ({} bytes).", kResponseBytesMost);
    finish(instance, id, InvocationEnd::kFunctionError, "Function.ResponseSizeTooLarge: " + message);
    instance.refused = id;
    return refusal(413, "RequestEntityTooLarge", message);
  }
  finish(instance, id, InvocationEnd::kResponse, request.body);
  return accepted();
}

http::ServerResponse FunctionPool::on_error(Instance& instance, const std::string& id,
                                            const http::ServerRequest& request) {
  // A runtime may report that its response was refused; that is known already.
  if (id == instance.refused) return accepted();
  if (instance.active.count(id) == 0) return refusal(400, "InvalidRequestID", "Invalid request ID");
  const std::string* type = request.header("Lambda-Runtime-Function-Error-Type");
  finish(instance, id, InvocationEnd::kFunctionError, type == nullptr ? request.body : *type + ": " + request.body);
  return accepted();
}

bool FunctionPool::has_room(const Instance& instance) const {
  return instance.process != nullptr && !instance.asking.empty() &&
         instance.active.size() < static_cast<std::size_t>(options_.invocations_at_once);
}

void FunctionPool::deliver() {
  for (Instance& instance : instances_) {
    if (queue_.empty()) return;
    deliver_to(instance);
  }
}

void FunctionPool::deliver_to(Instance& instance) {
  while (!queue_.empty() && has_room(instance)) {
    const std::shared_ptr<http::Responder> responder = std::move(instance.asking.front());
    instance.asking.pop_front();
    const std::string id = random_request_id();
    if (std::exchange(instance.frozen, false)) instance.process->thaw();
    const std::int64_t deadline_ms = epoch_ms(clock_.wall()) + options_.timeout.count();
    http::ServerResponse response;
    response.headers = {{"Content-Type", "application/json"},
                        {"Lambda-Runtime-Aws-Request-Id", id},
                        {"Lambda-Runtime-Deadline-Ms", std::to_string(deadline_ms)},
                        {"Lambda-Runtime-Invoked-Function-Arn", arn_},
                        {"Lambda-Runtime-Trace-Id", random_trace_id(deadline_ms / 1000)}};
    response.body = *queue_.front().event;
    if (!responder->respond(std::move(response))) continue;  // it went away while it waited
    instance.active.emplace(id, Active{queue_.front().ticket, clock_.steady()});
    queue_.pop_front();
    ++counters_.invocations;
  }
}

void FunctionPool::finish(Instance& instance, const std::string& id, InvocationEnd end, std::string text) {
  const auto found = instance.active.find(id);
  const Millis took = passed(found->second.begun, clock_.steady());
  outcomes_.push_back({found->second.ticket, end, id, 200, std::move(text), took});
  instance.active.erase(found);
  counters_.busy += took;
  if (end == InvocationEnd::kFunctionError) ++counters_.function_errors;
  if (end == InvocationEnd::kTimeout) ++counters_.timeouts;
  if (options_.wake) options_.wake();
}

// Lambda freezes a sandbox while its runtime waits for the next invocation.
void FunctionPool::freeze_if_idle(Instance& instance) {
  const auto loops = static_cast<std::size_t>(options_.invocations_at_once);
  if (!options_.freeze || !instance.process || !instance.active.empty() || instance.asking.size() < loops) return;
  instance.frozen = true;
  instance.process->freeze();
}

// ------------------------------------------------------------------------------------------------------ the session's

void FunctionPool::submit(Ticket ticket, std::shared_ptr<const std::string> event) {
  const Lock lock(mutex_);
  queue_.push_back({ticket, std::move(event)});
  deliver();
}

std::vector<InvocationOutcome> FunctionPool::take_outcomes() {
  const Lock lock(mutex_);
  return std::exchange(outcomes_, {});
}

InvokerCounters FunctionPool::counters() const {
  const Lock lock(mutex_);
  return counters_;
}

std::vector<pid_t> FunctionPool::process_groups() const {
  const Lock lock(mutex_);
  std::vector<pid_t> groups;
  for (const Instance& instance : instances_) {
    if (instance.process) groups.push_back(instance.process->group());
  }
  return groups;
}

}  // namespace culvert::lambda
