// SPDX-License-Identifier: Apache-2.0
#include "adapters/probe/broker_probe.h"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace culvert::probe {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int32_t kVersionsCorrelation = 1;
constexpr std::int32_t kHandshakeCorrelation = 2;
// What a listener without a login is asked about: it says that it has none, and one with a login lists what it takes.
constexpr std::string_view kNoMechanism = "NONE";

// `report` ends as that of the address that accepted, or of the last one.
Socket connect_any(const BrokerTarget& target, TcpReport& report) {
  const Deadline until = Clock::now() + target.step_timeout;
  std::size_t left = target.addresses.size();
  for (const http::Address& address : target.addresses) {
    // Each address gets its share, so that a silent one does not hide a good one behind it.
    const auto share = (until - Clock::now()) / static_cast<std::int64_t>(left--);
    Socket socket = connect_tcp(address, target.port, Clock::now() + share, report);
    if (socket.open()) return socket;
  }
  return Socket{};
}

struct Frame {
  IoOutcome outcome;
  bool framed = false;  // the first four bytes announce a Kafka frame
  std::vector<std::uint8_t> body{};
  std::array<std::uint8_t, 4> head{};
};

Frame exchange(ByteStream& stream, const std::vector<std::uint8_t>& request, Deadline until) {
  Frame frame;
  frame.outcome = stream.write(request, until);
  if (frame.outcome.end != IoEnd::kDone) {
    frame.outcome.bytes = 0;  // of the reply
    return frame;
  }
  frame.outcome = stream.read(frame.head, until);
  if (frame.outcome.end != IoEnd::kDone) return frame;
  const auto bytes = frame_bytes(frame.head);
  if (!bytes) return frame;
  frame.framed = true;
  frame.body.resize(*bytes);
  frame.outcome = stream.read(frame.body, until);
  return frame;
}

// A TLS record that is an alert, as a TLS port answers to plaintext.
bool tls_record(const Frame& frame) { return frame.head[0] == 0x15 && frame.head[1] == 0x03; }

KafkaFault fault_of(const Frame& frame) {
  switch (frame.outcome.end) {
    case IoEnd::kAlert:
      return KafkaFault::kClientCertificate;
    case IoEnd::kTimedOut:
      return KafkaFault::kTimedOut;
    case IoEnd::kEnd:
    case IoEnd::kReset:
      return frame.outcome.bytes > 0 && !frame.framed ? KafkaFault::kNotKafka : KafkaFault::kClosed;
    case IoEnd::kDone:
      break;
  }
  return tls_record(frame) ? KafkaFault::kTlsPort : KafkaFault::kNotKafka;
}

KafkaReport ask_kafka(ByteStream& stream, const BrokerTarget& target) {
  const Deadline until = Clock::now() + target.step_timeout;
  KafkaReport report;
  const Frame versions = exchange(stream, api_versions_request(kVersionsCorrelation), until);
  auto parsed = versions.outcome.end == IoEnd::kDone && versions.framed
                    ? parse_api_versions(versions.body, kVersionsCorrelation)
                    : std::nullopt;
  if (!parsed) {
    report.fault = fault_of(versions);
    report.detail = versions.outcome.detail;
    return report;
  }
  report.fault = KafkaFault::kNone;
  report.versions = *std::move(parsed);
  const auto mechanism = target.mechanism.empty() ? kNoMechanism : std::string_view(target.mechanism);
  const Frame sasl = exchange(stream, sasl_handshake_request(kHandshakeCorrelation, mechanism), until);
  if (sasl.outcome.end == IoEnd::kDone && sasl.framed)
    report.sasl = parse_sasl_handshake(sasl.body, kHandshakeCorrelation);
  return report;
}

// True if Kafka answers in plaintext where TLS was refused without a word.
bool answers_in_plaintext(const BrokerTarget& target) {
  TcpReport ignored;
  const Socket socket = connect_any(target, ignored);
  if (!socket.open()) return false;
  PlainStream stream(socket);
  return ask_kafka(stream, target).fault == KafkaFault::kNone;
}

// True if TLS answers where plaintext was refused without a word.
bool answers_in_tls(const BrokerTarget& target) {
  TcpReport ignored;
  const Socket socket = connect_any(target, ignored);
  const auto client = TlsClient::make(TlsSettings{});
  if (!socket.open() || !client) return false;
  TlsReport report;
  const auto stream = (*client)->handshake(socket, target.host, Clock::now() + target.step_timeout, report);
  return stream != nullptr || report.fault == TlsFault::kClientCertificate ||
         report.fault == TlsFault::kNoCommonVersion;
}

void closed_at_once(BrokerReport& report, std::string detail) {
  report.tcp.fault = TcpFault::kClosedAtOnce;
  report.tcp.detail = std::move(detail);
  report.tls.reset();
  report.kafka.reset();
}

void probe_tls(const BrokerTarget& target, const Socket& socket, BrokerReport& report) {
  TlsReport& tls = report.tls.emplace();
  const auto stream = target.tls->handshake(socket, target.host, Clock::now() + target.step_timeout, tls);
  if (stream) {
    if (tls.fault == TlsFault::kNone || !target.check_certificate) report.kafka = ask_kafka(*stream, target);
    return;
  }
  const bool wordless = tls.bytes_received == 0;
  if (wordless && (tls.fault == TlsFault::kClosed || tls.fault == TlsFault::kTimedOut)) {
    report.plaintext_port = answers_in_plaintext(target);
    if (report.plaintext_port) {
      tls.fault = TlsFault::kNotTls;
    } else if (tls.fault == TlsFault::kClosed) {
      closed_at_once(report, tls.detail);
    }
  }
}

void probe_plain(const BrokerTarget& target, const Socket& socket, BrokerReport& report) {
  PlainStream stream(socket);
  KafkaReport kafka = ask_kafka(stream, target);
  if (kafka.fault == KafkaFault::kClosed || kafka.fault == KafkaFault::kTimedOut) {
    if (answers_in_tls(target)) {
      kafka.fault = KafkaFault::kTlsPort;
    } else if (kafka.fault == KafkaFault::kClosed) {
      closed_at_once(report, kafka.detail);
      return;
    }
  }
  report.kafka = std::move(kafka);
}

}  // namespace

BrokerReport probe_broker(const BrokerTarget& target) {
  BrokerReport report;
  const Socket socket = connect_any(target, report.tcp);
  if (!socket.open()) return report;
  if (target.tls) {
    probe_tls(target, socket, report);
  } else {
    probe_plain(target, socket, report);
  }
  return report;
}

}  // namespace culvert::probe
