// SPDX-License-Identifier: Apache-2.0
// One broker's listener from the outside: TCP, TLS, and whether Kafka answers behind it.
//
// Flow    addresses of a name -> [probe_broker] -> BrokerReport -> doctor's hops.
// Owner   pure of state; may run for several brokers on several threads.
// Time    step_timeout for each of: connecting (over all addresses), TLS, and the two requests.
// Bounds  up to three connections, one after the other, each closed at once; no secret is sent.
// See     kafka_wire.h, tls_probe.h.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/http/address.h"
#include "adapters/probe/byte_stream.h"
#include "adapters/probe/kafka_wire.h"
#include "adapters/probe/tls_probe.h"

namespace culvert::probe {

struct BrokerTarget {
  std::string host;
  std::uint16_t port = 0;
  std::vector<http::Address> addresses;
  std::shared_ptr<const TlsClient> tls;  // null: plaintext
  std::string mechanism{};               // SASL; empty: no login
  bool check_certificate = true;         // false: Kafka is asked whatever the certificate is
  std::chrono::milliseconds step_timeout{5'000};
};

enum class KafkaFault : std::uint8_t {
  kNone,
  kNotKafka,           // answers, but not as Kafka does
  kTlsPort,            // we spoke plaintext, it speaks TLS
  kClosed,             // closed when it was asked
  kTimedOut,           // accepted, but says nothing
  kClientCertificate,  // refused ours, or wants one: told only after the handshake in TLS 1.3
};

struct KafkaReport {
  KafkaFault fault = KafkaFault::kNotKafka;
  std::string detail{};
  ApiVersionsReply versions{};
  std::optional<SaslHandshakeReply> sasl{};  // nullopt: it closed the connection instead of an answer
};

struct BrokerReport {
  TcpReport tcp;
  std::optional<TlsReport> tls{};      // nullopt: not reached, or plaintext
  bool plaintext_port = false;         // we spoke TLS, it speaks Kafka in plaintext
  std::optional<KafkaReport> kafka{};  // nullopt: not reached
};

// The first address that accepts a connection is the one that is looked at; all must be from one look-up.
[[nodiscard]] BrokerReport probe_broker(const BrokerTarget& target);

}  // namespace culvert::probe
