// SPDX-License-Identifier: Apache-2.0
// TLS for the client: one context, and per connection a non-blocking stream over its socket.
//
// Flow    Client -> [TlsContext::connect] -> [TlsStream] between the HTTP parser and the socket.
// Owner   the context belongs to the Client, a stream to its connection; the socket stays the connection's.
// Time    none: the connection holds the time-outs.
// Bounds  TLS 1.2 or higher, certificates checked against the CA certificates and the host's name, always: there is no
//         switch that turns this off.
// See     RFC 8446, RFC 6125 (names), SSL_set1_host(3).
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "model/result.h"

namespace culvert::http {

enum class IoStatus {
  kDone,       // `bytes` were moved (handshake: finished)
  kWantRead,   // again when the socket is readable
  kWantWrite,  // again when the socket is writable
  kEnd,        // the other side ended the stream in order
  kFailed,
};

struct IoResult {
  IoStatus status = IoStatus::kFailed;
  std::size_t bytes = 0;
  std::string error;  // kFailed only
};

class TlsStream {
 public:
  explicit TlsStream(SSL* ssl) : ssl_(ssl) {}
  [[nodiscard]] IoResult handshake();
  [[nodiscard]] IoResult read(std::span<char> into);
  [[nodiscard]] IoResult write(std::span<const char> from);

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  [[nodiscard]] IoResult result(int returned, std::size_t bytes);
  std::unique_ptr<SSL, Free> ssl_;
};

class TlsContext {
 public:
  // From a PEM file or PEM text; both empty: $SSL_CERT_FILE, else the first system bundle that exists.
  [[nodiscard]] static Result<std::unique_ptr<TlsContext>> make(const std::string& ca_file, const std::string& ca_pem);

  // A stream over `fd` that will accept only a certificate for `host` (name or address).
  [[nodiscard]] std::optional<TlsStream> connect(int fd, const std::string& host);

 private:
  struct Free {
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  };
  explicit TlsContext(SSL_CTX* context) : context_(context) {}
  std::unique_ptr<SSL_CTX, Free> context_;
};

}  // namespace culvert::http
