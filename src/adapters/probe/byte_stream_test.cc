// SPDX-License-Identifier: Apache-2.0
#include "adapters/probe/byte_stream.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace culvert::probe {
namespace {

// Ends every connection with a FIN and a reset right behind it, as a load balancer without a healthy target may.
class ResettingServer {
 public:
  ResettingServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof here;
    auto* address = reinterpret_cast<sockaddr*>(&here);
    EXPECT_EQ(::bind(listener_.fd(), address, bytes), 0);
    EXPECT_EQ(::listen(listener_.fd(), SOMAXCONN), 0);
    EXPECT_EQ(::getsockname(listener_.fd(), address, &bytes), 0);
    port_ = ntohs(here.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ResettingServer(const ResettingServer&) = delete;
  ResettingServer& operator=(const ResettingServer&) = delete;
  ~ResettingServer() {
    ::shutdown(listener_.fd(), SHUT_RDWR);  // ends accept()
    thread_.join();
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void serve() const {
    while (true) {
      const Socket peer(::accept(listener_.fd(), nullptr, nullptr));
      if (!peer.open()) return;
      const linger at_once{1, 0};
      ::setsockopt(peer.fd(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
      ::shutdown(peer.fd(), SHUT_WR);
    }
  }

  Socket listener_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST(TcpFault, WhatEndsAConnectionThatWasAcceptedIsNoRefusal) {
  for (const int error : {EPIPE, ECONNRESET, ECONNABORTED}) EXPECT_EQ(tcp_fault(error), TcpFault::kClosedAtOnce);
  EXPECT_EQ(tcp_fault(ECONNREFUSED), TcpFault::kRefused);
  EXPECT_EQ(tcp_fault(ETIMEDOUT), TcpFault::kTimedOut);
  EXPECT_EQ(tcp_fault(EHOSTUNREACH), TcpFault::kUnreachable);
  EXPECT_EQ(tcp_fault(EMFILE), TcpFault::kOther);
  EXPECT_EQ(tcp_fault(0), TcpFault::kNone);
}

// A race: about one connection in some thousands shows it, the test above shows it every time.
TEST(ConnectTcp, AResetBeforeConnectReturnsIsAConnectionThatWasAcceptedAndClosed) {
  const ResettingServer server;
  std::mutex mutex;
  std::map<std::pair<TcpFault, std::string>, int> seen;
  std::vector<std::thread> clients;
  for (int client = 0; client < 4; ++client) {
    clients.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        TcpReport report;
        const Socket socket = connect_tcp(*http::Address::parse("127.0.0.1"), server.port(),
                                          std::chrono::steady_clock::now() + std::chrono::seconds(10), report);
        const std::scoped_lock lock(mutex);
        ++seen[{report.fault, report.detail}];
      }
    });
  }
  for (std::thread& client : clients) client.join();
  for (const auto& [what, times] : seen) {
    EXPECT_TRUE(what.first == TcpFault::kNone || what.first == TcpFault::kClosedAtOnce)
        << times << " connections failed with '" << what.second << "'";
  }
}

}  // namespace
}  // namespace culvert::probe
