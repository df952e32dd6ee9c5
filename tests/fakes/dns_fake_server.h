// SPDX-License-Identifier: Apache-2.0
// A name server on loopback, UDP and TCP on the same port, that answers as it is told.
//
// Flow    DnsResolver -> [DnsFakeServer] -> the test's table of names, or a fault.
// Owner   a test; one thread, which the destructor ends.
// Time    none, except for replies that never come.
// Bounds  queries of 512 bytes.
// See     src/adapters/http/resolver.h.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "adapters/http/dns_message.h"

namespace culvert::fakes {

struct DnsReply {
  int rcode = 0;
  std::vector<std::string> addresses{};  // literals of the asked type; others are left out
  std::string alias{};                   // answer with a CNAME to this name, the addresses being the alias's
  std::uint32_t ttl_s = 60;
  bool truncate_udp = false;    // over UDP only: no addresses, flag TC
  bool silent = false;          // no reply
  bool wrong_id_first = false;  // a forged reply (another id, another address) goes ahead of the true one
  std::string raw{};            // these bytes behind the true id, instead of a reply
};

class DnsFakeServer {
 public:
  using Handler = std::function<DnsReply(const http::DnsQuestion& question, bool tcp)>;

  explicit DnsFakeServer(Handler handler);
  DnsFakeServer(const DnsFakeServer&) = delete;
  DnsFakeServer& operator=(const DnsFakeServer&) = delete;
  ~DnsFakeServer();

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] int udp_queries() const { return udp_queries_.load(); }
  [[nodiscard]] int tcp_queries() const { return tcp_queries_.load(); }

 private:
  void run();
  void serve_udp();
  void serve_tcp();

  Handler handler_;
  int udp_ = -1;
  int tcp_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::atomic<int> udp_queries_{0};
  std::atomic<int> tcp_queries_{0};
  std::thread thread_;
};

}  // namespace culvert::fakes
