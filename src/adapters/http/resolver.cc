// SPDX-License-Identifier: Apache-2.0
#include "adapters/http/resolver.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "adapters/http/dns_message.h"
#include "adapters/http/resolv_conf.h"
#include "adapters/http/small_file.h"

namespace culvert::http {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Once one of A and AAAA has answered with addresses, the other one gets this long: servers that never answer AAAA
// exist.
constexpr milliseconds kOtherFamilyGrace{400};
constexpr milliseconds kStopCheck{100};

class Socket {
 public:
  Socket(const Address& server, std::uint16_t port, int type) {
    sockaddr_storage to{};
    const socklen_t bytes = to_sockaddr(server, port, to);
    fd_ = ::socket(to.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // Connecting a datagram socket makes the kernel choose a random source port and drop what comes from elsewhere.
    if (fd_ >= 0 && ::connect(fd_, reinterpret_cast<const sockaddr*>(&to), bytes) != 0 && errno != EINPROGRESS) close();
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  ~Socket() { close(); }
  [[nodiscard]] int fd() const { return fd_; }
  [[nodiscard]] bool open() const { return fd_ >= 0; }

 private:
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  int fd_ = -1;
};

struct Waiter {
  Clock::time_point end;
  const std::stop_token& stop;

  // False: time over, stopped, or the descriptor is in error.
  bool wait(int fd, short events, Clock::time_point until) const {
    while (!stop.stop_requested()) {
      const auto left = std::chrono::ceil<milliseconds>(std::min(until, end) - Clock::now());
      if (left.count() <= 0) return false;
      pollfd p{fd, events, 0};
      const int ready = ::poll(&p, 1, static_cast<int>(std::min(left, kStopCheck).count()));
      if (ready > 0) return true;
      if (ready < 0 && errno != EINTR) return false;
    }
    return false;
  }
};

std::uint16_t random_id() {
  std::uint16_t id = 0;
  // Never fails for so few bytes once the kernel's pool is ready, and blocks until then.
  CULVERT_CHECK(::getrandom(&id, sizeof id, 0) == static_cast<ssize_t>(sizeof id), "no random numbers from the kernel");
  return id;
}

bool send_all(int fd, std::span<const std::uint8_t> bytes, const Waiter& waiter, Clock::time_point until) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(sent));
    } else if (errno == EAGAIN || errno == ENOTCONN) {
      if (!waiter.wait(fd, POLLOUT, until)) return false;
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

bool receive_all(int fd, std::span<std::uint8_t> bytes, const Waiter& waiter, Clock::time_point until) {
  while (!bytes.empty()) {
    const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(got));
    } else if (got < 0 && errno == EAGAIN) {
      if (!waiter.wait(fd, POLLIN, until)) return false;
    } else if (got == 0 || errno != EINTR) {
      return false;
    }
  }
  return true;
}

// What one server said to both questions; an absent answer means it said nothing usable.
struct Exchange {
  std::array<DnsQuestion, 2> questions;
  std::array<std::optional<DnsAnswer>, 2> answers;

  [[nodiscard]] bool complete() const { return answers[0] && answers[1]; }
  [[nodiscard]] bool any_address() const {
    return std::any_of(answers.begin(), answers.end(), [](const auto& a) { return a && !a->addresses.empty(); });
  }
};

class Lookup {
 public:
  Lookup(const DnsOptions& options, ResolvConf conf, const std::stop_token& stop)
      : options_(options), conf_(std::move(conf)), waiter_{Clock::now() + options.total_most, stop} {
    if (options.server_timeout.count() > 0) conf_.timeout = options.server_timeout;
    if (options.server) conf_.servers = {*options.server};
    trace_.asked_servers = conf_.servers;
  }

  NameTrace run(std::string_view host);

 private:
  // The verdict on one name; kNoName and kNoAddress end the search only where no further candidate is left.
  NameVerdict ask(const std::string& name);
  NameVerdict take(const Address& server, const std::string& name, const Exchange& exchange);
  void ask_server(const Address& server, Exchange& exchange);
  void receive(int fd, Exchange& exchange, const Address& server);
  void ask_over_tcp(const Address& server, const DnsQuestion& question, std::optional<DnsAnswer>& answer);

  const DnsOptions& options_;
  ResolvConf conf_;
  Waiter waiter_;
  NameTrace trace_;
};

void Lookup::ask_over_tcp(const Address& server, const DnsQuestion& question, std::optional<DnsAnswer>& answer) {
  const Socket socket(server, options_.port, SOCK_STREAM);
  const auto until = Clock::now() + conf_.timeout;
  const auto query = make_query(question);
  std::vector<std::uint8_t> framed{static_cast<std::uint8_t>(query.size() >> 8),
                                   static_cast<std::uint8_t>(query.size() & 0xff)};
  framed.insert(framed.end(), query.begin(), query.end());
  std::array<std::uint8_t, 2> length{};
  if (!socket.open() || !send_all(socket.fd(), framed, waiter_, until) ||
      !receive_all(socket.fd(), length, waiter_, until)) {
    return;
  }
  std::vector<std::uint8_t> message(static_cast<std::size_t>(length[0]) << 8 | length[1]);
  if (!receive_all(socket.fd(), message, waiter_, until)) return;
  DnsAnswer parsed = parse_response(message, question);
  if (parsed.verdict == DnsVerdict::kAnswer || parsed.verdict == DnsVerdict::kNoName) answer = std::move(parsed);
}

void Lookup::receive(int fd, Exchange& exchange, const Address& server) {
  std::array<std::uint8_t, 4096> buffer{};
  auto until = Clock::now() + conf_.timeout;
  std::array<bool, 2> done{};
  while (!(done[0] && done[1])) {
    if (!waiter_.wait(fd, POLLIN, until)) return;
    const ssize_t got = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (got < 0) return;  // nobody listens there (ECONNREFUSED): the next server's turn
    const std::span message{buffer.data(), static_cast<std::size_t>(got)};
    for (std::size_t i = 0; i < 2; ++i) {
      if (done.at(i)) continue;
      DnsAnswer answer = parse_response(message, exchange.questions.at(i));
      if (answer.verdict == DnsVerdict::kNotOurs) continue;
      done.at(i) = true;
      if (answer.verdict == DnsVerdict::kTruncated) {
        ask_over_tcp(server, exchange.questions.at(i), exchange.answers.at(i));
      } else if (answer.verdict == DnsVerdict::kAnswer || answer.verdict == DnsVerdict::kNoName) {
        exchange.answers.at(i) = std::move(answer);
      }
    }
    if (exchange.any_address()) until = std::min(until, Clock::now() + kOtherFamilyGrace);
  }
}

void Lookup::ask_server(const Address& server, Exchange& exchange) {
  const Socket socket(server, options_.port, SOCK_DGRAM);
  if (!socket.open()) return;
  for (const DnsQuestion& question : exchange.questions) {
    const auto query = make_query(question);
    if (::send(socket.fd(), query.data(), query.size(), MSG_NOSIGNAL) < 0) return;
  }
  receive(socket.fd(), exchange, server);
}

// What one server said, kept in the trace; kNoServer: nothing usable.
NameVerdict Lookup::take(const Address& server, const std::string& name, const Exchange& exchange) {
  std::chrono::seconds ttl{86'400};
  bool exists = false;
  bool said = false;
  for (const auto& answer : exchange.answers) {
    if (!answer) continue;
    said = true;
    exists = exists || answer->verdict == DnsVerdict::kAnswer;
    trace_.authoritative = answer->authoritative;
    if (!answer->zone.empty()) trace_.zone = answer->zone;
    trace_.addresses.insert(trace_.addresses.end(), answer->addresses.begin(), answer->addresses.end());
    if (!answer->addresses.empty()) ttl = std::min(ttl, answer->ttl);
  }
  if (!said) return NameVerdict::kNoServer;
  trace_.server = server.text();
  trace_.asked = name;
  trace_.ttl = ttl;
  if (!trace_.addresses.empty()) return NameVerdict::kAddresses;
  return exists ? NameVerdict::kNoAddress : NameVerdict::kNoName;
}

NameVerdict Lookup::ask(const std::string& name) {
  NameVerdict best = NameVerdict::kNoServer;
  for (int attempt = 0; attempt < conf_.attempts; ++attempt) {
    for (const Address& server : conf_.servers) {
      Exchange exchange;
      exchange.questions[0] = DnsQuestion{random_id(), name, DnsType::kA};
      exchange.questions[1] = DnsQuestion{random_id(), name, DnsType::kAaaa};
      while (exchange.questions[1].id == exchange.questions[0].id) exchange.questions[1].id = random_id();
      ask_server(server, exchange);
      const NameVerdict said = take(server, name, exchange);
      if (said == NameVerdict::kAddresses || (said != NameVerdict::kNoServer && exchange.complete())) return said;
      if (said != NameVerdict::kNoServer) best = said;
      if (waiter_.stop.stop_requested() || Clock::now() >= waiter_.end) return best;
    }
  }
  return best;
}

NameTrace Lookup::run(std::string_view host) {
  bool server_failed = false;
  NameVerdict denial = NameVerdict::kNoName;
  for (const std::string& name : search_candidates(conf_, host)) {
    trace_.verdict = ask(name);
    if (trace_.verdict == NameVerdict::kAddresses) return trace_;
    server_failed = server_failed || trace_.verdict == NameVerdict::kNoServer;
    if (trace_.verdict == NameVerdict::kNoAddress) denial = trace_.verdict;
    if (waiter_.stop.stop_requested() || Clock::now() >= waiter_.end) break;
  }
  trace_.verdict = server_failed ? NameVerdict::kNoServer : denial;
  return trace_;
}

Error lookup_error(const NameTrace& trace, std::string_view host, const std::string& resolv_conf) {
  if (trace.verdict == NameVerdict::kNotAName) {
    return Error::fatal(ErrorKind::kConfiguration, fmt::format("'{}' is neither an address nor a host name", host));
  }
  if (trace.verdict != NameVerdict::kNoServer) {
    return Error::retriable_error(
        ErrorKind::kUnavailable,
        fmt::format("host '{}' does not exist in DNS (check its spelling, and the private zone if it has one)", host));
  }
  std::string servers;
  for (const Address& server : trace.asked_servers) servers += (servers.empty() ? "" : ", ") + server.text();
  return Error::retriable_error(ErrorKind::kUnavailable,
                                fmt::format("host '{}' cannot be resolved: no usable answer from name server {} (see "
                                            "{})",
                                            host, servers, resolv_conf));
}

NameTrace known(NameSource source, std::string_view host, std::vector<Address> addresses, std::chrono::seconds ttl) {
  NameTrace trace;
  trace.verdict = NameVerdict::kAddresses;
  trace.source = source;
  trace.asked = host;
  trace.addresses = std::move(addresses);
  trace.ttl = ttl;
  return trace;
}

}  // namespace

NameTrace DnsResolver::trace(std::string_view host, const std::stop_token& stop) const {
  constexpr std::chrono::hours kDay{24};
  if (const auto literal = Address::parse(host)) return known(NameSource::kLiteral, host, {*literal}, kDay);
  std::string name(host);
  if (name.ends_with('.')) name.pop_back();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (!is_dns_name(name)) {
    NameTrace trace;
    trace.verdict = NameVerdict::kNotAName;
    return trace;
  }
  // Both files are optional: a machine without one has nothing to say there.
  if (auto addresses = find_in_hosts(read_small_file(options_.hosts).value_or(""), name); !addresses.empty()) {
    std::stable_sort(addresses.begin(), addresses.end(),
                     [](const Address& a, const Address& b) { return a.family < b.family; });
    return known(NameSource::kHostsFile, name, std::move(addresses), std::chrono::seconds{5});
  }
  // RFC 6761: localhost is never asked of a server; an empty root has no hosts file to say so.
  if (name == "localhost" || name.ends_with(".localhost")) {
    return known(NameSource::kLocalhost, name, {Address::v4(127, 0, 0, 1), *Address::parse("::1")}, kDay);
  }
  return Lookup(options_, parse_resolv_conf(read_small_file(options_.resolv_conf).value_or("")), stop).run(name);
}

Result<Resolved> DnsResolver::resolve(std::string_view host, const std::stop_token& stop) {
  NameTrace found = trace(host, stop);
  if (found.verdict != NameVerdict::kAddresses) return lookup_error(found, host, options_.resolv_conf);
  return Resolved{std::move(found.addresses), found.ttl};
}

}  // namespace culvert::http
