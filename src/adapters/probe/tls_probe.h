// SPDX-License-Identifier: Apache-2.0
// A TLS handshake that goes on where a client would stop, so that every fault of a certificate is told at once.
//
// Flow    Socket -> [tls_handshake] -> TlsReport, and a stream if the handshake came to its end.
// Owner   one probe, on one thread; the stream borrows the socket.
// Time    one deadline; certificates are judged by this machine's clock.
// Bounds  nothing that is trusted comes of it: the stream carries two requests without secrets.
// See     RFC 8446, RFC 6125 (names), SSL_CTX_set_cert_verify_callback(3).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "adapters/probe/byte_stream.h"
#include "model/result.h"

namespace culvert::probe {

// As the Kafka client's ssl.* properties say; empty: not given.
struct TlsSettings {
  std::string ca_file{};  // PEM file or directory; empty, with no ca_pem: the system's
  std::string ca_pem{};
  std::string certificate_file{};  // of this client
  std::string certificate_pem{};
  std::string key_file{};
  std::string key_pem{};
  std::string key_password{};
  std::string keystore_file{};  // PKCS#12
  std::string keystore_password{};
};

struct CertificateFacts {
  std::string subject;
  std::string issuer;
  std::vector<std::string> names;  // subjectAltName: DNS names and addresses
  std::chrono::sys_seconds first_valid;
  std::chrono::sys_seconds last_valid;
};

enum class TlsFault : std::uint8_t {
  kNone,
  kUnknownAuthority,  // the chain leads to no authority that is trusted here
  kExpired,           // the certificate, or one above it
  kNotYetValid,
  kWrongName,          // valid, but for other names
  kClientCertificate,  // the broker wants one from us, or refuses ours
  kNoCommonVersion,    // no common version or cipher
  kNotTls,             // the other side answers, but not in TLS
  kClosed,             // closed or reset in the handshake
  kTimedOut,
  kOther,
};

struct TlsReport {
  TlsFault fault = TlsFault::kOther;
  std::string detail{};    // the library's words
  std::string protocol{};  // `TLSv1.3`
  std::optional<CertificateFacts> certificate{};
  std::uint64_t bytes_received = 0;
};

class TlsClient {
 public:
  // Reads the files.  Error (kConfiguration): one cannot be read or used; the message names the property.
  [[nodiscard]] static Result<std::shared_ptr<TlsClient>> make(const TlsSettings& settings);
  virtual ~TlsClient() = default;

  // Whom brokers take this client for: `CN=name,O=..`, or empty without a certificate of its own.
  [[nodiscard]] virtual std::string own_subject() const = 0;

  // `host` is the name that the certificate must carry.  Null if the handshake did not come to its end.
  [[nodiscard]] virtual std::unique_ptr<ByteStream> handshake(const Socket& socket, const std::string& host,
                                                              Deadline until, TlsReport& report) const = 0;
};

}  // namespace culvert::probe
