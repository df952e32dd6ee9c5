// SPDX-License-Identifier: Apache-2.0
#include "fakes/dns_fake_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "model/check.h"

namespace culvert::fakes {

namespace {

using Bytes = std::vector<std::uint8_t>;

void put16(Bytes& out, std::uint16_t value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8));
  out.push_back(static_cast<std::uint8_t>(value & 0xff));
}

void put_name(Bytes& out, std::string_view name) {
  while (!name.empty()) {
    const auto label = name.substr(0, name.find('.'));
    out.push_back(static_cast<std::uint8_t>(label.size()));
    out.insert(out.end(), label.begin(), label.end());
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  out.push_back(0);
}

void put_record(Bytes& out, std::string_view owner, std::uint16_t type, std::uint32_t ttl_s, const Bytes& data) {
  if (owner.empty()) {
    put16(out, 0xc00c);  // a pointer to the question's name
  } else {
    put_name(out, owner);
  }
  put16(out, type);
  put16(out, 1);
  put16(out, static_cast<std::uint16_t>(ttl_s >> 16));
  put16(out, static_cast<std::uint16_t>(ttl_s & 0xffff));
  put16(out, static_cast<std::uint16_t>(data.size()));
  out.insert(out.end(), data.begin(), data.end());
}

// The id, name and type of a query; the name in lower case is what the resolver sends.
std::optional<http::DnsQuestion> read_question(const Bytes& query) {
  if (query.size() < 17) return std::nullopt;
  http::DnsQuestion question;
  question.id = static_cast<std::uint16_t>(query[0] << 8 | query[1]);
  std::size_t at = 12;
  while (at < query.size() && query[at] != 0) {
    if (!question.name.empty()) question.name += '.';
    for (std::size_t i = 1; i <= query[at] && at + i < query.size(); ++i) {
      question.name += static_cast<char>(query[at + i]);
    }
    at += 1 + std::size_t{query[at]};
  }
  if (at + 5 > query.size()) return std::nullopt;
  question.type = query[at + 2] == 28 ? http::DnsType::kAaaa : http::DnsType::kA;
  return question;
}

Bytes make_reply(const http::DnsQuestion& question, const DnsReply& reply, bool tcp, bool forged) {
  Bytes out;
  put16(out, forged ? static_cast<std::uint16_t>(question.id ^ 1) : question.id);
  if (!reply.raw.empty()) {
    out.insert(out.end(), reply.raw.begin(), reply.raw.end());
    return out;
  }
  const bool truncated = reply.truncate_udp && !tcp;
  put16(out, static_cast<std::uint16_t>(0x8180 | (truncated ? 0x0200 : 0) | reply.rcode));
  put16(out, 1);
  Bytes answers;
  std::uint16_t count = 0;
  const auto type = static_cast<std::uint16_t>(question.type);
  if (!reply.alias.empty()) {
    Bytes target;
    put_name(target, reply.alias);
    put_record(answers, "", 5, reply.ttl_s, target);
    ++count;
  }
  for (const std::string& text : reply.addresses) {
    const auto address = http::Address::parse(forged ? "6.6.6.6" : text);
    const bool v6 = address->family == http::AddressFamily::kV6;
    if (truncated || v6 != (question.type == http::DnsType::kAaaa)) continue;
    put_record(answers, reply.alias, type, reply.ttl_s,
               Bytes(address->bytes.begin(), address->bytes.begin() + (v6 ? 16 : 4)));
    ++count;
  }
  put16(out, count);
  put16(out, 0);
  put16(out, 0);
  put_name(out, question.name);
  put16(out, type);
  put16(out, 1);
  out.insert(out.end(), answers.begin(), answers.end());
  return out;
}

bool read_exactly(int fd, std::uint8_t* into, std::size_t bytes) {
  while (bytes > 0) {
    pollfd p{fd, POLLIN, 0};
    if (::poll(&p, 1, 1000) <= 0) return false;
    const ssize_t got = ::recv(fd, into, bytes, 0);
    if (got <= 0) return false;
    into += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace

DnsFakeServer::DnsFakeServer(Handler handler) : handler_(std::move(handler)) {
  // The same port must be free for both protocols: take one for TCP, try it for UDP, a few times.
  for (int attempt = 0; attempt < 20 && udp_ < 0; ++attempt) {
    tcp_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_storage at{};
    socklen_t bytes = http::to_sockaddr(http::Address::v4(127, 0, 0, 1), 0, at);
    CULVERT_CHECK(::bind(tcp_, reinterpret_cast<sockaddr*>(&at), bytes) == 0 && ::listen(tcp_, 8) == 0, "bind");
    ::getsockname(tcp_, reinterpret_cast<sockaddr*>(&at), &bytes);
    port_ = ntohs(reinterpret_cast<sockaddr_in*>(&at)->sin_port);
    udp_ = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (::bind(udp_, reinterpret_cast<sockaddr*>(&at), bytes) != 0) {
      ::close(tcp_);
      ::close(udp_);
      udp_ = -1;
    }
  }
  CULVERT_CHECK(udp_ >= 0, "no port for a name server");
  thread_ = std::thread([this] { run(); });
}

DnsFakeServer::~DnsFakeServer() {
  stop_ = true;
  thread_.join();
  ::close(udp_);
  ::close(tcp_);
}

void DnsFakeServer::run() {
  while (!stop_) {
    std::array<pollfd, 2> fds{pollfd{udp_, POLLIN, 0}, pollfd{tcp_, POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), 20) <= 0) continue;
    if (fds[0].revents != 0) serve_udp();
    if (fds[1].revents != 0) serve_tcp();
  }
}

void DnsFakeServer::serve_udp() {
  Bytes query(512);
  sockaddr_storage from{};
  socklen_t from_bytes = sizeof from;
  const ssize_t got = ::recvfrom(udp_, query.data(), query.size(), 0, reinterpret_cast<sockaddr*>(&from), &from_bytes);
  if (got <= 0) return;
  query.resize(static_cast<std::size_t>(got));
  const auto question = read_question(query);
  if (!question) return;
  ++udp_queries_;
  const DnsReply reply = handler_(*question, false);
  if (reply.silent) return;
  const auto send = [&](bool forged) {
    const Bytes out = make_reply(*question, reply, false, forged);
    ::sendto(udp_, out.data(), out.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&from), from_bytes);
  };
  if (reply.wrong_id_first) send(true);
  send(false);
}

void DnsFakeServer::serve_tcp() {
  const int fd = ::accept(tcp_, nullptr, nullptr);
  if (fd < 0) return;
  std::array<std::uint8_t, 2> length{};
  Bytes query;
  bool ok = read_exactly(fd, length.data(), 2);
  query.resize(static_cast<std::size_t>(length[0]) << 8 | length[1]);
  ok = ok && read_exactly(fd, query.data(), query.size());
  if (const auto question = ok ? read_question(query) : std::nullopt) {
    ++tcp_queries_;
    Bytes framed;
    const Bytes out = make_reply(*question, handler_(*question, true), true, false);
    put16(framed, static_cast<std::uint16_t>(out.size()));
    framed.insert(framed.end(), out.begin(), out.end());
    ::send(fd, framed.data(), framed.size(), MSG_NOSIGNAL);
  }
  ::close(fd);
}

}  // namespace culvert::fakes
