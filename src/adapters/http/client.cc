// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/client.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "adapters/http/connection.h"
#include "adapters/http/tls.h"

namespace culvert::http {

namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

// How late a time-out may be noticed.  While connections are only idle, looking once a second is enough.
constexpr milliseconds kTickBusy{20};
constexpr milliseconds kTickIdle{1'000};
// Answers of DNS are used at least so long, so that opening 64 connections is one look-up, and at most so long, so that
// an endpoint that moves is followed.
constexpr std::chrono::seconds kTtlLeast{1};
constexpr std::chrono::seconds kTtlMost{60};

// True without control characters.  Eight bytes at a time, as every header of every request comes through here.
bool clean(std::string_view text) {
  constexpr std::uint64_t kOnes = 0x0101010101010101;
  constexpr std::uint64_t kHigh = 0x80 * kOnes;
  // A borrow can only come from a byte that is itself found, so "any byte found" is exact.
  const auto below = [](std::uint64_t bytes, std::uint64_t limit) { return (bytes - limit * kOnes) & ~bytes & kHigh; };
  const auto bad = [&](std::uint64_t bytes) { return (below(bytes, 0x20) | below(bytes ^ 0x7f * kOnes, 1)) != 0; };
  for (; text.size() >= 8; text.remove_prefix(8)) {
    std::uint64_t bytes = 0;
    std::memcpy(&bytes, text.data(), 8);
    if (bad(bytes)) return false;
  }
  std::uint64_t rest = 0x20 * kOnes;
  std::memcpy(&rest, text.data(), text.size());
  return !bad(rest);
}

// A header or target with a line break would let whoever chose it write headers of his own.
bool clean(const Request& request) {
  const bool line = clean(request.method) && clean(request.target) && request.target.find(' ') == std::string::npos;
  return line && std::all_of(request.headers.begin(), request.headers.end(), [](const Header& h) {
           return !h.name.empty() && clean(h.name) && clean(h.value) && h.name.find_first_of(": ") == std::string::npos;
         });
}

// Looks names up one after the other on a thread of its own: a look-up blocks, and the I/O thread must not.
class ResolverThread {
 public:
  explicit ResolverThread(Resolver& resolver) : resolver_(resolver) {}
  ResolverThread(const ResolverThread&) = delete;
  ResolverThread& operator=(const ResolverThread&) = delete;
  ~ResolverThread() = default;  // jthread asks to stop and joins; a look-up heeds that

  // `done` runs on this thread.
  void resolve(std::string host, std::function<void(Result<Resolved>)> done) {
    const std::lock_guard lock(mutex_);
    queue_.emplace_back(std::move(host), std::move(done));
    if (!thread_.joinable()) thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
    wake_.notify_one();
  }

 private:
  void run(const std::stop_token& stop) {
    while (true) {
      std::pair<std::string, std::function<void(Result<Resolved>)>> next;
      {
        std::unique_lock lock(mutex_);
        if (!wake_.wait(lock, stop, [&] { return !queue_.empty(); })) return;
        next = std::move(queue_.front());
        queue_.pop_front();
      }
      next.second(resolver_.resolve(next.first, stop));
    }
  }

  Resolver& resolver_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<std::pair<std::string, std::function<void(Result<Resolved>)>>> queue_;
  std::jthread thread_;  // last: joined before what it uses goes
};

using ConnectionPtr = std::shared_ptr<Connection>;

Error closing_error() { return Error::retriable_error(ErrorKind::kTryAgain, "the HTTP client is being closed"); }

struct Pool {
  Endpoint endpoint;
  std::vector<ConnectionPtr> connections;
  std::vector<ConnectionPtr> idle;  // the one used last is used next: the others may grow old and go
  std::deque<ExchangePtr> waiting;
  std::vector<Address> addresses;
  SteadyTime addresses_until{};
  bool resolving = false;
  std::size_t next_address = 0;

  [[nodiscard]] std::size_t opening() const {
    return static_cast<std::size_t>(
        std::count_if(connections.begin(), connections.end(), [](const auto& c) { return c->opening(); }));
  }
};

}  // namespace

class Client::Impl final : public Connection::Listener {
 public:
  Impl(ClientOptions options, Resolver& resolver) : options_(std::move(options)), resolver_thread_(resolver) {
    if (!options_.own_thread) return;
    thread_ = std::thread([this] { run(); });
    io_thread_ = thread_.get_id();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {  // NOLINT(bugprone-exception-escape): without memory for one task the program ends
    if (thread_.joinable()) {
      asio::post(io_, [this] { shut_down(); });
      thread_.join();
    } else {
      io_thread_ = std::this_thread::get_id();
      shut_down();
      run_out();
    }
  }

  Result<void> prepare_tls();
  void abandon();
  void send(const Endpoint& endpoint, ExchangePtr exchange);
  void after(milliseconds delay, std::function<void()> task);
  [[nodiscard]] bool on_io_thread() const { return io_thread_.load() == std::this_thread::get_id(); }
  void wait(Waiting& waiting);
  void end_wait(Waiting& waiting);
  [[nodiscard]] asio::io_context& io() { return io_; }
  [[nodiscard]] const ClientOptions& options() const { return options_; }
  [[nodiscard]] Stats stats();

  void ready(Connection& connection) override;
  void not_connected(Connection& connection, Error error) override;
  void finished(Connection& connection, ExchangePtr exchange, Outcome outcome) override;
  void not_started(Connection& connection, ExchangePtr exchange) override;
  void idle_closed(Connection& connection) override;

 private:
  void run();
  void run_out();
  void shut_down();
  void fail_all(const Error& error);
  void enqueue(const Endpoint& endpoint, ExchangePtr exchange);
  Pool& pool_of(const Endpoint& endpoint);
  void dispatch(Pool& pool);
  void open_one(Pool& pool);
  void resolve(Pool& pool);
  void on_resolved(Pool& pool, Result<Resolved> resolved);
  void remove(Connection& connection);
  void fail_later(ExchangePtr exchange, Error error);
  void fail_waiting(Pool& pool, const Error& error);
  void start_ticking();
  void tick();

  const ClientOptions options_;
  asio::io_context io_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{io_.get_executor()};
  std::mutex tls_mutex_;
  std::unique_ptr<TlsContext> tls_;
  std::map<Endpoint, Pool> pools_;
  asio::steady_timer ticker_{io_};
  bool ticking_ = false;
  bool closing_ = false;
  std::atomic<std::uint64_t> connects_{0};
  std::atomic<std::uint64_t> requests_{0};
  ResolverThread resolver_thread_;
  // None while nobody carries out anything.  Written under turn_mutex_, or before and after all waiting.
  std::atomic<std::thread::id> io_thread_{};
  std::mutex turn_mutex_;
  std::vector<Waiting*> sleepers_;  // those in wait() on threads that are not the I/O thread
  std::thread thread_;              // none: those that wait take turns
};

void Client::Impl::run() {
  // Signals belong to the program's main thread; and a broken connection is an error here, never a SIGPIPE.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  io_.run();
  run_out();
}

// shut_down() failed everything; what its callbacks posted still runs, so that each callback runs exactly once.
void Client::Impl::run_out() {
  io_.restart();
  while (io_.poll() > 0) {
  }
}

void Client::Impl::wait(Waiting& waiting) {
  std::unique_lock lock(turn_mutex_);
  while (!waiting.over) {
    if (io_thread_.load() != std::thread::id{}) {
      sleepers_.push_back(&waiting);
      waiting.wake.wait(lock);
      std::erase(sleepers_, &waiting);
      continue;
    }
    io_thread_ = std::this_thread::get_id();
    lock.unlock();
    // It is this thread now that ends waits, so its own can be looked at without the lock.
    while (!waiting.over) io_.run_one();
    lock.lock();
    io_thread_ = std::thread::id{};
    const auto next = std::find_if(sleepers_.begin(), sleepers_.end(), [](const auto* other) { return !other->over; });
    if (next != sleepers_.end()) (*next)->wake.notify_one();
  }
}

void Client::Impl::end_wait(Waiting& waiting) {
  // Told with the lock held: without it the one who waits may be gone before it is told.
  const std::lock_guard lock(turn_mutex_);
  waiting.over = true;
  waiting.wake.notify_one();
}

void Client::Impl::shut_down() {
  closing_ = true;
  fail_all(closing_error());
  ticker_.cancel();
  work_.reset();
  io_.stop();
}

void Client::Impl::abandon() {
  asio::post(io_, [this] {
    if (closing_) return;
    closing_ = true;
    fail_all(closing_error());
  });
}

void Client::Impl::fail_all(const Error& error) {
  for (auto& [endpoint, pool] : pools_) {
    fail_waiting(pool, error);
    pool.idle.clear();
    for (const ConnectionPtr& connection : std::exchange(pool.connections, {})) {
      const bool maybe_sent = connection->maybe_sent();
      if (auto exchange = connection->take_exchange()) {
        asio::post(io_, [callback = std::move(exchange->callback), error, maybe_sent] {
          callback(Failure{error, maybe_sent});
        });
      }
      connection->close();
    }
  }
}

Result<void> Client::Impl::prepare_tls() {
  const std::lock_guard lock(tls_mutex_);
  if (tls_) return {};
  auto made = TlsContext::make(options_.ca_file, options_.ca_pem);
  if (!made) return made.error();
  tls_ = std::move(*made);
  return {};
}

void Client::Impl::send(const Endpoint& endpoint, ExchangePtr exchange) {
  if (on_io_thread()) {
    enqueue(endpoint, std::move(exchange));
    return;
  }
  // std::function wants copyable captures, asio's handlers do not.
  asio::post(io_, [this, endpoint, moved = std::move(exchange)]() mutable { enqueue(endpoint, std::move(moved)); });
}

Pool& Client::Impl::pool_of(const Endpoint& endpoint) {
  const auto [at, made] = pools_.try_emplace(endpoint);
  if (made) at->second.endpoint = endpoint;
  return at->second;
}

void Client::Impl::enqueue(const Endpoint& endpoint, ExchangePtr exchange) {
  if (closing_) {
    fail_later(std::move(exchange), closing_error());
    return;
  }
  Pool& pool = pool_of(endpoint);
  if (pool.waiting.size() >= options_.queue_most) {
    fail_later(std::move(exchange),
               Error::retriable_error(ErrorKind::kTryAgain, fmt::format("{}: {} requests are waiting already",
                                                                        endpoint.text(), pool.waiting.size())));
    return;
  }
  exchange->queued_until =
      deadline_after(steady_clock::now(), options_.connect_timeout + options_.tls_timeout + options_.request_timeout);
  pool.waiting.push_back(std::move(exchange));
  dispatch(pool);
}

void Client::Impl::dispatch(Pool& pool) {
  while (!pool.waiting.empty() && !pool.idle.empty()) {
    const ConnectionPtr connection = std::move(pool.idle.back());
    pool.idle.pop_back();
    if (!connection->still_open(steady_clock::now())) {
      connection->close();
      remove(*connection);
      continue;
    }
    auto exchange = std::move(pool.waiting.front());
    pool.waiting.pop_front();
    requests_.fetch_add(1, std::memory_order_relaxed);
    connection->start(std::move(exchange));
  }
  if (!pool.waiting.empty()) {
    std::size_t opening = pool.opening();
    while (opening < pool.waiting.size() && pool.connections.size() < options_.connections_most && !pool.resolving) {
      open_one(pool);
      ++opening;
    }
  }
  start_ticking();
}

void Client::Impl::open_one(Pool& pool) {
  if (pool.addresses.empty() || steady_clock::now() >= pool.addresses_until) {
    resolve(pool);
    return;
  }
  TlsContext* tls = nullptr;
  if (pool.endpoint.tls) {
    if (const auto prepared = prepare_tls(); !prepared) {
      fail_waiting(pool, prepared.error());
      return;
    }
    tls = tls_.get();
  }
  connects_.fetch_add(1, std::memory_order_relaxed);
  auto connection = std::make_shared<Connection>(io_, options_, pool.endpoint, *this);
  pool.connections.push_back(connection);
  connection->open(pool.addresses, pool.next_address++, tls);
}

void Client::Impl::resolve(Pool& pool) {
  if (const auto literal = Address::parse(pool.endpoint.host)) {
    pool.addresses = {*literal};
    pool.addresses_until = SteadyTime::max();
    open_one(pool);
    return;
  }
  pool.resolving = true;
  resolver_thread_.resolve(pool.endpoint.host, [this, &pool](Result<Resolved> resolved) {
    asio::post(io_, [this, &pool, moved = std::move(resolved)]() mutable { on_resolved(pool, std::move(moved)); });
  });
}

void Client::Impl::on_resolved(Pool& pool, Result<Resolved> resolved) {
  pool.resolving = false;
  if (closing_) return;
  if (!resolved) {
    if (pool.connections.empty() || !resolved.error().retriable) {
      fail_waiting(pool, resolved.error().within(pool.endpoint.text()));
    } else {
      // The connections there are still work; they will come to what is waiting.
      pool.addresses_until = steady_clock::now() + kTtlLeast;
    }
    return;
  }
  pool.addresses = std::move(resolved->addresses);
  pool.addresses_until = steady_clock::now() + std::clamp(resolved->ttl, kTtlLeast, kTtlMost);
  dispatch(pool);
}

void Client::Impl::remove(Connection& connection) {
  Pool& pool = pool_of(connection.endpoint());
  const auto is_it = [&](const ConnectionPtr& c) { return c.get() == &connection; };
  std::erase_if(pool.idle, is_it);
  std::erase_if(pool.connections, is_it);
}

void Client::Impl::ready(Connection& connection) {
  Pool& pool = pool_of(connection.endpoint());
  pool.idle.push_back(connection.shared_from_this());
  dispatch(pool);
}

void Client::Impl::not_connected(Connection& connection, Error error) {
  const ConnectionPtr keep = connection.shared_from_this();
  Pool& pool = pool_of(connection.endpoint());
  remove(connection);
  // The address may have moved: the next attempt asks again.
  pool.addresses_until = {};
  if (!pool.waiting.empty()) {
    fail_later(std::move(pool.waiting.front()), std::move(error));
    pool.waiting.pop_front();
  }
  // Not dispatched here: a host that refuses would be called in a loop.  What waits is served by connections that
  // open or come free, or fails in its own turn.
  if (pool.connections.empty() && !pool.waiting.empty()) dispatch(pool);
}

void Client::Impl::finished(Connection& connection, ExchangePtr exchange, Outcome outcome) {
  const ConnectionPtr keep = connection.shared_from_this();
  Pool& pool = pool_of(connection.endpoint());
  if (connection.closed()) {
    remove(connection);
  } else {
    pool.idle.push_back(keep);
  }
  // What waits is sent before the outcome is told: the connection works while the callback does.
  if (!closing_ && !pool.waiting.empty()) dispatch(pool);
  exchange->callback(std::move(outcome));
}

void Client::Impl::not_started(Connection& connection, ExchangePtr exchange) {
  const ConnectionPtr keep = connection.shared_from_this();
  Pool& pool = pool_of(connection.endpoint());
  remove(connection);
  pool.waiting.push_front(std::move(exchange));
  // Later, not now: the caller may be dispatch() itself, in the middle of its loop.
  asio::post(io_, [this, &pool] {
    if (!closing_) dispatch(pool);
  });
}

void Client::Impl::idle_closed(Connection& connection) {
  const ConnectionPtr keep = connection.shared_from_this();
  remove(connection);
}

void Client::Impl::fail_later(ExchangePtr exchange, Error error) {
  asio::post(io_, [callback = std::move(exchange->callback), moved = std::move(error)]() mutable {
    callback(Failure{std::move(moved), false});
  });
}

void Client::Impl::fail_waiting(Pool& pool, const Error& error) {
  for (ExchangePtr& exchange : std::exchange(pool.waiting, {})) fail_later(std::move(exchange), error);
}

void Client::Impl::start_ticking() {
  if (ticking_ || closing_) return;
  ticking_ = true;
  ticker_.expires_after(kTickBusy);
  ticker_.async_wait([this](const boost::system::error_code& error) {
    ticking_ = false;
    if (!error && !closing_) tick();
  });
}

void Client::Impl::tick() {
  const auto now = steady_clock::now();
  bool any = false;
  bool busy = false;
  for (auto& [endpoint, pool] : pools_) {
    // A copy: a time-out takes its connection out of the pool.
    for (const ConnectionPtr& connection : std::vector<ConnectionPtr>(pool.connections)) connection->check(now);
    while (!pool.waiting.empty() && pool.waiting.front()->queued_until <= now) {
      fail_later(std::move(pool.waiting.front()),
                 Error::retriable_error(ErrorKind::kUnavailable,
                                        fmt::format("{}: no connection came free in time", endpoint.text())));
      pool.waiting.pop_front();
    }
    any = any || !pool.connections.empty() || !pool.waiting.empty();
    busy = busy || pool.idle.size() != pool.connections.size() || !pool.waiting.empty();
  }
  if (!any || ticking_) return;
  ticking_ = true;
  ticker_.expires_after(busy ? kTickBusy : kTickIdle);
  ticker_.async_wait([this](const boost::system::error_code& error) {
    ticking_ = false;
    if (!error && !closing_) tick();
  });
}

void Client::Impl::after(milliseconds delay, std::function<void()> task) {
  const auto timer = std::make_shared<asio::steady_timer>(io_, delay);
  timer->async_wait([timer, moved = std::move(task)](const boost::system::error_code& error) {
    if (!error) moved();
  });
}

Client::Stats Client::Impl::stats() {
  Stats stats{connects_.load(), requests_.load(), 0};
  clockid_t clock{};
  timespec used{};
  const bool own = thread_.joinable() && pthread_getcpuclockid(thread_.native_handle(), &clock) == 0;
  if (own && clock_gettime(clock, &used) == 0) {
    stats.cpu_ns = static_cast<std::uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(used.tv_nsec);
  }
  return stats;
}

Client::Client(ClientOptions options, Resolver& resolver)
    : impl_(std::make_unique<Impl>(std::move(options), resolver)) {}

Client::~Client() = default;

Result<void> Client::prepare_tls() { return impl_->prepare_tls(); }

void Client::send(const Endpoint& endpoint, Request request, Callback callback) {
  if (!clean(request)) {
    const Failure refused{
        Error::fatal(ErrorKind::kConfiguration,
                     fmt::format("{}: a request whose target or headers hold control characters", endpoint.text())),
        false};
    post([refused, moved = std::move(callback)] { moved(refused); });
    return;
  }
  impl_->send(endpoint, std::make_unique<Exchange>(Exchange{std::move(request), std::move(callback), {}}));
}

Outcome Client::call(const Endpoint& endpoint, Request request) {
  return wait_for<Outcome>([&](Callback done) { send(endpoint, std::move(request), std::move(done)); });
}

void Client::wait(Waiting& waiting) {
  CULVERT_CHECK(!on_io_thread(), "waiting on the thread that would have to carry it out");
  impl_->wait(waiting);
}

void Client::end_wait(Waiting& waiting) { impl_->end_wait(waiting); }

void Client::abandon() { impl_->abandon(); }

void Client::post(std::function<void()> task) { asio::post(impl_->io(), std::move(task)); }

void Client::after(milliseconds delay, std::function<void()> task) {
  asio::post(impl_->io(), [this, delay, moved = std::move(task)]() mutable { impl_->after(delay, std::move(moved)); });
}

bool Client::on_io_thread() const { return impl_->on_io_thread(); }

Client::Stats Client::stats() { return impl_->stats(); }

}  // namespace culvert::http
